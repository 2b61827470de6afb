"""CUDA for the TensorRT runner, through cuda-python or pycuda."""

from __future__ import annotations

import importlib

from edge_ser.errors import ConfigError, MissingDependency
from edge_ser.tensorrt.cuda.api import Cuda

CHOICES = ("auto", "cuda-python", "pycuda")


def open_cuda(choice: str = "auto") -> Cuda:
    """Open the first GPU's primary context.

    Args:
        choice: one of CHOICES; auto prefers cuda-python, which supports CUDA graphs.

    Raises:
        ConfigError: an unknown choice.
        MissingDependency: no package can be imported; gives the reason for each.
        EngineError: no driver or no GPU.
    """
    if choice not in CHOICES:
        raise ConfigError(f"expected a CUDA package, one of {', '.join(CHOICES)}, got {choice!r}")
    reasons = []
    for name in CHOICES[1:] if choice == "auto" else (choice,):
        try:
            return _OPEN[name]()
        except (ImportError, OSError) as error:
            reasons.append(f"{name}: {error}")
    raise MissingDependency(
        f"{' or '.join(CHOICES[1:]) if choice == 'auto' else choice} ({'; '.join(reasons)})",
        "run: pip install 'edge-ser[tensorrt]' for cuda-python, which has CUDA graphs, or if that is "
        "not possible: pip install 'edge-ser[pycuda]'",
    )


def _cuda_python() -> Cuda:
    from edge_ser.tensorrt.cuda.cuda_python import CudaPython, import_driver

    return CudaPython(import_driver())


def _pycuda() -> Cuda:
    driver = importlib.import_module("pycuda.driver")
    from edge_ser.tensorrt.cuda.pycuda_api import PyCuda

    return PyCuda(driver, str(importlib.import_module("pycuda").VERSION_TEXT))


_OPEN = {"cuda-python": _cuda_python, "pycuda": _pycuda}
