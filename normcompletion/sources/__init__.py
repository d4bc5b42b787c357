"""One file per source: its wire Structs, adapters and marks, ending in a `VARIANTS` table."""
