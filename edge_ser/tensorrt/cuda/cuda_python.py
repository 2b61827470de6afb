"""CUDA through NVIDIA's cuda-python (cuda-bindings): wheels for aarch64, and CUDA graphs."""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
from collections.abc import Callable
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

_MODULES = ("cuda.bindings.driver", "cuda.cuda")
"""Modules of the driver API; cuda-python before 12.6 has only the second."""


def import_driver() -> Any:
    """Import the module of the CUDA driver API.

    Raises:
        ImportError: cuda-python is not installed.
    """
    for name in _MODULES[:-1]:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return importlib.import_module(_MODULES[-1])


class CudaPython(Cuda):
    """Primary context of the first GPU, through cuda-python.

    Args:
        driver: from `import_driver`.

    Raises:
        EngineError: no driver or no GPU.
    """

    has_graphs = True

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._name = f"cuda-python {_version()}"
        try:
            self._call("starting CUDA", driver.cuInit, 0)
        except EngineError:
            raise
        except Exception as error:  # noqa: BLE001 (the type for a missing libcuda differs between versions)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise cuda_error(self._name, f"no driver ({reason})", "starting CUDA") from None
        self._device = self._call("opening the first GPU", driver.cuDeviceGet, 0)
        attribute = driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_INTEGRATED
        self._is_integrated = bool(
            self._call("asking the GPU", driver.cuDeviceGetAttribute, attribute, self._device)
        )
        self._context = self._call(
            "opening the primary context", driver.cuDevicePrimaryCtxRetain, self._device
        )

    @property
    def name(self) -> str:
        """Package and version."""
        return self._name

    @property
    def is_integrated(self) -> bool:
        """Whether the GPU shares the memory of the CPU."""
        return self._is_integrated

    def __enter__(self) -> CudaPython:
        """Make the context current in this thread."""
        if self._context is None:
            raise EngineError("CUDA was closed; open the model again")
        self._call("entering the context", self._driver.cuCtxPushCurrent, self._context)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Restore the previous context."""
        try:
            self._call("leaving the context", self._driver.cuCtxPopCurrent)
        except EngineError:
            # A lost context fails here too; the first error is the relevant one.
            if kind is None:
                raise

    def memory(self) -> DeviceMemory:
        """Return the GPU memory in use."""
        free, total = self._call("asking for the memory", self._driver.cuMemGetInfo)
        return DeviceMemory(int(total) - int(free), int(total))

    def open_stream(self) -> Any:
        """Create a stream."""
        flag = self._driver.CUstream_flags.CU_STREAM_NON_BLOCKING.value
        return self._call("opening a stream", self._driver.cuStreamCreate, flag)

    def close_stream(self, stream: Any) -> None:
        """Destroy a stream."""
        self._call("closing a stream", self._driver.cuStreamDestroy, stream)

    def stream_handle(self, stream: Any) -> int:
        """Return the handle of a stream as an integer."""
        return int(stream)

    def synchronise(self, stream: Any) -> None:
        """Wait until all work on a stream is done."""
        self._call("waiting for the GPU", self._driver.cuStreamSynchronize, stream)

    def allocate_host(self, n_bytes: int, *, mapped: bool = False) -> HostBuffer:
        """Allocate page-locked memory."""
        driver, doing = self._driver, f"allocating {n_bytes:,} bytes of page-locked memory"
        flags = driver.CU_MEMHOSTALLOC_DEVICEMAP if mapped else 0
        address = self._call(doing, driver.cuMemHostAlloc, n_bytes, flags)
        try:
            seen = self._call(doing, driver.cuMemHostGetDevicePointer, address, 0) if mapped else 0
        except EngineError:
            self._call("giving them back", driver.cuMemFreeHost, address)
            raise
        memory = (ctypes.c_uint8 * n_bytes).from_address(int(address))
        return HostBuffer(np.ctypeslib.as_array(memory), int(seen), address)

    def free_host(self, buffer: HostBuffer) -> None:
        """Free page-locked memory."""
        doing = "freeing page-locked memory"
        self._call(doing, self._driver.cuMemFreeHost, buffer.handle)

    def allocate_device(self, n_bytes: int) -> DeviceBuffer:
        """Allocate device memory."""
        doing = f"allocating {n_bytes:,} bytes of the GPU"
        pointer = self._call(doing, self._driver.cuMemAlloc, n_bytes)
        return DeviceBuffer(int(pointer), n_bytes, pointer)

    def free_device(self, buffer: DeviceBuffer) -> None:
        """Free device memory."""
        self._call("freeing memory of the GPU", self._driver.cuMemFree, buffer.handle)

    def copy_to_device(
        self, device: DeviceBuffer, host: HostBuffer, n_bytes: int, stream: Any
    ) -> None:
        """Enqueue a copy."""
        copy = self._driver.cuMemcpyHtoDAsync
        self._call("copying to the GPU", copy, device.handle, host.handle, n_bytes, stream)

    def copy_to_host(
        self, host: HostBuffer, device: DeviceBuffer, n_bytes: int, stream: Any
    ) -> None:
        """Enqueue a copy."""
        copy = self._driver.cuMemcpyDtoHAsync
        self._call("copying from the GPU", copy, host.handle, device.handle, n_bytes, stream)

    def capture(self, stream: Any, work: Callable[[], None]) -> Any:
        """Capture what `work` enqueues on a stream as an executable graph."""
        driver = self._driver
        # Thread-local mode: CUDA calls of other threads do not disturb the capture.
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("beginning a capture", driver.cuStreamBeginCapture, stream, mode)
        try:
            work()
        except BaseException:
            # The failure may have ended the capture already.
            code, graph = driver.cuStreamEndCapture(stream)
            if code == driver.CUresult.CUDA_SUCCESS and int(graph):
                self._call("freeing a captured graph", driver.cuGraphDestroy, graph)
            raise
        graph = self._call("ending a capture", driver.cuStreamEndCapture, stream)
        try:
            made = self._call("instantiating a graph", driver.cuGraphInstantiate, graph, 0)
        finally:
            code = driver.cuGraphDestroy(graph)
        try:
            self._call("freeing a captured graph", lambda: code)
        except EngineError:
            self.free_graph(made)
            raise
        return made

    def launch(self, graph: Any, stream: Any) -> None:
        """Enqueue a graph."""
        self._call("launching a graph", self._driver.cuGraphLaunch, graph, stream)

    def free_graph(self, graph: Any) -> None:
        """Destroy a graph."""
        self._call("freeing a graph", self._driver.cuGraphExecDestroy, graph)

    def open_event(self) -> Any:
        """Create an event."""
        flag = self._driver.CUevent_flags.CU_EVENT_DEFAULT.value
        return self._call("opening an event", self._driver.cuEventCreate, flag)

    def record(self, event: Any, stream: Any) -> None:
        """Enqueue an event."""
        self._call("recording an event", self._driver.cuEventRecord, event, stream)

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Return the time between two events, in ms."""
        return float(self._call("reading a time", self._driver.cuEventElapsedTime, start, end))

    def close_event(self, event: Any) -> None:
        """Destroy an event."""
        self._call("closing an event", self._driver.cuEventDestroy, event)

    def close(self) -> None:
        """Release the context."""
        if self._context is not None:
            self._context = None
            release = self._driver.cuDevicePrimaryCtxRelease
            self._call("closing the primary context", release, self._device)

    def _call(self, doing: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call the driver and return its values without the error code."""
        code, *values = function(*arguments)
        if code != self._driver.CUresult.CUDA_SUCCESS:
            raise cuda_error(self._name, getattr(code, "name", f"error {code}"), doing)
        return values[0] if len(values) == 1 else values


def _version() -> str:
    for package in ("cuda-bindings", "cuda-python"):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "of unknown version"
