"""Puts `refereeing` in reach of the referees, under any import mode and from any directory."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
