"""Data types of a build: strongly typed networks, and the type flags of older TensorRT.

TensorRT 10 and later, and TensorRT for RTX, take the types of the graph. TensorRT 8.6, and a DLA of
TensorRT 10, choose types among those that builder flags allow. There an FP16 flag would also move the
logarithms and sums to FP16 that the file keeps in FP32, so the file's types are followed through the
network and those layers are pinned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from edge_ser.errors import EngineError
from edge_ser.precision import Precision


class Progress(Protocol):
    """Receiver of the progress of a build. Phases nest; the steps of a phase count from 0."""

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """Begin a phase, inside another if `parent` is given."""

    def step(self, phase: str, done: int) -> None:
        """Set the number of finished steps of a phase."""

    def finish(self, phase: str) -> None:
        """End a phase, possibly before its last step."""


def strongly_typed_flags(trt: Any) -> int:
    """Return the flags of `create_network` for types from the graph."""
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def check_types(trt: Any, network: Any, precision: Precision) -> None:
    """Check that the types in the graph match the precision record of the file.

    Raises:
        EngineError: they differ; names both.
    """
    quantised = half = False
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        quantised |= layer.type in {trt.LayerType.QUANTIZE, trt.LayerType.DEQUANTIZE}
        for output in range(layer.num_outputs):
            half |= layer.get_output(output).dtype == trt.DataType.HALF
    actual = "+".join(["int8"] * quantised + ["fp16"] * half) or "fp32"
    if actual != precision.kind:
        raise EngineError(
            f"expected the types of an {precision.kind} graph, as in the precision record of the ONNX "
            f"file, got {actual}; make the file again with `edge-ser quantize`"
        )


def watch(trt: Any, config: Any, progress: Progress) -> Sequence[BaseException]:
    """Report the builder's progress; an exception from `progress` stops the build and is returned."""
    raised: list[BaseException] = []

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Progress monitor that lets no exception, Ctrl-C included, cross TensorRT's native code."""

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


def weakly_typed_flags(trt: Any) -> int:
    """Return the flags of `create_network` for types by builder flags."""
    return 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)


def allow_types(trt: Any, config: Any, network: Any, precision: Precision) -> None:
    """Allow the types of the file, and pin the layers that it keeps in FP32."""
    if "int8" in precision.kind:
        config.set_flag(trt.BuilderFlag.INT8)
    if "fp16" not in precision.kind:
        return
    config.set_flag(trt.BuilderFlag.FP16)
    config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    for index in float_layers(trt, network):
        layer = network.get_layer(index)
        layer.precision = trt.float32
        layer.set_output_type(0, trt.float32)


def float_layers(trt: Any, network: Any) -> list[int]:
    """Return the indices of the layers that compute in FP32 in the file.

    A weakly typed network does not hold these types: only casts, constants and integers do. Every
    other layer takes the type of its first input. A layer behind a DequantizeLinear, with its
    activation, is excluded because it becomes INT8.
    """
    kinds = trt.LayerType
    floats = {trt.DataType.FLOAT, trt.DataType.HALF}
    fused = {
        kinds.ACTIVATION,
        kinds.CONVOLUTION,
        kinds.DEQUANTIZE,
        kinds.MATRIX_MULTIPLY,
        kinds.SHUFFLE,
    }
    untouched = {kinds.CAST, kinds.CONSTANT, kinds.QUANTIZE}
    types: dict[str, Any] = {}
    to_int8: set[str] = set()
    indices = []
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        given = [layer.get_input(i) for i in range(layer.num_inputs)]
        names = [tensor.name for tensor in given if tensor is not None]
        tensor = layer.get_output(0)
        dtype = tensor.dtype
        if dtype in floats and layer.type not in {kinds.CONSTANT, kinds.CAST}:
            known = (types.get(name, trt.DataType.FLOAT) for name in names)
            dtype = next((one for one in known if one in floats), trt.DataType.FLOAT)
        types[tensor.name] = dtype
        behind = layer.type == kinds.DEQUANTIZE or not to_int8.isdisjoint(names)
        if behind and layer.type in fused:
            to_int8.add(tensor.name)
        left_out = behind and layer.type in {*fused, kinds.ELEMENTWISE}
        if dtype == trt.DataType.FLOAT and not left_out and layer.type not in untouched:
            indices.append(index)
    return indices
