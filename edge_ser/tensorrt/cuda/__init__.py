"""CUDA for the TensorRT runner: one shape, and a file for each package that offers it."""
