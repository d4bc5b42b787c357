"""Event streams: framing, chunks, and the answer that they make."""
