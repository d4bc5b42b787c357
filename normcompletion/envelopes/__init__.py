"""Everything around a response: wrappers, pages, canonical records, and payloads that hold no completion."""
