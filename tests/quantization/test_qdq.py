"""Q and DQ where INT8 kernels are, in the form that TensorRT's parser takes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import both_card, calibration_of, network
from onnx import TensorProto, numpy_helper
from support import make_card

from edge_ser.inference.session import open_session
from edge_ser.quantization.layers import consumers, producers
from edge_ser.quantization.qdq import prepared, with_qdq
from edge_ser.quantization.ranges import activation_ranges

CARD = make_card()
WINDOWS = calibration_of(CARD).windows
LAYERS = ("first", "second", "score", "head")


def run(model, windows=WINDOWS):
    session = open_session(model.SerializeToString())
    return session.run(None, {"features": windows})[0]


def quantized(layers=LAYERS, per_channel=True):
    model = prepared(network(CARD), LAYERS)
    ranges = activation_ranges(model, WINDOWS, "minmax", ("Conv", "Gemm"))
    return with_qdq(model, layers, ranges, per_channel)


def test_the_prepared_network_is_the_same_function():
    model = network(CARD)
    ready = prepared(model, LAYERS)

    np.testing.assert_allclose(run(ready), run(model), rtol=1e-4, atol=1e-4)
    assert not [n for n in ready.graph.node if n.op_type == "BatchNormalization"]
    assert {t.name for t in ready.graph.initializer}.isdisjoint({"s", "b", "m", "v", "second_b"})


def test_only_shared_outputs_get_their_bias_behind_them():
    ready = prepared(network(CARD), LAYERS)
    n_inputs = {n.name: len(n.input) for n in ready.graph.node if n.op_type == "Conv"}

    assert n_inputs == {"first": 3, "second": 2, "gate": 3, "score": 3}
    assert producers(ready)["second_out"].name == "second_bias"


@pytest.mark.parametrize("per_channel", [True, False])
def test_scales_zero_points_and_biases_are_what_tensorrt_takes(per_channel):
    model = quantized(per_channel=per_channel)
    onnx.checker.check_model(model, full_check=True)
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}

    types = {t.data_type for t in model.graph.initializer}
    assert TensorProto.INT8 in types
    assert types.isdisjoint({TensorProto.INT32, TensorProto.UINT8})
    for node in model.graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            assert not values[node.input[2]].any()
            assert (values[node.input[1]] > 0).all()
    made_by = producers(model)
    scales = {n: values[made_by[n_in(model, n, 1)].input[1]].size for n in LAYERS}
    assert scales == (
        {"first": 16, "second": 16, "score": 16, "head": 3}
        if per_channel
        else dict.fromkeys(LAYERS, 1)
    )
    for name in LAYERS:
        assert made_by[n_in(model, name, 0)].op_type == "DequantizeLinear"
    assert "gate_w" in values
    assert np.abs(values["first_w_quantized"]).max() == 127


def n_in(model, name, place):
    return next(n for n in model.graph.node if n.name == name).input[place]


def test_every_q_has_one_dq_and_every_dq_one_reader():
    """Otherwise ONNX Runtime keeps the layer in float on x86, slower than FP32 was."""
    model = quantized()
    users = consumers(model)

    for node in model.graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            assert len(users[node.output[0]]) == 1, node.name


def test_onnx_runtime_fuses_all_quantised_layers(tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(quantized().SerializeToString(), options)
    kinds = Counter(n.op_type for n in onnx.load(tmp_path / "optimised.onnx").graph.node)

    assert kinds["QLinearConv"] == 3


def test_two_layers_that_read_one_tensor_have_a_pair_each():
    model = network(CARD)
    second = next(n for n in model.graph.node if n.name == "second")
    twin = onnx.NodeProto()
    twin.CopyFrom(second)
    twin.name, twin.output[0] = "twin", "twin_out"
    weights = onnx.TensorProto()
    weights.CopyFrom(next(i for i in model.graph.initializer if i.name == second.input[1]))
    weights.name = twin.input[1] = "twin_weights"
    model.graph.initializer.append(weights)
    add = next(n for n in model.graph.node if n.name == "residual")
    add.input[1] = "twin_out"
    model.graph.node.insert(list(model.graph.node).index(second), twin)
    layers = (*LAYERS, "twin")
    ready = prepared(model, layers)
    ranges = activation_ranges(ready, WINDOWS, "minmax", ("Conv", "Gemm"))
    changed = with_qdq(ready, layers, ranges, per_channel=True)
    onnx.checker.check_model(changed, full_check=True)

    readers = [n for n in changed.graph.node if n.op_type == "QuantizeLinear"]
    pairs = [n for n in readers if n.input[0] == "relu_out"]
    assert len(pairs) == 2
    assert pairs[0].input[1:] == pairs[1].input[1:]
    np.testing.assert_allclose(run(changed), run(model), atol=0.1 * np.abs(run(model)).max())


def test_int8_is_close_to_float_and_no_layers_means_float():
    expected = run(network(CARD))
    spread = expected.std()

    assert 0 < np.abs(run(quantized()) - expected).mean() < 0.05 * spread
    np.testing.assert_allclose(run(quantized(())), expected, rtol=1e-4, atol=1e-4)


def test_a_normalisation_that_classifier_and_arousal_share_is_folded_into_both():
    model = network(both_card())
    ready = prepared(model, LAYERS)

    def outputs(graph):
        session = onnxruntime.InferenceSession(graph.SerializeToString())
        return session.run(None, {"features": WINDOWS})

    assert not [n for n in ready.graph.node if n.op_type == "BatchNormalization"]
    for got, expected in zip(outputs(ready), outputs(model), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_an_arousal_is_not_quantised():
    ready = prepared(network(both_card()), LAYERS)
    ranges = activation_ranges(ready, WINDOWS, "minmax", ("Conv", "Gemm"))
    model = with_qdq(ready, LAYERS, ranges, per_channel=True)

    made_by = producers(model)
    node = next(n for n in model.graph.node if n.name == "arousal_score")
    assert "DequantizeLinear" not in [made_by[x].op_type for x in node.input if x in made_by]
    assert [v.name for v in model.graph.output] == ["logits", "arousal"]
