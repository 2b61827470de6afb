"""What the TensorRT runner needs of CUDA, whichever package offers it.

Handles of streams, events and graphs are the package's own; whoever opened one closes it, once.
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
    """Page-locked memory, which the GPU copies without a detour."""

    array: NDArray[np.uint8]
    """Its bytes; of no use once it is freed."""
    device_address: int
    """Where the GPU sees it when it is mapped, else 0."""
    handle: Any


@dataclass(frozen=True, eq=False)
class DeviceBuffer:
    """Memory of the GPU."""

    address: int
    n_bytes: int
    handle: Any


@dataclass(frozen=True)
class DeviceMemory:
    """Memory of the GPU in bytes, all processes together; on a Jetson, of the whole board."""

    used: int
    total: int


class Cuda(Protocol):
    """The first GPU, in its primary context, which TensorRT and others in the process share.

    `with cuda:` makes the context current in the calling thread and afterwards what was current
    before, so no thread is left with a context that it did not ask for. All but `close` has to be
    called within. Every method raises `EngineError` where CUDA returns an error.
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
        """Make current again what was."""

    def memory(self) -> DeviceMemory:
        """Return how much memory is in use."""

    def open_stream(self) -> Any:
        """Return a new stream that does not wait for the default one."""

    def close_stream(self, stream: Any) -> None:
        """Give a stream back."""

    def stream_handle(self, stream: Any) -> int:
        """Return the number that TensorRT knows a stream by."""

    def synchronise(self, stream: Any) -> None:
        """Wait until all work on a stream is done."""

    def allocate_host(self, n_bytes: int, *, mapped: bool = False) -> HostBuffer:
        """Return page-locked memory; mapped, the GPU reads and writes it in place."""

    def free_host(self, buffer: HostBuffer) -> None:
        """Give page-locked memory back."""

    def allocate_device(self, n_bytes: int) -> DeviceBuffer:
        """Return memory of the GPU."""

    def free_device(self, buffer: DeviceBuffer) -> None:
        """Give memory of the GPU back."""

    def copy_to_device(
        self, device: DeviceBuffer, host: HostBuffer, n_bytes: int, stream: Any
    ) -> None:
        """Put a copy of the first bytes on a stream."""

    def copy_to_host(
        self, host: HostBuffer, device: DeviceBuffer, n_bytes: int, stream: Any
    ) -> None:
        """Put a copy of the first bytes on a stream."""

    def capture(self, stream: Any, work: Callable[[], None]) -> Any:
        """Return a graph of what `work` puts on a stream, ready to be launched; nothing runs.

        What `work` raises is raised, with the stream back in its usual state.
        """

    def launch(self, graph: Any, stream: Any) -> None:
        """Put a graph on a stream."""

    def free_graph(self, graph: Any) -> None:
        """Give a graph back."""

    def open_event(self) -> Any:
        """Return a new event that takes times."""

    def record(self, event: Any, stream: Any) -> None:
        """Put an event on a stream."""

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Return the time between two events that have happened, in ms."""

    def close_event(self, event: Any) -> None:
        """Give an event back."""

    def close(self) -> None:
        """Give the context back, after everything else; closing twice is fine."""


_OUT_OF_MEMORY = (
    "free some: close other programs, or build the engine for fewer and shorter windows (--batch, "
    "--window)"
)
_NO_DEVICE = (
    "see that the NVIDIA driver runs (nvidia-smi, on a Jetson tegrastats) and that "
    "CUDA_VISIBLE_DEVICES hides no GPU"
)
_LOST = (
    "the context is lost: start the program again; if it comes back, build the engine again or see "
    "`dmesg` for the driver's word"
)
_REMEDIES = {
    "CUDA_ERROR_OUT_OF_MEMORY": _OUT_OF_MEMORY,
    "out of memory": _OUT_OF_MEMORY,
    "CUDA_ERROR_NO_DEVICE": _NO_DEVICE,
    "no device": _NO_DEVICE,
    "no driver": _NO_DEVICE,
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH": "reboot: the driver was upgraded under a running kernel",
}
"""What to do, by CUDA's name of an error, or pycuda's words, which has no names."""


def cuda_error(package: str, what: str, doing: str) -> EngineError:
    """Return the error for a call of CUDA that failed.

    Args:
        package: through which it was called.
        what: CUDA's name of the error, or its words.
        doing: what was being done, e.g. `allocating 48,000 bytes of the GPU`.
    """
    remedy = next((r for known, r in _REMEDIES.items() if known in what), _LOST)
    return EngineError(f"CUDA failed with {what} while {doing} ({package}); {remedy}")
