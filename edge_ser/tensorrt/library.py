"""Import TensorRT: `tensorrt` from JetPack, or `tensorrt_rtx` from PyPI."""

from __future__ import annotations

import functools
import importlib
import re
from dataclasses import dataclass
from typing import Any

from edge_ser._util.callbacks import OnMessage
from edge_ser.errors import EngineError, MissingDependency

CHOICES = ("auto", "tensorrt", "tensorrt_rtx")
LEVELS = ("error", "warning", "info", "verbose")


_PACKAGES = {
    "tensorrt": ("tensorrt",),
    # The wheels of the bindings have no package of the documented name.
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}


@dataclass(frozen=True)
class TensorRT:
    """A TensorRT module, its name and its version."""

    name: str
    """`tensorrt` or `tensorrt_rtx`."""
    version: str
    module: Any

    @property
    def is_rtx(self) -> bool:
        """Whether this is TensorRT for RTX, which can build without a GPU."""
        return self.name == "tensorrt_rtx"

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version."""
        major, minor = re.findall(r"\d+", self.version + ".0")[:2]
        return int(major), int(minor)

    def __str__(self) -> str:
        """Return name and version, for messages."""
        return f"{self.name} {self.version}"


def find_tensorrt(choice: str = "auto") -> TensorRT:
    """Import TensorRT; `auto` prefers `tensorrt`.

    Raises:
        MissingDependency: no package can be imported; gives the reason for each.
        EngineError: a version before 8.6, or 9.x, which no JetPack ships.
    """
    reasons = []
    for name in _PACKAGES if choice == "auto" else (choice,):
        for package in _PACKAGES[name]:
            try:
                module = importlib.import_module(package)
            except (ImportError, OSError) as error:
                if getattr(error, "name", None) != package:
                    reasons.append(f"{package} does not load: {error}")
                continue
            if hasattr(module, "Builder"):
                return _supported(TensorRT(name, str(module.__version__), module))
            reasons.append(f"{package} is installed without its libraries")
    names = "tensorrt or tensorrt_rtx" if choice == "auto" else choice
    raise MissingDependency(
        "; ".join([f"the package {names}", *reasons]),
        "on a Jetson it comes with JetPack, and a virtual environment created with "
        "`python3 -m venv --system-site-packages` sees it; elsewhere "
        "run: pip install 'edge-ser[tensorrt-rtx]'",
    )


def _supported(found: TensorRT) -> TensorRT:
    if not found.is_rtx and (found.release < (8, 6) or found.release[0] == 9):
        raise EngineError(
            f"expected TensorRT 8.6, 10 or later, got {found}; install JetPack 6.0 or later"
        )
    return found


def open_log(trt: Any, on_message: OnMessage, level: str = "warning") -> Any:
    """Return the logger for TensorRT objects; its list `errors` collects errors from this call on.

    Args:
        trt: a TensorRT module.
        on_message: called with every message up to `level`, until the next call.
        level: one of LEVELS.
    """
    log = _log(trt)
    log.on_message, log.level, log.errors = on_message, level, []
    return log


@functools.cache
def _log(trt: Any) -> Any:
    """Return the single logger of a module: TensorRT uses the first one of a process for all objects."""
    levels = {
        trt.ILogger.INTERNAL_ERROR: "error",
        trt.ILogger.ERROR: "error",
        trt.ILogger.WARNING: "warning",
        trt.ILogger.INFO: "info",
        trt.ILogger.VERBOSE: "verbose",
    }

    class Log(trt.ILogger):  # type: ignore[misc]
        on_message: OnMessage
        level: str
        errors: list[str]

        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, msg: str) -> None:
            level = levels[severity]
            if level == "error":
                self.errors.append(msg)
            if LEVELS.index(level) <= LEVELS.index(self.level):
                self.on_message(level, msg)

    return Log()
