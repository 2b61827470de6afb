"""Execution state of an engine: context, stream, buffers and CUDA graphs."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnMessage
from edge_ser._util.files import replacing
from edge_ser.card import AROUSAL_OUTPUT
from edge_ser.errors import ConfigError, EngineError
from edge_ser.tensorrt.cuda.api import Cuda, DeviceBuffer, HostBuffer
from edge_ser.tensorrt.engine import LoadedEngine


def rtx_cache_path(path: Path) -> Path:
    """Return the path of an engine's kernel cache."""
    return path.with_name(path.name + ".rtx-cache")


class RtxContext:
    """Execution context of TensorRT for RTX with its kernel cache. The GPU must be open.

    Args:
        trt: the module.
        engine: ICudaEngine.
        path: path of the engine.
        on_message: called if the cache cannot be used.
        graphs: whether inferences will be captured. A captured kernel cannot be replaced later, so
            kernels are then specialised for each shape at once instead of in the background.
    """

    def __init__(
        self, trt: Any, engine: Any, path: Path, on_message: OnMessage, *, graphs: bool
    ) -> None:
        self._path, self._on_message = rtx_cache_path(path), on_message
        runtime_config = engine.create_runtime_config()
        runtime_cache = runtime_config.create_runtime_cache()
        self._stored = self._read(runtime_cache)
        runtime_config.set_runtime_cache(runtime_cache)
        if graphs:
            eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
            runtime_config.dynamic_shapes_kernel_specialization_strategy = eager
        self._cache = runtime_cache
        self.context = engine.create_execution_context(runtime_config=runtime_config)
        """IExecutionContext; None if TensorRT cannot create one."""

    def can_capture(self, stream_handle: int) -> bool:
        """Return whether inference with the current shape can be captured as a CUDA graph."""
        context = self.context
        return bool(context.is_stream_capturable(stream_handle))

    def save(self) -> None:
        """Write the kernel cache if it changed."""
        runtime_cache = self._cache
        try:
            data = bytes(runtime_cache.serialize())
            if data and data != self._stored:
                with replacing(self._path) as temporary:
                    temporary.write_bytes(data)
                self._stored = data
        except (ConfigError, OSError, RuntimeError, TypeError) as error:
            self._on_message("warning", f"the kernel cache was not saved: {error}")

    def _read(self, runtime_cache: Any) -> bytes:
        """Load the stored cache; return it if TensorRT accepts it, else empty bytes."""
        try:
            stored = self._path.read_bytes() if self._path.is_file() else b""
            if not stored or runtime_cache.deserialize(stored):
                return stored
            reason = "TensorRT rejects it: it is damaged, or for another GPU or version"
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error)
        self._on_message(
            "warning", f"{self._path} is ignored ({reason}): kernels are compiled again"
        )
        return b""


@dataclass(frozen=True, eq=False)
class Port:
    """Host and device memory of one tensor."""

    name: str
    host: HostBuffer
    device: DeviceBuffer | None
    """None if the GPU accesses the host memory."""

    @property
    def address(self) -> int:
        """Address of the tensor for the GPU."""
        return self.device.address if self.device else self.host.device_address

    def view(self, shape: tuple[int, ...]) -> Float32:
        """Return the host memory as a float32 array of a shape."""
        return self.host.array.view(np.float32)[: prod(shape)].reshape(shape)


