"""Place QuantizeLinear and DequantizeLinear so that ONNX Runtime and TensorRT use INT8 kernels.

Weights and the inputs and outputs of quantised layers become INT8, symmetric, zero point 0; biases
stay float (TensorRT's parser rejects an INT32 bias behind DequantizeLinear). On x86, ONNX Runtime
fuses a layer only if every Q has exactly one DQ and every DQ one reader; `prepared` and
`_one_reader_each` arrange the graph accordingly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from edge_ser.quantization.layers import WEIGHTED, consumers, producers


def prepared(model: onnx.ModelProto, layers: Collection[str]) -> onnx.ModelProto:
    """Return an equivalent graph that is suitable for quantisation.

    A batch normalisation before Gemms is folded into them. For a layer whose output several nodes
    read, the bias becomes an Add behind it, which is then the only reader of the layer's output.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    _fold_normalization(changed)
    _split_biases(changed, layers)
    return changed


def with_qdq(
    model: onnx.ModelProto, layers: Sequence[str], ranges: TensorsData, per_channel: bool
) -> onnx.ModelProto:
    """Return a `prepared` model with these layers in INT8.

    Args:
        model: the float model.
        layers: names of the nodes to quantise.
        ranges: activation ranges around them, from `activation_ranges`.
        per_channel: whether each output channel of the weights has its own scale.
    """
    copy = onnx.shape_inference.infer_shapes(model)
    if not layers:
        return copy
    quantizer = QDQQuantizer(
        copy,
        per_channel,
        False,  # noqa: FBT003 (reduce_range, a positional parameter of onnxruntime)
        QuantType.QInt8,
        QuantType.QInt8,
        ranges,
        list(layers),
        [],
        list(WEIGHTED),
        {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )
    quantizer.quantize_model()
    changed: onnx.ModelProto = quantizer.model.model
    _one_reader_each(changed, frozenset(layers))
    return changed


def _one_reader_each(model: onnx.ModelProto, layers: Collection[str]) -> None:
    """Make float nodes read float tensors, and give each quantised layer its own Q and DQ.

    The network's outputs are made float too.
    """
    made_by, taken = producers(model), Counter[str]()
    added = []
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            pair = _pair_before(name, made_by)
            if pair is None:
                continue
            source = pair[0].input[0]
            if node.name in layers:
                taken[source] += 1
                if taken[source] > 1:
                    added += _copied(pair, taken[source])
                    node.input[index] = added[-1].output[0]
            elif source not in made_by or made_by[source].name not in layers:
                node.input[index] = source
    model.graph.node.extend(added)
    for output in model.graph.output:
        pair = _pair_before(output.name, made_by)
        if pair is not None:
            made_by[pair[0].input[0]].output[0] = output.name
            for node in pair:
                model.graph.node.remove(node)
    ONNXModel(model).topological_sort()


def _pair_before(
    name: str, made_by: dict[str, onnx.NodeProto]
) -> tuple[onnx.NodeProto, onnx.NodeProto] | None:
    """Return the Q and DQ that produce a tensor; None without both, as for weights (DQ only)."""
    after = made_by.get(name)
    if after is None or after.op_type != "DequantizeLinear":
        return None
    before = made_by.get(after.input[0])
    return None if before is None else (before, after)


def _copied(pair: tuple[onnx.NodeProto, onnx.NodeProto], number: int) -> list[onnx.NodeProto]:
    """Return another Q and DQ of the same tensor and scale.

    ONNX Runtime merges equal nodes. The axis has no effect with a single scale, but makes the copies
    differ.
    """
    copies = []
    for node in pair:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name, copy.output[0] = f"{node.name}_{number}", f"{node.output[0]}_{number}"
        copies.append(copy)
    copies[1].input[0] = copies[0].output[0]
    copies[0].attribute.append(helper.make_attribute("axis", -(number - 1)))
    return copies


def _fold_normalization(model: onnx.ModelProto) -> None:
    """Fold BatchNormalization into the Gemms if they are its only readers: classifier and arousal.

    W (a x + b) + c = (W a) x + (W b + c), with a = scale / sqrt(variance + epsilon) and
    b = bias - a * mean.
    """
    users = consumers(model)
    outputs = {output.name for output in model.graph.output}
    stored = {tensor.name for tensor in model.graph.initializer}
    for norm in [node for node in model.graph.node if node.op_type == "BatchNormalization"]:
        gemms = users[norm.output[0]]
        constants = {*norm.input[1:5], *(name for gemm in gemms for name in gemm.input[1:])}
        if norm.output[0] in outputs or not constants <= stored:
            continue
        if not all(_foldable(gemm, norm, users) for gemm in gemms):
            continue
        scale, bias, mean, variance = (_values(model, name) for name in norm.input[1:5])
        a = scale / np.sqrt(variance + _attributes(norm).get("epsilon", 1e-5))
        for gemm in gemms:
            _fold(model, gemm, a, bias - a * mean)
            gemm.input[0] = norm.input[0]
        model.graph.node.remove(norm)
        _drop_unread(model)


def _foldable(
    gemm: onnx.NodeProto, norm: onnx.NodeProto, users: dict[str, list[onnx.NodeProto]]
) -> bool:
    """Return whether a node is a plain Gemm of the normalised tensor, with unshared weights."""
    if gemm.op_type != "Gemm" or len(gemm.input) != 3 or gemm.input[0] != norm.output[0]:
        return False
    attributes = _attributes(gemm)
    factors = (attributes.get("alpha", 1.0), attributes.get("beta", 1.0))
    shared = any(len(users[name]) > 1 for name in gemm.input[1:])
    return not shared and not attributes.get("transA") and factors == (1.0, 1.0)


def _fold(
    model: onnx.ModelProto, gemm: onnx.NodeProto, a: NDArray[np.float64], b: NDArray[np.float64]
) -> None:
    """Change a Gemm so that its output for x is the former output for a x + b."""
    transposed = _attributes(gemm).get("transB")
    weights, constant = (_values(model, name) for name in gemm.input[1:3])
    along = weights.T if transposed else weights
    _replace(model, gemm.input[2], constant + b @ along)
    _replace(model, gemm.input[1], weights * (a if transposed else a[:, None]))


def _split_biases(model: onnx.ModelProto, layers: Collection[str]) -> None:
    users = consumers(model)
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        output = node.output[0]
        if node.name not in layers or len(node.input) != 3 or len(users[output]) < 2:
            continue
        bias = _values(model, node.input[2])
        if node.op_type == "Conv":
            rank = len(_values(model, node.input[1]).shape)
            bias = bias.reshape(-1, *[1] * (rank - 2))
        name = f"{node.name}_bias"
        model.graph.initializer.append(numpy_helper.from_array(bias.astype(np.float32), name))
        del node.input[2]
        node.output[0] = f"{output}_unbiased"
        nodes.append(helper.make_node("Add", [node.output[0], name], [output], name=name))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _drop_unread(model)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _values(model: onnx.ModelProto, name: str) -> NDArray[np.float64]:
    tensor = next(t for t in model.graph.initializer if t.name == name)
    return np.asarray(numpy_helper.to_array(tensor), dtype=np.float64)


def _replace(model: onnx.ModelProto, name: str, values: NDArray[np.float64]) -> None:
    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))


def _drop_unread(model: onnx.ModelProto) -> None:
    read = {name for node in model.graph.node for name in node.input}
    used = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(used)
