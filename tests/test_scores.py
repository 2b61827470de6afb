"""Temperature and threshold against other ways to find them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from edge_ser.metrics import log_losses
from edge_ser.scores import TEMPERATURES, Scores, fit_temperature, fit_threshold, predictions


def drawn(n_clips: int, seed: int = 0) -> Scores:
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((n_clips, 2, 4))
    return Scores(tuple(logits), rng.integers(0, 4, n_clips) * rng.integers(0, 2, n_clips))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_temperature_is_scipys(weighted):
    scores = drawn(300)
    scores.logits[0][:, 0] += 4
    weights = np.where(scores.truth == 0, 0.3, 2.0) if weighted else np.ones(300)

    def loss(log_temperature: float) -> float:
        at = dataclasses.replace(scores, temperature=math.exp(log_temperature))
        return float(np.average(log_losses(at.probs, at.truth), weights=weights))

    bounds = [math.log(t) for t in TEMPERATURES]
    expected = math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)

    assert fit_temperature(scores, weights if weighted else None) == pytest.approx(
        expected, rel=1e-3
    )


def test_the_threshold_is_the_least_that_keeps_the_promise():
    """Ten clips at each confidence; those below 0.7 are wrong."""
    levels = np.repeat([0.55, 0.65, 0.75, 0.85], [5, 5, 10, 10])
    probs = np.stack([levels, 1 - levels], axis=1)
    scores = Scores.of(probs, np.where(levels < 0.7, 1, 0).tolist())

    assert fit_threshold(scores) == pytest.approx(0.56)


def test_a_silent_clip_has_no_answer():
    assert predictions(np.array([[0.0, 0.0], [0.4, 0.6]])).tolist() == [2, 1]
