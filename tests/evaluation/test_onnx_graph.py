"""What is counted in a graph: against sums done by hand, other forms of the same model, its card."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support import absent

from edge_ser.errors import ModelError
from edge_ser.evaluation.onnx_graph import (
    FRONTEND_PREFIX,
    count_parameters,
    layers,
    load_model,
    tensors,
)
from edge_ser.inference.loader import bundled_model, open_runner
from edge_ser.quantization.frontend_graph import frontend_graph, with_frontend


def graph_of(
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    shape: list[int | str],
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "by hand",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def numbers(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.ones(shape, dtype=dtype)


@pytest.fixture
def network() -> onnx.ModelProto:
    """Every counted operator once, for 20 frames of 4 features."""
    node = helper.make_node
    return graph_of(
        [
            node("Conv", ["x", "w1", "b1"], ["a"], "strided", strides=[2], pads=[1, 1]),
            node("Conv", ["a", "w2"], ["b"], "grouped", group=3),
            node("ConvTranspose", ["b", "w3"], ["c"], "wider", strides=[2]),
            node("MatMul", ["c", "w4"], ["d"], "product"),
            node("Flatten", ["d"], ["e"], "flat"),
            node("Gemm", ["e", "w5", "b5"], ["y"], "head", transB=1),
        ],
        {
            "w1": numbers(6, 4, 3),
            "b1": numbers(6),
            "w2": numbers(9, 2, 5),
            "w3": numbers(9, 2, 4),
            "w4": numbers(14, 7),
            "w5": numbers(3, 14),
            "b5": numbers(3),
        },
        ["batch", 4, "frames"],
    )


def test_multiplications_of_a_tiny_network(network):
    found = {layer.name: layer.macs for layer in layers(network, (1, 4, 20))}

    # frames: (20 + 2 - 3) // 2 + 1 = 10, then 10 - 4 = 6, then (6 - 1) * 2 + 4 = 14
    assert found == {
        "strided": 6 * 10 * (4 * 3),
        "grouped": 9 * 6 * (2 * 5),
        "wider": (9 * 6) * (2 * 4),
        "product": (2 * 7) * 14,
        "head": 3 * 14,
    }


def test_parameters_of_a_tiny_network(network):
    own = {layer.name: layer.n_parameters for layer in layers(network, None)}

    assert own == {"strided": 78, "grouped": 90, "wider": 72, "product": 98, "head": 45}
    assert count_parameters(network.graph) == (78 + 90 + 72 + 98 + 45, 0)


def test_work_is_unknown_where_the_length_is_open_and_known_for_a_batch_that_is(network):
    assert {layer.macs for layer in layers(network, None)[:-1]} == {None}

    network.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 20
    assert [layer.macs for layer in layers(network, None)] == [
        layer.macs for layer in layers(network, (1, 4, 20))
    ]


def test_a_transposed_gemm_has_another_inner_length():
    node = helper.make_node("Gemm", ["x", "w"], ["y"], "g", transA=1)
    (layer,) = layers(graph_of([node], {"w": numbers(5, 2)}, [5, 3]), None)
    assert layer.macs == 3 * 5 * 2


def test_the_bundled_model_has_the_parameters_of_its_card():
    model = load_model(bundled_model())
    card = open_runner().card
    stored, frontend = count_parameters(model.graph)
    normalization = 2 * card.frontend.n_features
    shapes = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    statistics = sum(n for name, n in shapes.items() if ".running_" in name)
    # What batch normalisation trains, a scale and a bias, became the bias of a convolution.
    folded = sum(n for name, n in shapes.items() if name.startswith("onnx::Conv") and n <= 128)

    assert frontend == 0
    assert stored - normalization - statistics + folded == card.n_parameters


def test_the_front_end_in_the_graph_is_counted_apart():
    card = open_runner().card
    network = load_model(bundled_model())
    whole = with_frontend(network, card.frontend)
    n_samples = round(card.window_s * card.frontend.sample_rate)
    n_frames = card.frontend.n_frames(n_samples)

    heard = layers(whole, (1, n_samples))
    alone = layers(network, (1, card.frontend.n_features, n_frames))

    assert [layer for layer in heard if not layer.frontend] == list(alone)
    assert heard[0].name.startswith(FRONTEND_PREFIX)
    in_front = layers(frontend_graph(card.frontend), (1, n_samples))
    assert [x.macs for x in heard if x.frontend] == [x.macs for x in in_front]
    stored, frontend = count_parameters(whole.graph)
    assert stored == count_parameters(network.graph)[0]
    assert frontend == sum(layer.n_parameters for layer in heard if layer.frontend)


def quantized(name: str, kind: type = np.int8) -> tuple[list[onnx.NodeProto], dict]:
    """Return Q and DQ around the tensor `name`, which comes out as `name_dq`."""
    scale, zero = f"{name}_scale", f"{name}_zero"
    nodes = [
        helper.make_node("QuantizeLinear", [name, scale, zero], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", scale, zero], [f"{name}_dq"]),
    ]
    return nodes, {scale: np.array(0.1, np.float32), zero: np.array(0, kind)}


@pytest.mark.parametrize(
    ("activation", "weights", "expected"),
    [
        (None, None, "FP32"),
        (np.int8, np.int8, "INT8"),
        (np.uint8, np.int8, "UINT8 x INT8"),
        (None, np.int8, "FP32, INT8 weights"),
        (np.int8, None, "FP32"),
    ],
)
def test_precision_is_read_from_what_stands_around_a_layer(activation, weights, expected):
    nodes, stored = quantized("x", activation) if activation else ([], {})
    w = "w"
    stored["w"] = numbers(3, 2, 1)
    if weights:
        stored |= {
            "w": numbers(3, 2, 1, dtype=weights),
            "w_scale": numbers(3),
            "w_zero": np.zeros(3, weights),
        }
        zero = ["w", "w_scale", "w_zero"]
        nodes.append(helper.make_node("DequantizeLinear", zero, ["w_dq"], axis=0))
        w = "w_dq"
    nodes.append(helper.make_node("Conv", ["x_dq" if activation else "x", w], ["y"], "c"))
    model = graph_of(nodes, stored, ["batch", 2, "frames"])

    (layer,) = layers(model, (1, 2, 8))

    assert layer.precision == expected
    assert (layer.macs, layer.n_parameters) == (3 * 8 * 2, 6)
    assert count_parameters(model.graph) == (6, 0)


def test_half_precision():
    node = helper.make_node("MatMul", ["x", "w"], ["y"], "m")
    model = graph_of([node], {"w": numbers(4, 2, dtype=np.float16)}, [1, 4], TensorProto.FLOAT16)
    assert [layer.precision for layer in layers(model, None)] == ["FP16"]


def test_integer_operators():
    inputs = ["x", "s", "z", "w", "s", "z", "s", "z", "b"]
    stored = {
        "s": np.array(0.1, np.float32),
        "z": np.array(0, np.int8),
        "w": numbers(3, 2, 1, dtype=np.int8),
        "b": numbers(3, dtype=np.int32),
    }
    model = graph_of([helper.make_node("QLinearConv", inputs, ["y"], "c")], stored, [1, 2, 8], 3)

    (layer,) = layers(model, None)

    assert (layer.precision, layer.macs, layer.n_parameters) == ("INT8", 48, 9)
    assert count_parameters(model.graph) == (9, 0)


def test_a_layer_without_a_name_takes_that_of_its_output():
    model = graph_of([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": numbers(4, 2)}, [1, 4])
    assert layers(model, None)[0].name == "y"


def test_inputs_are_named_with_type_and_open_lengths(network):
    (x,) = tensors(network.graph.input)
    (y,) = tensors(network.graph.output)
    assert (x.name, x.type, x.shape) == ("x", "float32", ("batch", 4, "frames"))
    assert (y.name, y.shape) == ("y", ())


def test_nodes_out_of_order_are_sorted_as_onnx_runtime_does(network, tmp_path):
    path = tmp_path / "unsorted.onnx"
    names = [node.name for node in network.graph.node]
    nodes = list(network.graph.node)[::-1]
    del network.graph.node[:]
    network.graph.node.extend(nodes)
    onnx.save(network, str(path))

    assert [node.name for node in load_model(path).graph.node] == names


@pytest.mark.parametrize("content", [b"", b"this is a text\n" * 50, b"\x08\x08", None])
def test_what_is_no_onnx_is_refused(tiny_model, content):
    tiny_model.write_bytes(tiny_model.read_bytes()[:-300] if content is None else content)
    with pytest.raises(ModelError) as raised:
        load_model(tiny_model)
    assert absent(raised.value, str(tiny_model), "ONNX", "export") == []
    assert "\n" not in str(raised.value)


def test_a_cycle_is_refused(network, tmp_path):
    network.graph.node[0].input[0] = "y"
    onnx.save(network, str(tmp_path / "cycle.onnx"))
    with pytest.raises(ModelError, match="cycle"):
        load_model(tmp_path / "cycle.onnx")
