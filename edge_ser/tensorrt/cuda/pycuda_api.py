"""CUDA through pycuda, for systems that already have it. It has no CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_ser.errors import EngineError
from edge_ser.tensorrt.cuda.api import (
    Cuda,
    DeviceBuffer,
    DeviceMemory,
    HostBuffer,
    cuda_error,
)

_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING of cuda.h, for which pycuda has no name."""


@dataclass
class _Held:
    """Holder of a pycuda stream or event, which is freed when its last reference is dropped."""

    thing: Any


class PyCuda(Cuda):
    """Primary context of the first GPU, through pycuda without `pycuda.autoinit`.

    The context is pushed before each operation and popped after it: a thread that ends with a pycuda
    context on its stack aborts the process.

    Args:
        driver: the module `pycuda.driver`.
        version: version of pycuda.

    Raises:
        EngineError: no GPU.
    """

    has_graphs = False

    def __init__(self, driver: Any, version: str) -> None:
        self._driver = driver
        self._name = f"pycuda {version}"
        self._call("starting CUDA", driver.init)
        device = self._call("opening the first GPU", driver.Device, 0)
        flag = driver.device_attribute.INTEGRATED
        self._is_integrated = bool(self._call("asking the GPU", device.get_attribute, flag))
        self._context = self._call("opening the primary context", device.retain_primary_context)

    @property
    def name(self) -> str:
        """Package and version."""
        return self._name

    @property
    def is_integrated(self) -> bool:
        """Whether the GPU shares the memory of the CPU."""
        return self._is_integrated

    def __enter__(self) -> PyCuda:
        """Make the context current in this thread."""
        if self._context is None:
            raise EngineError("CUDA was closed; open the model again")
        self._call("entering the context", self._context.push)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Restore the previous context."""
        try:
            self._call("leaving the context", self._driver.Context.pop)
        except EngineError:
            # A lost context fails here too; the first error is the relevant one.
            if kind is None:
                raise

    def memory(self) -> DeviceMemory:
        """Return the GPU memory in use."""
        free, total = self._call("asking for the memory", self._driver.mem_get_info)
        return DeviceMemory(int(total) - int(free), int(total))

    def open_stream(self) -> Any:
        """Create a stream."""
        return _Held(self._call("opening a stream", self._driver.Stream, _NON_BLOCKING))

    def close_stream(self, stream: Any) -> None:
        """Destroy a stream."""
        stream.thing = None

    def stream_handle(self, stream: Any) -> int:
        """Return the handle of a stream as an integer."""
        return int(stream.thing.handle)

    def synchronise(self, stream: Any) -> None:
        """Wait until all work on a stream is done."""
        self._call("waiting for the GPU", stream.thing.synchronize)

    def allocate_host(self, n_bytes: int, *, mapped: bool = False) -> HostBuffer:
        """Allocate page-locked memory."""
        driver, doing = self._driver, f"allocating {n_bytes:,} bytes of page-locked memory"
        flags = driver.host_alloc_flags.DEVICEMAP if mapped else 0
        array = self._call(
            doing, driver.pagelocked_empty, n_bytes, np.dtype(np.uint8), mem_flags=flags
        )
        try:
            seen = self._call(doing, array.base.get_device_pointer) if mapped else 0
        except EngineError:
            self._call("giving them back", array.base.free)
            raise
        return HostBuffer(array, int(seen), array.base)

    def free_host(self, buffer: HostBuffer) -> None:
        """Free page-locked memory."""
        self._call("freeing page-locked memory", buffer.handle.free)

    def allocate_device(self, n_bytes: int) -> DeviceBuffer:
        """Allocate device memory."""
        doing = f"allocating {n_bytes:,} bytes of the GPU"
        allocation = self._call(doing, self._driver.mem_alloc, n_bytes)
        return DeviceBuffer(int(allocation), n_bytes, allocation)

    def free_device(self, buffer: DeviceBuffer) -> None:
        """Free device memory."""
        self._call("freeing memory of the GPU", buffer.handle.free)

    def copy_to_device(
        self, device: DeviceBuffer, host: HostBuffer, n_bytes: int, stream: Any
    ) -> None:
        """Enqueue a copy."""
        copy = self._driver.memcpy_htod_async
        self._call("copying to the GPU", copy, device.handle, host.array[:n_bytes], stream.thing)

    def copy_to_host(
        self, host: HostBuffer, device: DeviceBuffer, n_bytes: int, stream: Any
    ) -> None:
        """Enqueue a copy."""
        copy = self._driver.memcpy_dtoh_async
        self._call("copying from the GPU", copy, host.array[:n_bytes], device.handle, stream.thing)

    def capture(self, stream: Any, work: Callable[[], None]) -> Any:  # noqa: ARG002
        """Raise EngineError: pycuda has no CUDA graphs."""
        raise EngineError(f"{self._name} has no CUDA graphs; run: pip install 'edge-ser[tensorrt]'")

    def launch(self, graph: Any, stream: Any) -> None:  # noqa: ARG002
        """Raise EngineError: pycuda has no CUDA graphs."""
        self.capture(stream, lambda: None)

    def free_graph(self, graph: Any) -> None:
        """Do nothing: pycuda has no CUDA graphs."""

    def open_event(self) -> Any:
        """Create an event."""
        return _Held(self._call("opening an event", self._driver.Event))

    def record(self, event: Any, stream: Any) -> None:
        """Enqueue an event."""
        self._call("recording an event", event.thing.record, stream.thing)

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Return the time between two events, in ms."""
        return float(self._call("reading a time", start.thing.time_till, end.thing))

    def close_event(self, event: Any) -> None:
        """Destroy an event."""
        event.thing = None

    def close(self) -> None:
        """Release the context."""
        if self._context is not None:
            context, self._context = self._context, None
            # detach() needs the context to be current in the calling thread.
            self._call("closing the primary context", context.push)
            self._call("closing the primary context", context.detach)

    def _call(
        self, doing: str, function: Callable[..., Any], *arguments: Any, **options: Any
    ) -> Any:
        """Call pycuda and convert its errors."""
        try:
            return function(*arguments, **options)
        except self._driver.Error as error:
            routine, _, words = str(error).partition(" failed: ")
            reason = f"{words} ({routine})" if words else str(error)
            raise cuda_error(self._name, reason, doing) from None
