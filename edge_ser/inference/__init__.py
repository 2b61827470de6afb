"""Model runners: the `Runner` protocol, ONNX Runtime, and the loader that selects a backend."""
