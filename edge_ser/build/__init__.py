"""Everything done to an ONNX file. Never torch."""
