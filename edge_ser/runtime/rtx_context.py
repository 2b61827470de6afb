"""TensorRT for RTX finishes its kernels on the GPU that runs them; what it made is kept for next time.

The cache stands beside the engine, `NAME.engine.rtx-cache`. TensorRT checks it against the GPU, the
driver and its own version; it spares time only, so nothing about it is ever fatal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_ser._util.callbacks import OnMessage
from edge_ser._util.files import replacing
from edge_ser.errors import ConfigError


def rtx_cache_path(path: Path) -> Path:
    """Return where the kernels of an engine are kept."""
    return path.with_name(path.name + ".rtx-cache")


class RtxContext:
    """An execution context of TensorRT for RTX with its cache of kernels. The GPU has to be open.

    Args:
        trt: the module.
        engine: ICudaEngine.
        path: of the engine.
        on_message: called if the cache is of no use.
        graphs: whether inferences are going to be captured: a captured kernel stays as it is, so each
            shape then gets its own at once instead of later, in the background.
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
        """IExecutionContext; None where TensorRT cannot make one."""

    def can_capture(self, stream_handle: int) -> bool:
        """Return whether an inference of the shape that is set can become a CUDA graph."""
        context = self.context
        return bool(context.is_stream_capturable(stream_handle))

    def save(self) -> None:
        """Keep the kernels, if there are others than before."""
        runtime_cache = self._cache
        try:
            data = bytes(runtime_cache.serialize())
            if data and data != self._stored:
                with replacing(self._path) as temporary:
                    temporary.write_bytes(data)
                self._stored = data
        except (ConfigError, OSError, RuntimeError, TypeError) as error:
            self._on_message("warning", f"the kernels of this run are not kept: {error}")

    def _read(self, runtime_cache: Any) -> bytes:
        """Load what is stored; return it if TensorRT takes it."""
        try:
            stored = self._path.read_bytes() if self._path.is_file() else b""
            if not stored or runtime_cache.deserialize(stored):
                return stored
            reason = "TensorRT does not take it: it is damaged, or of another GPU or version"
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error)
        self._on_message(
            "warning", f"{self._path} is passed over ({reason}): kernels are made anew"
        )
        return b""
