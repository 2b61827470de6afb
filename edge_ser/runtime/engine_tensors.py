"""An engine's input and outputs: their names, and their memory on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import AROUSAL_OUTPUT
from edge_ser.errors import EngineError
from edge_ser.runtime.cuda.api import DeviceBuffer, HostBuffer
from edge_ser.runtime.engine_file import LoadedEngine

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Port:
    """The memory of one tensor on both sides."""

    name: str
    host: HostBuffer
    device: DeviceBuffer | None
    """None where the GPU works in the host's memory."""

    @property
    def address(self) -> int:
        """Where the GPU finds the tensor."""
        return self.device.address if self.device else self.host.device_address

    def view(self, shape: tuple[int, ...]) -> Float32:
        """Return the host's memory as a tensor."""
        return self.host.array.view(np.float32)[: prod(shape)].reshape(shape)


def tensor_names(loaded: LoadedEngine, path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the names of an engine's input and outputs.

    Returns:
        The input, named as the manifest says. The outputs: the logits, and the arousal where the card
        has one.

    Raises:
        EngineError: others than those, or not in float32.
    """
    trt, engine, manifest = loaded.tensorrt.module, loaded.engine, loaded.manifest
    names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
    inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
    outputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.OUTPUT]
    others = [n for n in names if engine.get_tensor_dtype(n) != trt.DataType.FLOAT]
    behind = [AROUSAL_OUTPUT] if manifest.card.arousal else []
    logits = [name for name in outputs if name not in behind]
    fits = inputs == [manifest.shapes.input] and set(behind) <= set(outputs)
    if not fits or len(logits) != 1 or others:
        raise EngineError(
            f"{path} has inputs {', '.join(inputs) or 'none'} and outputs {', '.join(outputs) or 'none'}"
            f", not float32: {', '.join(others) or 'none'}; wanted: {manifest.shapes.input} and "
            f"{', '.join(['logits', *behind])}, all float32; build it again: {manifest.rebuild(path)}"
        )
    return inputs[0], (logits[0], *behind)
