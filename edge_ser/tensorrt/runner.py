"""TensorRT runner: inference on the GPU that an engine was built for."""

from __future__ import annotations

import logging
import threading
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnMessage
from edge_ser.card import AROUSAL_OUTPUT, ModelCard
from edge_ser.errors import ConfigError, EngineError, ModelError
from edge_ser.inference.base import ModelOutput, Runner
from edge_ser.inference.checks import check_input, finite_logits, probability
from edge_ser.machine.cuda_device import cuda_device
from edge_ser.tensorrt.cuda import open_cuda
from edge_ser.tensorrt.cuda.api import Cuda, DeviceMemory
from edge_ser.tensorrt.engine import load_engine
from edge_ser.tensorrt.session import EngineSession, Timings

Float32 = NDArray[np.float32]


def log(level: str, text: str) -> None:
    """Log a message to the logger `edge_ser.tensorrt`."""
    levels = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}
    logging.getLogger("edge_ser.tensorrt").log(levels.get(level, logging.DEBUG), text)


class TensorRTRunner(Runner):
    """TensorRT engine. The thread that opened it owns it until another calls `take_over`.

    Args:
        path: the engine, with its manifest in the same folder.
        cuda: one of `cuda.CHOICES`.
        cuda_graph: whether to launch inferences as CUDA graphs, which saves CPU time; if that is not
            possible, `on_message` is called once and each inference is enqueued.
        on_message: called with TensorRT's messages, and if an option cannot be honoured.
        zero_copy: let an integrated GPU access host memory instead of copying. Whether it is faster
            depends on the board: measure before use.

    Raises:
        EngineError: the engine does not fit this machine (see `load_engine`), or CUDA fails.
        MissingDependency: TensorRT or a CUDA package is not installed.
        ConfigError: `zero_copy` with a GPU that has its own memory.
    """

    def __init__(
        self,
        path: str | Path,
        cuda: str = "auto",
        cuda_graph: bool = True,
        on_message: OnMessage = log,
        *,
        zero_copy: bool = False,
    ) -> None:
        self.path = Path(path)
        loaded = load_engine(self.path, on_message)
        self._manifest, self._tensorrt = loaded.manifest, loaded.tensorrt
        device = cuda_device()
        self._gpu = f"{device.name} (SM {device.compute_capability})" if device else "GPU"
        self._owner = threading.get_ident()
        self._cuda = open_cuda(cuda)
        session = None
        try:
            if zero_copy and not self._cuda.is_integrated:
                raise ConfigError(
                    f"zero_copy needs an integrated GPU, got {self._gpu}, which has its own memory; "
                    "leave zero_copy out"
                )
            if cuda_graph and not self._cuda.has_graphs:
                on_message(
                    "warning",
                    f"{self._cuda.name} has no CUDA graphs, each inference is enqueued; for graphs "
                    "run: pip install 'edge-ser[tensorrt]'",
                )
            with self._cuda:
                session = EngineSession(
                    loaded,
                    self.path,
                    self._cuda,
                    on_message,
                    graphs=cuda_graph and self._cuda.has_graphs,
                    zero_copy=zero_copy,
                )
        except BaseException:
            _release(session, self._cuda, on_message)
            raise
        self._session = session
        # Without close(), garbage collection and process exit free in the right order too.
        self._release = weakref.finalize(self, _release, self._session, self._cuda, on_message)

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        return self._manifest.card

    @property
    def backend(self) -> str:
        """Library and device, e.g. `tensorrt 10.3.0, Orin (SM 8.7), CUDA graph`."""
        graph = ", CUDA graph" if self._session.uses_graphs else ""
        return f"{self._tensorrt}, {self._gpu}{graph}"

    @property
    def min_window_s(self) -> float:
        """Shortest window of the card and the engine's profile in s, a whole number of hops."""
        card, smallest = self.card, self._manifest.shapes.minimum[-1]
        frontend = card.frontend
        if card.input == "features":
            smallest = frontend.n_samples(smallest)
        hops = -(-smallest // frontend.hop_length)
        return max(card.min_window_s, hops * frontend.hop_length / frontend.sample_rate)

    def run(self, inputs: Float32) -> Float32:
        """Return logits float32 [batch, n_classes]; see `infer`."""
        return self.infer(inputs).logits

    def infer(self, inputs: Float32) -> ModelOutput:
        """Return the logits, and the arousal if the model has one; see `Runner.infer`.

        Raises:
            ModelError: an input outside the engine's profile, or outputs that are not finite.
            EngineError: the runner belongs to another thread or is closed, or the GPU failed.
        """
        self._check(inputs)
        with self._cuda:
            outputs = self._session.run(inputs)
        return self._output(outputs)

    def infer_timed(self, inputs: Float32) -> tuple[ModelOutput, Timings]:
        """Return the output and the GPU time of each step; see `infer`.

        The first two inferences of a shape are slower: the first is enqueued, the second captures the
        graph.
        """
        self._check(inputs)
        with self._cuda:
            outputs, timings = self._session.run_timed(inputs)
        return self._output(outputs), timings

    def take_over(self) -> None:
        """Make the calling thread the owner; check that it can use the GPU.

        Raises:
            EngineError: the runner is closed, or CUDA fails.
        """
        self._check_open()
        with self._cuda:
            self._owner = threading.get_ident()

    def device_memory(self) -> DeviceMemory:
        """Return the GPU memory in use by all processes.

        Raises:
            EngineError: the runner is closed, or CUDA fails.
        """
        self._check_open()
        with self._cuda:
            return self._cuda.memory()

    def close(self) -> None:
        """Free all memory, from any thread; may be called twice."""
        self._release()

    def _output(self, outputs: tuple[Float32, ...]) -> ModelOutput:
        logits, *others = outputs
        arousal = probability(self.path, AROUSAL_OUTPUT, others[0]) if others else None
        return ModelOutput(finite_logits(self.path, logits), arousal)

    def _check(self, inputs: Float32) -> None:
        self._check_open()
        if threading.get_ident() != self._owner:
            raise EngineError(
                f"{self.path} was opened by another thread than {threading.current_thread().name}; "
                "call take_over() in the thread that runs it"
            )
        shapes, rows = self._manifest.shapes, self.card.frontend.n_features
        forms = {"features": ("batch", rows, "frames"), "waveform": ("batch", "samples")}
        check_input(self.path, shapes.input, forms[self.card.input], inputs)
        sides = zip(shapes.minimum, inputs.shape, shapes.maximum, strict=True)
        if not all(low <= size <= high for low, size, high in sides):
            raise ModelError(
                f"{self.path}: expected {shapes.input} from {list(shapes.minimum)} to "
                f"{list(shapes.maximum)}, got {list(inputs.shape)}; choose a window in that range, "
                "or build the engine for other shapes (--window, --batch)"
            )

    def _check_open(self) -> None:
        if not self._release.alive:
            raise EngineError(f"{self.path} was closed; open it again")


def _release(session: EngineSession | None, cuda: Cuda, on_message: OnMessage) -> None:
    """Free a session and its context; report failures through `on_message`."""
    try:
        if session is not None:
            with cuda:
                session.close()
    except EngineError as error:
        on_message("warning", f"not everything was freed: {error}")
    try:
        cuda.close()
    except EngineError as error:
        on_message("warning", f"the GPU was not closed: {error}")
