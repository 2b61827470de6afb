"""Layers of an ONNX graph: types, precision and multiplications.

Layers are the nodes that multiply by weights: Conv, ConvTranspose, Gemm and MatMul, and their integer
forms. Subgraphs of If, Loop and Scan are ignored.
"""

from __future__ import annotations

import graphlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from edge_ser.errors import ModelError

FRONTEND_PREFIX = "frontend/"
"""Prefix of nodes and tensors of a front end in the graph, set by `quantization.frontend_graph`."""

OPERANDS: Mapping[str, tuple[int, int]] = {
    "Conv": (0, 1),
    "ConvTranspose": (0, 1),
    "Gemm": (0, 1),
    "MatMul": (0, 1),
    "ConvInteger": (0, 1),
    "MatMulInteger": (0, 1),
    "QLinearConv": (0, 3),
    "QLinearMatMul": (0, 3),
}
"""Operator of a layer → indices of its inputs for the activation and the weights."""

UNKNOWN = "unknown"
"""Precision that cannot be derived from the graph."""

_FLOATS: Mapping[int, str] = {
    TensorProto.FLOAT: "FP32",
    TensorProto.FLOAT16: "FP16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.DOUBLE: "FP64",
}


@dataclass(frozen=True)
class Tensor:
    """An input or output of the graph."""

    name: str
    type: str
    """As NumPy names it: `float32`."""
    shape: tuple[int | str, ...]
    """Length of each axis; a name, or `?`, for a dynamic axis."""


@dataclass(frozen=True)
class Layer:
    """One node that multiplies by weights."""

    name: str
    operator: str
    precision: str
    """`FP32`, `FP16`, or `INT8` where both operands come out of a DequantizeLinear (or are integers
    themselves): TensorRT and ONNX Runtime then multiply integers."""
    macs: int | None
    """Multiplications for one window; None if a shape is unknown."""
    n_parameters: int
    """Elements of its weights and bias that are stored in the file."""
    frontend: bool
    """Whether it computes features."""


@dataclass(frozen=True)
class _Type:
    element: int
    shape: tuple[int | None, ...]


def load_model(path: Path) -> onnx.ModelProto:
    """Read an ONNX file.

    Raises:
        ModelError: not ONNX, or damaged.
    """
    try:
        model = onnx.load(str(path))
        _sort(model.graph)
        _check(model)
    except Exception as error:  # noqa: BLE001 (protobuf's and the checker's share no narrower base)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{path} cannot be read as an ONNX model ({reason}); copy or export it again"
        ) from None
    return model


def _check(model: onnx.ModelProto) -> None:
    """Raise for a damaged model; shapes that outputs do not state are no damage."""
    checked = onnx.ModelProto()
    checked.CopyFrom(model)
    for value in (v for v in checked.graph.output if v.type.HasField("tensor_type")):
        value.type.tensor_type.shape.SetInParent()
    onnx.checker.check_model(checked)


def _sort(graph: onnx.GraphProto) -> None:
    """Sort the nodes topologically.

    ONNX requires it, but ONNX Runtime's converter to half precision appends its casts at the end.
    """
    producers = {name: index for index, node in enumerate(graph.node) for name in node.output}
    needs = [{producers[name] for name in n.input if name in producers} for n in graph.node]
    if all(index > max(source, default=-1) for index, source in enumerate(needs)):
        return
    order = graphlib.TopologicalSorter(dict(enumerate(needs))).static_order()
    nodes = [graph.node[index] for index in order]
    del graph.node[:]
    graph.node.extend(nodes)


def tensors(values: Any) -> tuple[Tensor, ...]:
    """Return the declared types and shapes of the graph's inputs or outputs."""
    found = []
    for value in values:
        kind = value.type.tensor_type
        shape = tuple(
            axis.dim_value if axis.HasField("dim_value") else axis.dim_param or "?"
            for axis in kind.shape.dim
        )
        name = str(helper.tensor_dtype_to_np_dtype(kind.elem_type)) if kind.elem_type else UNKNOWN
        found.append(Tensor(value.name, name, shape))
    return tuple(found)


def free_inputs(graph: onnx.GraphProto) -> list[Any]:
    """Return the inputs without an initializer; old files also list initializers as inputs."""
    stored = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in stored]


