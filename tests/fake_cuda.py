"""A GPU that is not there: memory, streams, graphs, events, contexts; behind the faces of two packages.

What is put on a stream happens when somebody waits for it, as on a real one: who reads too early sees
stale memory. Everything that is opened is counted until it is closed, every call is kept in `journal`,
and any call can be made to fail.
"""

# ruff: noqa: ARG002, N802  (names and parameters are the driver's)

from __future__ import annotations

import contextlib
import ctypes
import enum
import itertools
import threading
import types
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

ERRORS = {
    "CUDA_SUCCESS": (0, ""),
    "CUDA_ERROR_INVALID_VALUE": (1, "invalid value"),
    "CUDA_ERROR_OUT_OF_MEMORY": (2, "out of memory"),
    "CUDA_ERROR_NO_DEVICE": (100, "no device"),
    "CUDA_ERROR_INVALID_CONTEXT": (201, "invalid context"),
    "CUDA_ERROR_LAUNCH_FAILED": (719, "launch failed"),
    "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED": (900, "stream capture unsupported"),
}
"""Code and pycuda's words of the errors that the fakes know."""

PRIMARY = 0xC0DE
"""The primary context."""


class CudaFailure(Exception):
    """A call that returned one of ERRORS."""


class FakeGpu:
    """The GPU and its driver. Its methods named cu… are the driver's, without error codes.

    Args:
        journal: gets the name of each call.
        integrated: whether it shares the memory of the CPU.
    """

    def __init__(self, journal: list[str] | None = None, *, integrated: bool = False) -> None:
        self.journal = [] if journal is None else journal
        self.integrated = integrated
        self.live: Counter[str] = Counter()
        self.opened: Counter[str] = Counter()
        self.wrongs: list[str] = []
        self.failed: list[str] = []
        self.n_calls = 0
        self._open: dict[tuple[str, int], Any] = {}
        self._graveyard: list[Any] = []
        self._numbers = itertools.count(1000)
        self._failures: list[tuple[Callable[[str, int], bool], str]] = []
        self._local = threading.local()
        self._clock_ms = 0.0
        self._capture: list[Callable[[], None]] | None = None
        self.capture_is_void = False

    # --- the script ----------------------------------------------------------------------

    def fail(self, name: str, error: str, *, after: int = 0) -> None:
        """Let each call of a function fail, after so many good ones."""
        seen = itertools.count()
        self._failures.append((lambda n, _: n == name and next(seen) >= after, error))

    def fail_call(self, number: int, error: str = "CUDA_ERROR_LAUNCH_FAILED") -> None:
        """Let one call fail, counted from 1 over all functions."""
        self._failures.append((lambda _, n: n == number, error))

    def heal(self) -> None:
        """Let nothing fail any more."""
        self._failures.clear()

    def contexts(self) -> list[int]:
        """Return the contexts on the calling thread's stack."""
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        return self._local.stack

    def n_live(self) -> int:
        """Return how much is open, of all kinds."""
        return sum(self.live.values())

    # --- what the faces call ---------------------------------------------------------------

    def call(self, name: str, *arguments: Any) -> Any:
        """Call one of the methods below."""
        self.n_calls += 1
        self.journal.append(name)
        for fits, error in self._failures:
            if fits(name, self.n_calls):
                self.failed.append(name)
                raise CudaFailure(error)
        free_of_context = {"cuInit", "cuDeviceGet", "cuDeviceGetAttribute", "cuCtxPushCurrent"}
        if name not in free_of_context and not name.startswith("cuDevicePrimary"):
            self._require(PRIMARY in self.contexts()[-1:], name, "CUDA_ERROR_INVALID_CONTEXT")
        return getattr(self, name)(*arguments)

    def put(self, stream: Any, work: Callable[[], None]) -> None:
        """Put work on a stream, or into the graph that is captured."""
        queue = self._get("stream", stream)
        (queue if self._capture is None else self._capture).append(work)

    def memory(self, address: int, n_bytes: int) -> np.ndarray:
        """Return memory [n_bytes] that the GPU sees."""
        for (kind, start), buffer in self._open.items():
            if kind in {"device", "mapped"} and start <= address < start + len(buffer):
                self._require(address + n_bytes <= start + len(buffer), "access beyond the end")
                return np.frombuffer(buffer, np.uint8)[address - start :][:n_bytes]
        raise self._wrong(f"access to {address:#x}, which is nobody's")

    def _wrong(self, what: str, error: str = "CUDA_ERROR_INVALID_VALUE") -> CudaFailure:
        self.wrongs.append(what)
        return CudaFailure(error)

    def _require(self, holds: bool, what: str, error: str = "CUDA_ERROR_INVALID_VALUE") -> None:
        if not holds:
            raise self._wrong(what, error)

    def _start(self, kind: str, thing: Any, number: int = 0) -> int:
        number = number or next(self._numbers)
        self._open[kind, number] = thing
        self.live[kind] += 1
        self.opened[kind] += 1
        return number

    def _get(self, kind: str, handle: Any) -> Any:
        self._require((kind, int(handle)) in self._open, f"use of a {kind} that is not open")
        return self._open[kind, int(handle)]

    def _end(self, kind: str, handle: Any) -> Any:
        thing = self._get(kind, handle)
        del self._open[kind, int(handle)]
        self.live[kind] -= 1
        return thing

    def _allocate(self, kind: str, n_bytes: int) -> int:
        buffer = (ctypes.c_uint8 * n_bytes)()
        ctypes.memset(buffer, 0xFF, n_bytes)  # as float32, not a number
        return self._start(kind, buffer, ctypes.addressof(buffer))

    def _bury(self, buffer: Any) -> None:
        busy = [q for (kind, _), q in self._open.items() if kind == "stream" and q]
        self._require(not busy, "memory freed while a stream is at work")
        ctypes.memset(buffer, 0xFF, len(buffer))
        self._graveyard.append(buffer)

    # --- the driver ------------------------------------------------------------------------

    def cuInit(self, flags: int) -> None:
        """Start."""

    def cuDeviceGet(self, ordinal: int) -> int:
        return ordinal

    def cuDeviceGetAttribute(self, attribute: int, device: int) -> int:
        self._require(int(attribute) == 18, "only CU_DEVICE_ATTRIBUTE_INTEGRATED is known")
        return int(self.integrated)

    def cuDevicePrimaryCtxRetain(self, device: int) -> int:
        self.live["context"] += 1
        return PRIMARY

    def cuDevicePrimaryCtxRelease(self, device: int) -> None:
        self._require(self.live["context"] > 0, "context released too often")
        others = sum(self.live.values()) - self.live["context"]
        self._require(self.live["context"] > 1 or not others, "context released before its things")
        self.live["context"] -= 1

    def cuCtxPushCurrent(self, context: Any) -> None:
        self.contexts().append(int(context))

    def cuCtxPopCurrent(self) -> int:
        return self.contexts().pop()

    def cuMemGetInfo(self) -> tuple[int, int]:
        used = sum(len(b) for (kind, _), b in self._open.items() if kind == "device")
        return 1_000_000 - used, 1_000_000

    def cuStreamCreate(self, flags: int) -> int:
        self._require(flags == 1, "a stream that waits for the default one")
        return self._start("stream", [])

    def cuStreamDestroy(self, stream: Any) -> None:
        self._require(not self._end("stream", stream), "a stream destroyed at work")

    def cuStreamSynchronize(self, stream: Any) -> None:
        queue = self._get("stream", stream)
        self._require(self._capture is None, "waiting within a capture")
        while queue:
            queue.pop(0)()

    def cuMemHostAlloc(self, n_bytes: int, flags: int) -> int:
        return self._allocate("mapped" if flags & 2 else "host", n_bytes)

    def cuMemHostGetDevicePointer(self, address: Any, flags: int) -> int:
        self._get("mapped", address)
        return int(address)

    def cuMemFreeHost(self, address: Any) -> None:
        kind = "mapped" if ("mapped", int(address)) in self._open else "host"
        self._bury(self._end(kind, address))

    def cuMemAlloc(self, n_bytes: int) -> int:
        return self._allocate("device", n_bytes)

    def cuMemFree(self, address: Any) -> None:
        self._bury(self._end("device", address))

    def cuMemcpyHtoDAsync(self, to: Any, host: Any, n_bytes: int, stream: Any) -> None:
        source = self._get("host", host)
        self.memory(int(to), n_bytes)
        self.put(stream, lambda: ctypes.memmove(int(to), source, n_bytes) and None)

    def cuMemcpyDtoHAsync(self, host: Any, source: Any, n_bytes: int, stream: Any) -> None:
        to = self._get("host", host)
        self.memory(int(source), n_bytes)
        self.put(stream, lambda: ctypes.memmove(to, int(source), n_bytes) and None)

    def cuStreamBeginCapture(self, stream: Any, mode: int) -> None:
        self._get("stream", stream)
        self._require(self._capture is None and int(mode) == 1, "a capture, thread-local")
        self._capture = []

    def cuStreamEndCapture(self, stream: Any) -> int:
        work, self._capture = self._capture, None
        self._require(work is not None, "no capture to end")
        if self.capture_is_void:
            raise CudaFailure("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")
        return self._start("template", work)

    def cuGraphInstantiate(self, template: Any, flags: int) -> int:
        return self._start("graph", tuple(self._get("template", template)))

    def cuGraphDestroy(self, template: Any) -> None:
        self._end("template", template)

    def cuGraphLaunch(self, graph: Any, stream: Any) -> None:
        for work in self._get("graph", graph):
            self.put(stream, work)

    def cuGraphExecDestroy(self, graph: Any) -> None:
        self._end("graph", graph)

    def cuEventCreate(self, flags: int) -> int:
        self._require(flags == 0, "an event that takes no times")
        return self._start("event", [])

    def cuEventRecord(self, event: Any, stream: Any) -> None:
        times = self._get("event", event)

        def tick() -> None:
            self._clock_ms += 0.5
            times[:] = [self._clock_ms]

        self.put(stream, tick)

    def cuEventElapsedTime(self, start: Any, end: Any) -> float:
        begun, ended = self._get("event", start), self._get("event", end)
        self._require(bool(begun and ended), "a time read before it came")
        return ended[0] - begun[0]

    def cuEventDestroy(self, event: Any) -> None:
        self._end("event", event)


