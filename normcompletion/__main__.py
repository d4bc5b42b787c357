"""`python -m normcompletion`: the command line."""

from .cli import main

raise SystemExit(main())
