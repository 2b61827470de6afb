"""Bundled models by name, and the runner for a model file and a device."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from edge_ser._util.suffixes import ENGINE_SUFFIXES, ONNX_SUFFIX, is_engine, is_onnx
from edge_ser.errors import ConfigError, ModelError
from edge_ser.inference.base import Runner

DEVICES = ("auto", "cpu", "cuda", "tensorrt")
"""Devices that a model can run on."""

BUNDLED = {
    "bundled": "edge_ser.onnx",
    "bundled-int8": "edge_ser.int8.onnx",
    "bundled-commercial": "edge_ser_commercial.onnx",
    "bundled-commercial-int8": "edge_ser_commercial.int8.onnx",
}
"""File name of each bundled model by its name, the default first."""

ASSETS = Path(str(resources.files("edge_ser") / "assets"))
"""Folder of the bundled models."""


def bundled_model(name: str = "bundled") -> Path:
    """Return the path of a bundled model.

    Args:
        name: a key of `BUNDLED`.

    Raises:
        ConfigError: unknown name.
        ModelError: the file is missing.
    """
    if name not in BUNDLED:
        raise ConfigError(
            f"expected the name of a bundled model ({', '.join(BUNDLED)}), got {name!r}"
        )
    path = ASSETS / BUNDLED[name]
    if not path.is_file():
        present = [other for other, file in BUNDLED.items() if (ASSETS / file).is_file()]
        others = f"; this package has {', '.join(present)}" if present else ""
        raise ModelError(
            f"the model {name} is missing from {path}{others}; install edge-ser again: "
            "pip install --force-reinstall edge-ser"
        )
    return path


def model_path(model: str | Path | None = None) -> Path:
    """Return the file that a model argument names: a name of `BUNDLED`, a path, or None for `bundled`.

    Raises:
        ModelError: a bundled model is missing; other paths are not checked.
    """
    if model is None:
        return bundled_model()
    return bundled_model(str(model)) if str(model) in BUNDLED else Path(model)


def open_runner(model: str | Path | None = None, threads: int = 1, device: str = "auto") -> Runner:
    """Open a model file with the backend for its suffix and the device.

    There is no fallback: the requested device is used, or an error is raised.

    Args:
        model: an ONNX file of `edge-ser export`, or an engine of `edge-ser build-engine` with its
            manifest beside it; or a name of `BUNDLED`; None for `bundled`.
        threads: CPU threads for one inference; 1 is fastest for networks this small.
        device: one of DEVICES. An ONNX file runs in ONNX Runtime: auto and cpu on the CPU, cuda and
            tensorrt by its providers of that name. An engine always runs on the GPU.

    Raises:
        ModelError: the file is missing, unreadable, or not an edge-ser model.
        EngineError: the engine does not fit this machine, or the device cannot be used.
        ConfigError: unknown device, or an engine with device cpu.
        MissingDependency: a package for this device is not installed.
    """
    if device not in DEVICES:
        raise ConfigError(f"expected a device of {', '.join(DEVICES)}, got {device!r}")
    path = model_path(model)
    if not path.is_file():
        raise ModelError(
            f"there is no model {path}; give --model a file that `edge-ser export` or "
            "`edge-ser build-engine` wrote"
        )
    if is_engine(path):
        if device == "cpu":
            raise ConfigError(
                f"{path} is a TensorRT engine, which does not run on device cpu but on the GPU that it "
                "was built for; use device auto, or the ONNX file"
            )
        from edge_ser.tensorrt.runner import TensorRTRunner

        return TensorRTRunner(path)
    if not is_onnx(path):
        raise ModelError(
            f"expected a file ending in {ONNX_SUFFIX} or {' or '.join(ENGINE_SUFFIXES)}, got {path}; "
            "give --model an ONNX file or an engine"
        )
    from edge_ser.inference.onnxruntime import OnnxRunner

    return OnnxRunner(path, threads, device)