DRIVER = sorted(name for name in vars(FakeGpu) if name.startswith("cu"))
"""The driver's functions that the fakes have."""


class Handle:
    """What cuda-bindings returns for a pointer: an object that is a number when asked."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __int__(self) -> int:
        return self._number


class FakeDriver(types.ModuleType):
    """`cuda.bindings.driver`: each function returns its error code and its values."""

    CUresult = enum.IntEnum("CUresult", {name: code for name, (code, _) in ERRORS.items()})
    CUdevice_attribute = enum.IntEnum("CUdevice_attribute", {"CU_DEVICE_ATTRIBUTE_INTEGRATED": 18})
    CUstream_flags = enum.IntEnum(
        "CUstream_flags", {"CU_STREAM_DEFAULT": 0, "CU_STREAM_NON_BLOCKING": 1}
    )
    CUevent_flags = enum.IntEnum("CUevent_flags", {"CU_EVENT_DEFAULT": 0})
    CUstreamCaptureMode = enum.IntEnum(
        "CUstreamCaptureMode",
        {"CU_STREAM_CAPTURE_MODE_GLOBAL": 0, "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL": 1},
    )
    CU_MEMHOSTALLOC_DEVICEMAP = 2

    _POINTERS = frozenset(
        {
            "cuDevicePrimaryCtxRetain",
            "cuStreamCreate",
            "cuMemAlloc",
            "cuStreamEndCapture",
            "cuGraphInstantiate",
            "cuEventCreate",
            "cuMemHostGetDevicePointer",
        }
    )

    def __init__(self, gpu: FakeGpu) -> None:
        super().__init__("cuda.bindings.driver")
        self._gpu = gpu

    def __getattr__(self, name: str) -> Any:
        if name not in DRIVER:
            raise AttributeError(f"module 'cuda.bindings.driver' has no attribute {name!r}")

        def function(*arguments: Any) -> tuple[Any, ...]:
            try:
                value = self._gpu.call(name, *arguments)
            except CudaFailure as failure:
                empty = (None,) if name in self._POINTERS else ()
                return (self.CUresult[str(failure)], *empty)
            if name in self._POINTERS:
                return (self.CUresult.CUDA_SUCCESS, Handle(value))
            if value is None:
                return (self.CUresult.CUDA_SUCCESS,)
            values = value if isinstance(value, tuple) else (value,)
            return (self.CUresult.CUDA_SUCCESS, *values)

        return function


class FakePycuda(types.ModuleType):
    """`pycuda.driver`: raises its own errors, and frees streams and events when nobody holds them."""

    class Error(Exception):
        """Base of pycuda's errors."""

    device_attribute = types.SimpleNamespace(INTEGRATED=18)
    host_alloc_flags = types.SimpleNamespace(DEVICEMAP=2)

    def __init__(self, gpu: FakeGpu) -> None:
        super().__init__("pycuda.driver")
        self.gpu = gpu
        self.Context = _Context(self)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call the driver."""
        try:
            return self.gpu.call(name, *arguments)
        except CudaFailure as failure:
            raise self.Error(f"{name} failed: {ERRORS[str(failure)][1]}") from None

    def init(self, flags: int = 0) -> None:
        self.call("cuInit", flags)

    def Device(self, number: int) -> _Device:
        self.call("cuDeviceGet", number)
        return _Device(self)

    def Stream(self, flags: int = 0) -> _Stream:
        return _Stream(self, self.call("cuStreamCreate", flags))

    def Event(self, flags: int = 0) -> _Event:
        return _Event(self, self.call("cuEventCreate", flags))

    def mem_alloc(self, n_bytes: int) -> _Allocation:
        return _Allocation(self, self.call("cuMemAlloc", n_bytes))

    def mem_get_info(self) -> tuple[int, int]:
        return self.call("cuMemGetInfo")

    def pagelocked_empty(
        self, shape: int, dtype: np.dtype, order: str = "C", mem_flags: int = 0
    ) -> np.ndarray:
        address = self.call("cuMemHostAlloc", shape * dtype.itemsize, mem_flags)
        memory = (ctypes.c_uint8 * (shape * dtype.itemsize)).from_address(address)
        array = np.ctypeslib.as_array(memory).view(_HostArray)
        array.allocation = _HostAllocation(self, address)
        return array

    def memcpy_htod_async(self, to: Any, source: np.ndarray, stream: Any) -> None:
        self.call("cuMemcpyHtoDAsync", to, source.ctypes.data, source.nbytes, stream)

    def memcpy_dtoh_async(self, to: np.ndarray, source: Any, stream: Any) -> None:
        self.call("cuMemcpyDtoHAsync", to.ctypes.data, source, to.nbytes, stream)


class _HostArray(np.ndarray):
    """An array whose base is pycuda's allocation."""

    @property
    def base(self) -> Any:
        return self.allocation


