"""From bytes to a `Completion`: typed decoders, the lenient decode, detection, and the engine that picks among them."""
