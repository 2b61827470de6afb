"""FP16 as a typed graph: half precision in the nodes, FP32 for nodes that would lose accuracy.

These stay in FP32: nodes before the first layer (features reach -600, where the FP16 step is 0.5),
logarithms, powers, roots, softmax, normalisation, statistics (a variance is the small difference of
two large means), and the arousal branch. Inputs and outputs are float32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16

from edge_ser.errors import CalibrationError
from edge_ser.quantization.layers import WEIGHTED, arousal_branch, consumers, producers

MAX_FLOAT16 = float(np.finfo(np.float16).max)

DELICATE = (
    "BatchNormalization",
    "DequantizeLinear",
    "Exp",
    "InstanceNormalization",
    "LayerNormalization",
    "Log",
    "Pow",
    "QuantizeLinear",
    "Reciprocal",
    "ReduceL2",
    "ReduceLogSumExp",
    "ReduceSumSquare",
    "Softmax",
    "Sqrt",
)
"""Operators that always stay in FP32. (Before opset 19, Q and DQ support no other type.)"""

_SQUARES = ("Mul", "Pow", "Softmax", "Sub")
"""Operators before the sums of a mean and a variance."""


def kept_in_fp32(model: onnx.ModelProto, quantized: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of the nodes that stay in FP32, in the order of the graph.

    Args:
        model: the network; all nodes must be named.
        quantized: layers in INT8: their Q, DQ and bias are FP32.
    """
    first = {value.name for value in model.graph.input}
    kept = {*quantized, *arousal_branch(model)}
    for node in model.graph.node:
        if first & set(node.input) and node.op_type not in WEIGHTED:
            kept.add(node.name)
            first.update(node.output)
    kept |= _statistics(model)
    return tuple(n.name for n in model.graph.node if n.name in kept or n.op_type in DELICATE)


def to_float16(
    model: onnx.ModelProto, largest: Mapping[str, float], quantized: Collection[str] = ()
) -> onnx.ModelProto:
    """Return the network in FP16, except for the nodes of `kept_in_fp32`.

    Args:
        model: the network in FP32, nodes named.
        largest: the largest absolute value of each tensor over the calibration windows.
        quantized: layers in INT8, which are not changed.

    Raises:
        CalibrationError: a value exceeds the FP16 range; names the node.
    """
    kept = kept_in_fp32(model, quantized)
    _refuse_overflow(model, largest, frozenset(kept))
    inferred = onnx.shape_inference.infer_shapes(model)
    halved: onnx.ModelProto = convert_float_to_float16(
        inferred, keep_io_types=True, op_block_list=[], node_block_list=list(kept)
    )
    _drop_round_trips(halved)
    return halved


def _drop_round_trips(model: onnx.ModelProto) -> None:
    """Connect FP32 nodes directly, without a cast to FP16 and back.

    The converter casts to FP16 and back between any two nodes that are kept in FP32, and adds one cast
    for each reader under the same name.
    """
    made_by = producers(model)
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            back = _cast(made_by.get(name), TensorProto.FLOAT)
            there = _cast(made_by.get(back.input[0]), TensorProto.FLOAT16) if back else None
            if there is not None:
                node.input[index] = there.input[0]
    nodes = list({node.output[0]: node for node in model.graph.node}.values())
    outputs = {output.name for output in model.graph.output}
    while True:
        read = outputs.union(*(node.input for node in nodes))
        kept = [node for node in nodes if not read.isdisjoint(node.output)]
        if len(kept) == len(nodes):
            break
        nodes = kept
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    ONNXModel(model).topological_sort()


def _cast(node: onnx.NodeProto | None, to: int) -> onnx.NodeProto | None:
    """Return the node if it casts to this type."""
    if node is None or node.op_type != "Cast" or node.attribute[0].i != to:
        return None
    return node


def _statistics(model: onnx.ModelProto) -> set[str]:
    """Return the nodes that a square root depends on, back to the inputs of the squares and means."""
    made_by, found = producers(model), set()
    waiting = [(node, False) for node in model.graph.node if node.op_type == "Sqrt"]
    while waiting:
        node, averaged = waiting.pop()
        if (
            node.name in found
            or node.op_type in WEIGHTED
            or (averaged and node.op_type not in _SQUARES)
        ):
            continue
        found.add(node.name)
        averaged = averaged or node.op_type.startswith("Reduce")
        if node.op_type != "Softmax":
            waiting += [(made_by[name], averaged) for name in node.input if name in made_by]
    return found


def _refuse_overflow(
    model: onnx.ModelProto, largest: Mapping[str, float], kept: frozenset[str]
) -> None:
    """Raise for values beyond FP16: ONNX Runtime computes in FP32 on a CPU and would not overflow."""
    made_by, users = producers(model), consumers(model)
    order = [*(i.name for i in model.graph.input), *(o for n in model.graph.node for o in n.output)]
    for name, value in ((name, largest[name]) for name in order if name in largest):
        makers = [made_by[name]] if name in made_by else []
        touches = {node.name for node in [*makers, *users[name]]} - kept
        if touches and not value <= MAX_FLOAT16:
            maker = makers[0].name if makers else "the input"
            raise CalibrationError(
                f"{maker} would overflow in FP16: expected values up to {MAX_FLOAT16:g} over the "
                f"calibration windows, got {value:.3g}; keep the model in FP32 or INT8, or scale its "
                "weights down in training"
            )
    for tensor in model.graph.initializer:
        touches = {node.name for node in users[tensor.name]} - kept
        if not touches or tensor.data_type != TensorProto.FLOAT:
            continue
        value = float(np.abs(numpy_helper.to_array(tensor)).max(initial=0.0))
        if not value <= MAX_FLOAT16:
            raise CalibrationError(
                f"the weights of {', '.join(sorted(touches))} would overflow in FP16: expected values "
                f"up to {MAX_FLOAT16:g}, got {value:.3g}; keep the model in FP32 or INT8"
            )
