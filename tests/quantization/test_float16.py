"""FP16 as a typed graph: what is halved, what is not, and what would overflow."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import both_card, calibration_of, network
from onnx import TensorProto, numpy_helper
from support import make_card

from edge_ser.errors import CalibrationError
from edge_ser.quantization.float16 import kept_in_fp32, to_float16
from edge_ser.quantization.ranges import largest

CARD = make_card()
WINDOWS = calibration_of(CARD).windows


def halved(**changes):
    model = network(CARD, **changes)
    return to_float16(model, largest(model, WINDOWS))


def test_statistics_softmax_and_what_comes_first_stay_in_fp32():
    kept = kept_in_fp32(network(CARD))

    assert kept == (
        "normalise",
        "softmax",
        "weighted",
        "mean",
        "power",
        "square",
        "mean_square",
        "variance",
        "positive",
        "safe",
        "root",
        "norm",
    )


def test_the_graph_is_typed_and_its_ends_are_float32():
    model = halved()
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    types = {v.name: v.type.tensor_type.elem_type for v in inferred.graph.value_info}

    for ends in (model.graph.input, model.graph.output):
        assert [v.type.tensor_type.elem_type for v in ends] == [TensorProto.FLOAT]
    weights = {t.name: t.data_type for t in model.graph.initializer}
    assert weights["first_w"] == weights["head_w"] == TensorProto.FLOAT16
    assert weights["inverse"] == weights["eps"] == TensorProto.FLOAT
    assert types["second_out"] == TensorProto.FLOAT16
    made_by = {n.name: types[n.output[0]] for n in model.graph.node if n.output[0] in types}
    assert made_by["variance"] == made_by["power"] == made_by["root"] == TensorProto.FLOAT


def test_fp32_nodes_read_each_other_without_rounding():
    model = halved()
    casts = [n for n in model.graph.node if n.op_type == "Cast"]
    read = {name for n in model.graph.node for name in n.input} | {"logits"}
    back = {n.output[0] for n in casts if n.attribute[0].i == TensorProto.FLOAT16}

    assert len({n.output[0] for n in casts}) == len(casts)
    assert read.issuperset(n.output[0] for n in casts)
    assert not [n for n in casts if n.attribute[0].i == TensorProto.FLOAT and n.input[0] in back]


def test_logits_are_close():
    run = [
        onnxruntime.InferenceSession(m.SerializeToString()).run(None, {"features": WINDOWS})[0]
        for m in (network(CARD), halved())
    ]

    assert 0 < np.abs(run[1] - run[0]).max() < 2e-2 * np.abs(run[0]).max()


def test_overflow_names_the_node():
    with pytest.raises(CalibrationError, match=r"^first\b.*\b65504\b"):
        halved(gain=1e5)


def test_weights_beyond_fp16_name_their_layer():
    model = network(CARD)
    weights = next(t for t in model.graph.initializer if t.name == "head_w")
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * 1e6, "head_w"))

    with pytest.raises(CalibrationError, match=r"\bhead\b.*\b2\.71e\+06\b"):
        to_float16(model, {})


def test_an_overflow_that_only_fp32_nodes_see_is_none():
    model = network(CARD)

    to_float16(model, {"power_out": 1e9})
    with pytest.raises(CalibrationError, match=r"^second\b.*\b1e\+09"):
        to_float16(model, {"second_out": 1e9})
    with pytest.raises(CalibrationError, match=r"^second\b.*\bnan\b"):
        to_float16(model, {"second_out": float("nan")})


def test_an_arousal_is_computed_in_fp32():
    model = network(both_card())
    half = to_float16(model, largest(model, WINDOWS))
    onnx.checker.check_model(half, full_check=True)

    weights = {t.name: t.data_type for t in half.graph.initializer}
    assert weights["arousal_w"] == TensorProto.FLOAT
    assert weights["first_w"] == TensorProto.FLOAT16
    for ends, n in ((half.graph.input, 1), (half.graph.output, 2)):
        assert [v.type.tensor_type.elem_type for v in ends] == [TensorProto.FLOAT] * n
    feeds = {"features": WINDOWS}
    got, expected = (
        onnxruntime.InferenceSession(m.SerializeToString()).run(None, feeds) for m in (half, model)
    )
    np.testing.assert_allclose(
        got[0], expected[0], rtol=0.02, atol=0.02 * np.abs(expected[0]).max()
    )
    np.testing.assert_allclose(got[1], expected[1], atol=0.01)