def tensor_names(loaded: LoadedEngine, path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the names of an engine's input and outputs.

    Returns:
        The input of the manifest. The outputs: the logits, and the arousal if the card has one.

    Raises:
        EngineError: other tensors, or tensors that are not float32.
    """
    trt, engine, manifest = loaded.tensorrt.module, loaded.engine, loaded.manifest
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
    outputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.OUTPUT]
    others = [n for n in names if engine.get_tensor_dtype(n) != trt.DataType.FLOAT]
    behind = [AROUSAL_OUTPUT] if manifest.card.arousal else []
    logits = [name for name in outputs if name not in behind]
    fits = inputs == [manifest.shapes.input] and set(behind) <= set(outputs)
    if not fits or len(logits) != 1 or others:
        raise EngineError(
            f"{path}: expected input {manifest.shapes.input} and outputs "
            f"{', '.join(['logits', *behind])}, all float32, got inputs "
            f"{', '.join(inputs) or 'none'} and outputs {', '.join(outputs) or 'none'}, not float32: "
            f"{', '.join(others) or 'none'}; build it again: {manifest.rebuild(path)}"
        )
    return inputs[0], (logits[0], *behind)


Float32 = NDArray[np.float32]

MAX_GRAPHS = 8
"""Maximum number of cached graphs, one per input shape; clips shorter than a window add shapes."""

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Timings:
    """GPU time of one inference, measured with CUDA events."""

    to_device_ms: float
    inference_ms: float
    to_host_ms: float


class EngineSession:
    """One engine on one stream. Create and use it within `with cuda:`.

    A graph is captured at the second inference in a row with the same shape and launched from then
    on. The first inference after a change of shape is enqueued, which updates the state that TensorRT
    holds for a shape.

    Args:
        loaded: the engine.
        path: path of the engine, for messages.
        cuda: the open GPU.
        on_message: called if an option cannot be honoured.
        graphs: whether to use CUDA graphs.
        zero_copy: whether the GPU accesses host memory, which is useful on integrated GPUs only.

    Raises:
        EngineError: the GPU is out of memory, or the engine's inputs and outputs differ from its
            manifest; nothing stays allocated.
    """

    def __init__(
        self,
        loaded: LoadedEngine,
        path: Path,
        cuda: Cuda,
        on_message: OnMessage,
        *,
        graphs: bool,
        zero_copy: bool,
    ) -> None:
        self._loaded: LoadedEngine | None = loaded
        self._path, self._cuda, self._on_message = path, cuda, on_message
        self._again = loaded.manifest.rebuild(path)
        self._n_values = (len(loaded.manifest.card.labels), 1)
        """Columns of the outputs: logits, and arousal if present."""
        self._shape: tuple[int, ...] = ()
        self._is_new_shape = True
        self._graphs: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._events: list[Any] = []
        self.uses_graphs = graphs
        largest = loaded.manifest.shapes.maximum
        input_name, output_names = tensor_names(loaded, path)
        with ExitStack() as stack:
            stack.callback(self._drop_engine)
            self._stream = cuda.open_stream()
            stack.callback(cuda.close_stream, self._stream)
            self._stream_handle = cuda.stream_handle(self._stream)
            self._input, *self._outputs = (
                self._open_port(stack, name, prod(shape) * _FLOAT_BYTES, mapped=zero_copy)
                for name, shape in zip(
                    (input_name, *output_names),
                    (largest, *self._output_shapes(largest[0])),
                    strict=False,
                )
            )
            self._open_context(stack, loaded)
            stack.callback(self._free_graphs_and_events)
            stack.callback(cuda.synchronise, self._stream)
            self._set_shape(largest)
            self._stack = stack.pop_all()

    def run(self, inputs: Float32) -> tuple[Float32, ...]:
        """Run the engine on an input within the profile.

        Returns:
            Logits [batch, n_classes], and the arousal [batch, 1] if the engine has one.
        """
        self._put(inputs)
        self._upload()
        self._infer()
        self._download()
        return self._take()

    def run_timed(self, inputs: Float32) -> tuple[tuple[Float32, ...], Timings]:
        """Run the engine as `run` does, and measure the GPU time."""
        cuda, stream = self._cuda, self._stream
        while len(self._events) < 4:
            self._events.append(cuda.open_event())
        begin, uploaded, inferred, end = self._events
        self._put(inputs)
        cuda.record(begin, stream)
        self._upload()
        cuda.record(uploaded, stream)
        self._infer()
        cuda.record(inferred, stream)
        self._download()
        cuda.record(end, stream)
        outputs = self._take()
        steps = ((begin, uploaded), (uploaded, inferred), (inferred, end))
        return outputs, Timings(*(cuda.elapsed_ms(*step) for step in steps))

    def close(self) -> None:
        """Free everything, in reverse order of allocation.

        Raises:
            EngineError: CUDA failed; everything else was freed.
        """
        self._stack.close()

    def _output_shapes(self, n_batch: int) -> tuple[tuple[int, ...], ...]:
        """Return the shape of each possible output."""
        return tuple((n_batch, n) for n in self._n_values)

    def _put(self, inputs: Float32) -> None:
        if inputs.shape != self._shape:
            self._set_shape(inputs.shape)
        np.copyto(self._input_view, inputs)

    def _upload(self) -> None:
        if self._input.device is not None:
            n_bytes = self._input_view.nbytes
            self._cuda.copy_to_device(self._input.device, self._input.host, n_bytes, self._stream)

    def _infer(self) -> None:
        graph = None if self._is_new_shape or not self.uses_graphs else self._graph()
        if graph is None:
            self._enqueue()
        else:
            self._cuda.launch(graph, self._stream)
        self._is_new_shape = False

    def _download(self) -> None:
        for port, view in zip(self._outputs, self._output_views, strict=True):
            if port.device is not None:
                self._cuda.copy_to_host(port.host, port.device, view.nbytes, self._stream)

    def _take(self) -> tuple[Float32, ...]:
        self._cuda.synchronise(self._stream)
        return tuple(view.copy() for view in self._output_views)

    def _set_shape(self, shape: tuple[int, ...]) -> None:
        context = self._context
        # If anything below fails, the next inference sets the shape again.
        self._shape, self._is_new_shape = (), True
        outputs = tuple(zip(self._outputs, self._output_shapes(shape[0]), strict=False))
        if not context.set_input_shape(self._input.name, shape):
            raise self._refusal(f"does not accept an input of shape {list(shape)}")
        for port, size in outputs:
            actual = tuple(context.get_tensor_shape(port.name))
            if actual != size:
                raise self._refusal(
                    f"has output {port.name} {list(actual)}, expected {list(size)} by its manifest"
                )
        for port in (self._input, *self._outputs):
            if not context.set_tensor_address(port.name, port.address):
                raise self._refusal(f"rejects the memory of {port.name}")
        self._input_view = self._input.view(shape)
        self._output_views = tuple(port.view(size) for port, size in outputs)
        self._shape = shape

    def _enqueue(self) -> None:
        context = self._context
        if not context.execute_async_v3(self._stream_handle):
            raise self._refusal(f"does not run on an input of shape {list(self._shape)}")

    def _graph(self) -> Any:
        """Return the CUDA graph of the current shape; None if it cannot be captured."""
        if self._shape in self._graphs:
            self._graphs.move_to_end(self._shape)
            return self._graphs[self._shape]
        try:
            if self._rtx is not None and not self._rtx.can_capture(self._stream_handle):
                raise EngineError("TensorRT cannot capture this engine")
            graph = self._cuda.capture(self._stream, self._enqueue)
        except EngineError as error:
            self.uses_graphs = False
            self._on_message(
                "warning", f"no CUDA graph of {self._path}, each inference is enqueued: {error}"
            )
            return None
        self._graphs[self._shape] = graph
        if len(self._graphs) > MAX_GRAPHS:
            self._cuda.free_graph(self._graphs.popitem(last=False)[1])
        return graph

    def _open_port(self, stack: ExitStack, name: str, n_bytes: int, *, mapped: bool) -> Port:
        cuda = self._cuda
        host = cuda.allocate_host(n_bytes, mapped=mapped)
        stack.callback(cuda.free_host, host)
        if mapped:
            return Port(name, host, None)
        device = cuda.allocate_device(n_bytes)
        stack.callback(cuda.free_device, device)
        return Port(name, host, device)

    def _open_context(self, stack: ExitStack, loaded: LoadedEngine) -> None:
        trt, engine = loaded.tensorrt.module, loaded.engine
        self._rtx: RtxContext | None = None
        stack.callback(self._drop_context)
        if loaded.tensorrt.is_rtx:
            self._rtx = RtxContext(
                trt, engine, self._path, self._on_message, graphs=self.uses_graphs
            )
            self._context = self._rtx.context
        else:
            self._context = engine.create_execution_context()
        if self._context is None:
            raise self._refusal("has no execution context; check that the GPU has free memory")
        if self._rtx is not None:
            stack.callback(self._rtx.save)

    def _free_graphs_and_events(self) -> None:
        cuda = self._cuda
        with ExitStack() as stack:
            for event in self._events:
                stack.callback(cuda.close_event, event)
            for graph in self._graphs.values():
                stack.callback(cuda.free_graph, graph)
            self._events, self._graphs = [], OrderedDict()

    def _drop_context(self) -> None:
        self._context = self._rtx = None

    def _drop_engine(self) -> None:
        self._loaded = None

    def _refusal(self, problem: str) -> EngineError:
        loaded = self._loaded
        reason = "; ".join(loaded.log.errors[-3:]) if loaded else ""
        details = f" ({reason})" if reason else ""
        return EngineError(f"{self._path} {problem}{details}; build it again: {self._again}")
