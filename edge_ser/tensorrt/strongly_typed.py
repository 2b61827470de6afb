"""TensorRT 10 and later, and TensorRT for RTX: types are those of the graph, and progress is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from edge_ser.errors import EngineError
from edge_ser.precision import Precision


class Progress(Protocol):
    """Hears how far a build is. Phases nest; steps of a phase count from 0."""

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """Begin a phase inside another, or the outermost one."""

    def step(self, phase: str, done: int) -> None:
        """Count the finished steps of a phase."""

    def finish(self, phase: str) -> None:
        """End a phase, early too."""


def network_flags(trt: Any) -> int:
    """Return the flags of `create_network`."""
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def check_types(trt: Any, network: Any, precision: Precision) -> None:
    """See that the graph has the types that the file's record says: they are what gets built.

    Raises:
        EngineError: with both.
    """
    quantised = half = False
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        quantised |= layer.type in {trt.LayerType.QUANTIZE, trt.LayerType.DEQUANTIZE}
        for output in range(layer.num_outputs):
            half |= layer.get_output(output).dtype == trt.DataType.HALF
    found = "+".join(["int8"] * quantised + ["fp16"] * half) or "fp32"
    if found != precision.kind:
        raise EngineError(
            f"the ONNX file says that it is {precision.kind}, the types in its graph are {found}; "
            "make it again with `edge-ser quantize`"
        )


def watch(trt: Any, config: Any, progress: Progress) -> Sequence[BaseException]:
    """Have the builder tell its progress; what `progress` raises stops the build and is returned."""
    raised: list[BaseException] = []

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """No exception may cross TensorRT's own code, Ctrl-C least of all."""

        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._call(progress.start, phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._call(progress.step, phase_name, step + 1)
            return not raised

        def phase_finish(self, phase_name: str) -> None:
            self._call(progress.finish, phase_name)

        @staticmethod
        def _call(function: Any, *arguments: Any) -> None:
            try:
                if not raised:
                    function(*arguments)
            except BaseException as error:  # noqa: BLE001
                raised.append(error)

    config.progress_monitor = Monitor()
    return raised
