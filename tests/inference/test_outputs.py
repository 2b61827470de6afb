"""Outputs as one vector, relative to a baseline, and their mean over speech."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ser.inference.base import ModelOutput
from edge_ser.inference.outputs import SpeechOutputs, logit, output_vector, relative

LOGITS = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]], np.float32)
AROUSAL = np.array([0.5, 0.9], np.float32)


def test_a_vector_holds_the_logits_and_last_the_arousals_logit():
    output = ModelOutput(LOGITS, AROUSAL)
    np.testing.assert_allclose(output_vector(output), [1, -2, 0.5, 0])
    np.testing.assert_allclose(output_vector(output, 1), [0, 3, -1, np.log(9)], rtol=1e-6)
    np.testing.assert_array_equal(output_vector(ModelOutput(LOGITS)), LOGITS[0])


def test_an_excess_is_subtracted_from_logits_and_from_the_arousals_logit():
    excess = np.array([1.0, 0.0, -1.0, np.log(9)])
    got = relative(ModelOutput(LOGITS, AROUSAL), excess)
    np.testing.assert_array_equal(got.logits, LOGITS - np.array([1, 0, -1], np.float32))
    np.testing.assert_allclose(got.arousal, [0.1, 0.5], rtol=1e-6)
    assert (got.logits.dtype, got.arousal.dtype) == (np.float32, np.float32)
    alone = relative(ModelOutput(LOGITS), excess[:3])
    np.testing.assert_array_equal(alone.logits, got.logits)
    assert alone.arousal is None


def test_a_certain_arousal_has_a_logit_with_a_bound():
    assert logit(np.array([0.0, 1.0])) == pytest.approx([-np.log(9999), np.log(9999)])


def test_a_mean_over_windows():
    speech = SpeechOutputs()
    assert speech.mean() == ()
    for window in ((1.0, 2.0), (), (3.0, -2.0)):
        speech.add(window)
    assert speech.mean() == (2.0, 0.0)
