"""The low pass of the arousal: that of the probabilities."""

from __future__ import annotations

import pytest

from edge_ser.recognition.smoothing import LowPass, Smoother, Smoothing


def test_it_is_smoothed_as_the_probabilities_are():
    smoother, low_pass = Smoother(Smoothing(time_constant_s=0.5)), LowPass(0.5)
    for at_s, p in [(1.0, 0.9), (1.25, 0.2), (1.3, 0.4), (3.0, 0.0)]:
        decision = smoother.update({"high": p, "low": 1 - p}, at_s)
        assert low_pass.update(p, at_s) == pytest.approx(decision.probs["high"])


def test_the_first_value_is_taken_as_it_is_and_after_a_reset_again():
    low_pass = LowPass(0.5)
    assert low_pass.update(0.75, 10.0) == 0.75
    assert low_pass.update(0.0, 10.25) == pytest.approx(0.75 * 0.6065, abs=1e-3)
    low_pass.reset()
    assert low_pass.value is None
    assert low_pass.update(0.25, 11.0) == 0.25


def test_no_value_changes_nothing_and_no_time_constant_smooths_nothing():
    low_pass = LowPass(0.0)
    assert low_pass.update(None, 1.0) is None
    assert low_pass.update(0.5, 1.0) == 0.5
    assert low_pass.update(None, 2.0) == 0.5
    assert low_pass.update(0.1, 2.0) == 0.1
