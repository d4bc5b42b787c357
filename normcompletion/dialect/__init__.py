"""The OpenAI dialect, which every source speaks: its wire Structs, the adapters, and what a source declares."""
