"""The one place that finds TensorRT: `tensorrt` as JetPack brings it, or `tensorrt_rtx` from PyPI."""

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
    """A TensorRT module and what it is."""

    name: str
    """`tensorrt` or `tensorrt_rtx`."""
    version: str
    module: Any

    @property
    def is_rtx(self) -> bool:
        """Whether this is TensorRT for RTX, which builds without a GPU."""
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
    """Import a TensorRT; `auto` prefers `tensorrt`.

    Raises:
        MissingDependency: none can be imported; says why for each that was tried.
        EngineError: a version older than 8.6, or a 9.x, which no JetPack has.
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
    wanted = "tensorrt or tensorrt_rtx" if choice == "auto" else choice
    raise MissingDependency(
        "; ".join([f"the package {wanted}", *reasons]),
        "on a Jetson it comes with JetPack and a virtual environment sees it when made with "
        "`python3 -m venv --system-site-packages`; elsewhere run: pip install 'edge-ser[tensorrt-rtx]'",
    )


def _supported(found: TensorRT) -> TensorRT:
    if not found.is_rtx and (found.release < (8, 6) or found.release[0] == 9):
        raise EngineError(
            f"{found} is installed, 8.6, 10 or later was wanted; install JetPack 6.0 or later"
        )
    return found


def open_log(trt: Any, on_message: OnMessage, level: str = "warning") -> Any:
    """Return the logger for TensorRT's objects, whose `errors` keeps what goes wrong from now on.

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
    """Return the only logger of a module: TensorRT keeps to the first that it meets in a process."""
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
            own = levels[severity]
            if own == "error":
                self.errors.append(msg)
            if LEVELS.index(own) <= LEVELS.index(self.level):
                self.on_message(own, msg)

    return Log()
