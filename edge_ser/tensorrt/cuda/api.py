"""CUDA interface of the TensorRT runner, common to all packages.

Handles of streams, events and graphs are objects of the package. The caller that opens one closes it,
once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import EngineError


@dataclass(frozen=True, eq=False)
class HostBuffer:
    """Page-locked host memory, which the GPU can copy directly."""

    array: NDArray[np.uint8]
    """Bytes of the buffer; invalid once it is freed."""
    device_address: int
    """Device address if the buffer is mapped, else 0."""
    handle: Any


@dataclass(frozen=True, eq=False)
class DeviceBuffer:
    """Device memory."""

    address: int
    n_bytes: int
    handle: Any


@dataclass(frozen=True)
class DeviceMemory:
    """GPU memory in bytes, of all processes; on a Jetson, of the board."""

    used: int
    total: int


class Cuda(Protocol):
    """Primary context of the first GPU, shared with TensorRT and other users in the process.

    `with cuda:` makes the context current in the calling thread and restores the previous one on
    exit. Call every method except `close` within it. Methods raise `EngineError` if CUDA returns an
    error.
    """

    @property
    def name(self) -> str:
        """Package and version, e.g. `cuda-python 12.9.10`."""

    @property
    def has_graphs(self) -> bool:
        """Whether `capture` works."""

    @property
    def is_integrated(self) -> bool:
        """Whether the GPU shares the memory of the CPU, as on a Jetson."""

    def __enter__(self) -> Any:
        """Make the context current in this thread."""

    def __exit__(self, kind: object, *_: object) -> None:
        """Restore the previous context."""

    def memory(self) -> DeviceMemory:
        """Return the GPU memory in use."""

    def open_stream(self) -> Any:
        """Create a stream that does not synchronise with the default stream."""

    def close_stream(self, stream: Any) -> None:
        """Destroy a stream."""

    def stream_handle(self, stream: Any) -> int:
        """Return the handle of a stream as an integer, as TensorRT takes it."""

    def synchronise(self, stream: Any) -> None:
        """Wait until all work on a stream is done."""

    def allocate_host(self, n_bytes: int, *, mapped: bool = False) -> HostBuffer:
        """Allocate page-locked memory; if `mapped`, the GPU accesses it in place."""

    def free_host(self, buffer: HostBuffer) -> None:
        """Free page-locked memory."""

    def allocate_device(self, n_bytes: int) -> DeviceBuffer:
        """Allocate device memory."""

    def free_device(self, buffer: DeviceBuffer) -> None:
        """Free device memory."""

    def copy_to_device(
        self, device: DeviceBuffer, host: HostBuffer, n_bytes: int, stream: Any
    ) -> None:
        """Enqueue a copy of the first `n_bytes` bytes."""

    def copy_to_host(
        self, host: HostBuffer, device: DeviceBuffer, n_bytes: int, stream: Any
    ) -> None:
        """Enqueue a copy of the first `n_bytes` bytes."""

    def capture(self, stream: Any, work: Callable[[], None]) -> Any:
        """Capture what `work` enqueues on a stream as an executable graph; nothing runs.

        An exception from `work` is raised again, after the capture has ended.
        """

    def launch(self, graph: Any, stream: Any) -> None:
        """Enqueue a graph."""

    def free_graph(self, graph: Any) -> None:
        """Destroy a graph."""

    def open_event(self) -> Any:
        """Create an event with timing."""

    def record(self, event: Any, stream: Any) -> None:
        """Enqueue an event."""

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Return the time between two completed events, in ms."""

    def close_event(self, event: Any) -> None:
        """Destroy an event."""

    def close(self) -> None:
        """Release the context, after everything else; may be called twice."""


_OUT_OF_MEMORY = (
    "free some: close other programs, or build the engine for fewer and shorter windows (--batch, "
    "--window)"
)
_NO_DEVICE = (
    "check that the NVIDIA driver runs (nvidia-smi, on a Jetson tegrastats) and that "
    "CUDA_VISIBLE_DEVICES hides no GPU"
)
_LOST = (
    "the context is lost: restart the program; if the error returns, build the engine again or look "
    "for messages of the driver in `dmesg`"
)
_REMEDIES = {
    "CUDA_ERROR_OUT_OF_MEMORY": _OUT_OF_MEMORY,
    "out of memory": _OUT_OF_MEMORY,
    "CUDA_ERROR_NO_DEVICE": _NO_DEVICE,
    "no device": _NO_DEVICE,
    "no driver": _NO_DEVICE,
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH": "reboot: the driver was upgraded under a running kernel",
}
"""Remedies by CUDA error name, or by message for pycuda, which has no names."""


def cuda_error(package: str, reason: str, doing: str) -> EngineError:
    """Return the error for a failed CUDA call.

    Args:
        package: name of the CUDA package.
        reason: name or message of the CUDA error.
        doing: the failed operation, e.g. `allocating 48,000 bytes of the GPU`.
    """
    remedy = next((r for known, r in _REMEDIES.items() if known in reason), _LOST)
    return EngineError(f"CUDA failed with {reason} while {doing} ({package}); {remedy}")
