"""TensorRT engines: one way through all versions, what differs in a small file for each."""
