"""TensorRT engines: build, read and run."""