def count_parameters(graph: onnx.GraphProto) -> tuple[int, int]:
    """Return the number of parameters of the network, and of a front end within the graph.

    Counted are the elements of constant tensors with at least one axis that are floating, or integers
    that a DequantizeLinear makes floating: weights and biases, running statistics, normalisation.
    Scales and zero points of the quantisation are not, so that every precision of a model has the same
    number. Batch normalisation that was folded into a convolution leaves only its bias.
    """
    n_network = n_frontend = 0
    dequantized = {node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    weights = {name for node in graph.node for name in _weights_and_bias(node)}
    about = _quantization_constants(graph)
    for name, tensor in constants(graph).items():
        used = tensor.data_type in _FLOATS or name in dequantized or name in weights
        if tensor.dims and used and name not in about:
            if name.startswith(FRONTEND_PREFIX):
                n_frontend += math.prod(tensor.dims)
            else:
                n_network += math.prod(tensor.dims)
    return n_network, n_frontend


def layers(model: onnx.ModelProto, input_shape: tuple[int, ...] | None) -> tuple[Layer, ...]:
    """Return the graph's layers, in its order.

    Args:
        model: the model.
        input_shape: of its first input, for one window; None for the declared shape, with a batch of 1
            if that axis is dynamic.

    Multiplications (MACs) are those of the matrix products and convolutions themselves:
    Conv, output elements x input channels of a group x kernel; ConvTranspose, input elements x output
    channels of a group x kernel; Gemm and MatMul, output elements x inner length. Additions of the
    bias, activations, pooling and normalisation are not counted.
    """
    graph = model.graph
    types = _infer(model, input_shape)
    stored = constants(graph)
    producers = {name: node for node in graph.node for name in node.output}
    return tuple(
        Layer(
            name=node.name or node.output[0],
            operator=node.op_type,
            precision=_precision(node, types, producers),
            macs=_macs(node, types),
            n_parameters=_layer_parameters(node, stored, producers),
            frontend=(node.name or node.output[0]).startswith(FRONTEND_PREFIX),
        )
        for node in graph.node
        if node.op_type in OPERANDS and node.domain in {"", "ai.onnx"}
    )


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the stored tensors by name, whether initialisers or Constant nodes."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    found[node.output[0]] = attribute.t
    return found


def _quantization_constants(graph: onnx.GraphProto) -> set[str]:
    """Return the names of scales and zero points."""
    indices = {
        "QuantizeLinear": (1, 2),
        "DequantizeLinear": (1, 2),
        "ConvInteger": (2, 3),
        "MatMulInteger": (2, 3),
        "QLinearConv": (1, 2, 4, 5, 6, 7),
        "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    }
    return {
        node.input[index]
        for node in graph.node
        for index in indices.get(node.op_type, ())
        if index < len(node.input)
    }


def _infer(model: onnx.ModelProto, input_shape: tuple[int, ...] | None) -> dict[str, _Type]:
    """Return the types of all tensors whose shapes follow from the input's."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for index, value in enumerate(free_inputs(fixed.graph)):
        axes = value.type.tensor_type.shape.dim
        if index == 0 and input_shape is not None and len(input_shape) == len(axes):
            for axis, length in zip(axes, input_shape, strict=True):
                axis.dim_value = length
        elif axes and not axes[0].HasField("dim_value"):
            axes[0].dim_value = 1
    # Declared outputs and intermediate shapes still name axes that are fixed now.
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        fixed = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    except Exception:  # noqa: BLE001 (a graph whose shapes cannot be inferred still has layers)
        fixed = model
    graph = fixed.graph
    types = {name: _Type(t.data_type, tuple(t.dims)) for name, t in constants(graph).items()}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        axes = [axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim]
        if value.name not in types:
            shape = tuple(axes) if kind.HasField("shape") else (None,)
            types[value.name] = _Type(kind.elem_type, shape)
    return types


def _precision(
    node: onnx.NodeProto, types: Mapping[str, _Type], producers: Mapping[str, onnx.NodeProto]
) -> str:
    activation, weights = (node.input[index] for index in OPERANDS[node.op_type])
    sides = [_integers(name, types, producers) for name in (activation, weights)]
    if all(sides):
        return sides[0] if sides[0] == sides[1] else " x ".join(sides)
    kinds = (types[name].element for name in (activation, weights) if name in types)
    kind = next((_FLOATS[element] for element in kinds if element in _FLOATS), UNKNOWN)
    return f"{kind}, {sides[1]} weights" if sides[1] else kind


def _integers(
    name: str, types: Mapping[str, _Type], producers: Mapping[str, onnx.NodeProto]
) -> str:
    """Return the integer type that a tensor is, or was before DequantizeLinear; empty if neither."""
    producer = producers.get(name)
    if producer is not None and producer.op_type == "DequantizeLinear":
        name = producer.input[0]
    if name not in types or not types[name].element or types[name].element in _FLOATS:
        return ""
    return str(TensorProto.DataType.Name(types[name].element))


def _layer_parameters(
    node: onnx.NodeProto,
    stored: Mapping[str, onnx.TensorProto],
    producers: Mapping[str, onnx.NodeProto],
) -> int:
    total = 0
    for name in _weights_and_bias(node):
        producer = producers.get(name)
        dequantized = producer is not None and producer.op_type == "DequantizeLinear"
        source = producer.input[0] if producer is not None and dequantized else name
        total += math.prod(stored[source].dims) if source in stored else 0
    return total


def _weights_and_bias(node: onnx.NodeProto) -> list[str]:
    """Return the names of a layer's weights and bias, none for other nodes."""
    if node.op_type not in OPERANDS:
        return []
    indices = [OPERANDS[node.op_type][1]]
    indices += [8] if node.op_type == "QLinearConv" else []
    indices += [2] if node.op_type in {"Conv", "ConvTranspose", "Gemm"} else []
    return [node.input[index] for index in indices if index < len(node.input)]


def _macs(node: onnx.NodeProto, types: Mapping[str, _Type]) -> int | None:
    indices = OPERANDS[node.op_type]
    names = (node.input[indices[0]], node.input[indices[1]], node.output[0])
    shapes = [types[name].shape if name in types else (None,) for name in names]
    a, weights, out = shapes
    if any(length is None for shape in shapes for length in shape) or not (a and weights):
        return None
    n_in, n_out = (math.prod(length or 0 for length in shape) for shape in (a, out))
    kernel = math.prod(length or 0 for length in weights[1:])
    if node.op_type == "ConvTranspose":
        return n_in * kernel
    if "Conv" in node.op_type:
        return n_out * kernel
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return n_out * (a[0 if transposed else -1] or 0)
