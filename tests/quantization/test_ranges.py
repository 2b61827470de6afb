"""Ranges of activations by four methods, against what NumPy sees."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import calibration_of, network
from support import make_card

from edge_ser.quantization.ranges import (
    LEVELS,
    METHODS,
    activation_ranges,
    largest,
    quantization_error,
)

CARD = make_card()
WINDOWS = calibration_of(CARD, 40).windows


def cut(method, name):
    ranges = activation_ranges(network(CARD), WINDOWS, method, ("Conv",))
    return float(np.max(ranges[name].range_value[1]))


def test_the_largest_values_are_those_of_a_run():
    model = network(CARD)
    expected = ["first_out", "root_out", "second_out"]
    model.graph.output.extend(type(model.graph.output[0])(name=name) for name in expected)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    seen = session.run(expected, {"features": WINDOWS})

    got = largest(network(CARD), WINDOWS)

    for name, values in zip(expected, seen, strict=True):
        assert got[name] == pytest.approx(np.abs(values).max(), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_ranges_are_symmetric_and_within_what_occurs(method, capsys):
    model = network(CARD)
    limits = largest(model, WINDOWS)

    ranges = activation_ranges(model, WINDOWS, method, ("Conv", "Gemm"))

    assert {"normalise_out", "first_out", "second_out", "norm_out", "logits"} <= set(ranges.keys())
    for name, data in ranges.items():
        low, high = (float(np.max(value)) for value in data.range_value)
        assert max(-low, high) <= limits[name] * 1.02
        assert max(-low, high) > limits[name] / 10
    assert capsys.readouterr().out == ""


def test_the_methods_differ():
    cuts = {method: cut(method, "first_out") for method in ("percentile", "minmax", "mse")}

    assert len(set(cuts.values())) == 3
    assert max(cuts.values()) == cuts["minmax"]


def test_least_squares_costs_no_more_than_the_others():
    counts, edges = np.histogram(np.abs(WINDOWS * 0.05), 2048)
    centres = (edges[:-1] + edges[1:]) / 2
    cost = {
        method: quantization_error(counts, centres, cut(method, "normalise_out"))
        for method in ("percentile", "minmax", "mse")
    }

    assert cost["mse"] <= min(cost.values()) * 1.01


@given(st.floats(0.1, 100.0), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=50))
def test_the_error_within_the_range_is_that_of_rounding(cut, shares):
    centres = np.array(shares) * cut
    error = quantization_error(np.ones(len(centres)), centres, cut)

    assert error <= len(centres) * (cut / LEVELS / 2) ** 2 * (1 + 1e-6)
