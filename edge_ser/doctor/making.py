"""What building engines and training need."""

from __future__ import annotations

import importlib.util

from edge_ser.doctor.check import MISSING, Check, Examine, Here
from edge_ser.errors import EdgeSerError
from edge_ser.machine.packages import installed
from edge_ser.runtime.tensorrt_module import find_tensorrt

_TRAINING = ("torch", "librosa", "matplotlib", "safetensors", "scipy", "onnx")
"""What the extra `train` brings, by the names that they are imported and installed under."""


def builder(here: Here) -> Check:
    """A TensorRT that can build: JetPack's with its GPU, or the one for RTX without any."""
    on_jetson = here.facts.jetson is not None
    try:
        found = find_tensorrt("tensorrt" if on_jetson else "auto")
    except EdgeSerError:
        how = (
            "see TensorRT above"
            if on_jetson
            else "pip install 'edge-ser[tensorrt-rtx]', for RTX GPUs"
        )
        return Check("builder", "no TensorRT", MISSING, how)
    gpu = here.facts.gpu
    if found.is_rtx:
        return Check("builder", f"TensorRT for RTX {found.version}, needs no GPU to build")
    if gpu is None or gpu.name is None:
        return Check("builder", f"{found}, and no GPU to build for", MISSING, "build on the device")
    return Check("builder", f"{found}, for SM {gpu.compute_capability}")


def onnx(here: Here) -> Check:  # noqa: ARG001
    """The package that reads and changes ONNX graphs."""
    return _extra("onnx", ("onnx",), "build")


def training(here: Here) -> Check:  # noqa: ARG001
    """The packages of training; whether they work is not tried, for torch alone takes seconds."""
    return _extra("packages", _TRAINING, "train")


def _extra(feature: str, packages: tuple[str, ...], extra: str) -> Check:
    lacking = [name for name in packages if importlib.util.find_spec(name) is None]
    if lacking:
        how = f"python -m pip install 'edge-ser[{extra}]'"
        return Check(feature, f"not installed: {', '.join(lacking)}", MISSING, how)
    versions = installed(packages)
    return Check(
        feature, ", ".join(f"{name} {versions.get(name, '')}".strip() for name in packages)
    )


BUILD_CHECKS: tuple[Examine, ...] = (builder, onnx)
TRAIN_CHECKS: tuple[Examine, ...] = (training,)
