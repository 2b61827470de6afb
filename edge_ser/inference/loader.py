"""Model files by name, and the runner that a file and a device ask for."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from edge_ser._util.suffixes import ENGINE_SUFFIXES, ONNX_SUFFIX, is_engine, is_onnx
from edge_ser.errors import ConfigError, ModelError
from edge_ser.inference.base import Runner

DEVICES = ("auto", "cpu", "cuda", "tensorrt")
"""Where to run."""

BUNDLED = {
    "bundled": "edge_ser.onnx",
    "bundled-int8": "edge_ser.int8.onnx",
    "bundled-commercial": "edge_ser_commercial.onnx",
    "bundled-commercial-int8": "edge_ser_commercial.int8.onnx",
}
"""Name → file of each model that comes with the package, the default first."""

ASSETS = Path(str(resources.files("edge_ser") / "assets"))
"""Where those files lie."""


def bundled_model(name: str = "bundled") -> Path:
    """Return the path of a model that comes with the package.

    Args:
        name: a key of `BUNDLED`.

    Raises:
        ConfigError: another name.
        ModelError: the file is not there.
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
        ModelError: a bundled model that is not there; other paths are not looked at.
    """
    if model is None:
        return bundled_model()
    return bundled_model(str(model)) if str(model) in BUNDLED else Path(model)


def open_runner(model: str | Path | None = None, threads: int = 1, device: str = "auto") -> Runner:
    """Open a model file with the backend that its ending and the device ask for.

    Nothing falls back: what was asked for runs, or an error says what is missing.

    Args:
        model: an ONNX file of `edge-ser export`, or an engine of `edge-ser build-engine` with its
            manifest beside it; or a name of `BUNDLED`; None for `bundled`.
        threads: CPU threads for one inference; one is fastest for networks this small.
        device: one of DEVICES. An ONNX file runs in ONNX Runtime: auto and cpu on the CPU, cuda and
            tensorrt by its providers of that name. An engine always runs on the GPU.

    Raises:
        ModelError: the file is missing, unreadable, or not one of ours.
        EngineError: an engine that must not run here, or a device that cannot be used.
        ConfigError: a device that there is not, or an engine for the CPU.
        MissingDependency: a package that this device needs.
    """
    if device not in DEVICES:
        raise ConfigError(f"device is {device!r}, wanted: one of {', '.join(DEVICES)}")
    path = model_path(model)
    if not path.is_file():
        raise ModelError(
            f"there is no model {path}; give --model a file that `edge-ser export` or "
            "`edge-ser build-engine` wrote"
        )
    if is_engine(path):
        if device == "cpu":
            raise ConfigError(
                f"{path} is a TensorRT engine and cpu was asked for, an engine runs on the GPU that it "
                "was built for; ask for device auto, or give the ONNX file"
            )
        from edge_ser.tensorrt.runner import TensorRTRunner

        return TensorRTRunner(path)
    if not is_onnx(path):
        raise ModelError(
            f"{path} ends neither in {ONNX_SUFFIX} nor in {' or '.join(ENGINE_SUFFIXES)}; give --model "
            "an ONNX file or an engine"
        )
    from edge_ser.inference.onnxruntime import OnnxRunner

    return OnnxRunner(path, threads, device)
