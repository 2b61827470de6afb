"""Model runners: one interface, ONNX Runtime, and the loader that chooses."""