class _Numbered:
    """Something of pycuda's with a number."""

    destroy = ""

    def __init__(self, face: FakePycuda, handle: int) -> None:
        self.face, self.handle = face, handle

    def __int__(self) -> int:
        return self.handle

    def __del__(self) -> None:
        # Destructors of pycuda's warn at most.
        if self.destroy:
            with contextlib.suppress(self.face.Error):
                self.face.call(self.destroy, self.handle)


class _Stream(_Numbered):
    destroy = "cuStreamDestroy"

    def synchronize(self) -> None:
        self.face.call("cuStreamSynchronize", self)


class _Event(_Numbered):
    destroy = "cuEventDestroy"

    def record(self, stream: _Stream) -> _Event:
        self.face.call("cuEventRecord", self, stream)
        return self

    def time_till(self, other: _Event) -> float:
        return self.face.call("cuEventElapsedTime", self, other)


class _Allocation(_Numbered):
    def free(self) -> None:
        self.face.call("cuMemFree", self)


class _HostAllocation(_Numbered):
    def free(self) -> None:
        self.face.call("cuMemFreeHost", self)

    def get_device_pointer(self) -> int:
        return self.face.call("cuMemHostGetDevicePointer", self, 0)


class _Context:
    def __init__(self, face: FakePycuda) -> None:
        self._face = face

    def push(self) -> None:
        self._face.call("cuCtxPushCurrent", PRIMARY)

    def pop(self) -> None:
        self._face.call("cuCtxPopCurrent")

    def detach(self) -> None:
        self._face.call("cuDevicePrimaryCtxRelease", 0)
        self._face.gpu.contexts().pop()


class _Device:
    def __init__(self, face: FakePycuda) -> None:
        self._face = face

    def get_attribute(self, attribute: int) -> int:
        return self._face.call("cuDeviceGetAttribute", attribute, 0)

    def retain_primary_context(self) -> _Context:
        self._face.call("cuDevicePrimaryCtxRetain", 0)
        return self._face.Context


def faces(gpu: FakeGpu) -> Iterator[tuple[str, types.ModuleType]]:
    """Yield the modules that the packages would be imported as."""
    yield "cuda.bindings.driver", FakeDriver(gpu)
    yield "pycuda.driver", FakePycuda(gpu)
    pycuda = types.ModuleType("pycuda")
    pycuda.VERSION_TEXT = "2026.1"
    yield "pycuda", pycuda
