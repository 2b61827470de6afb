"""Temperature and threshold, fitted on predictions with known truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.errors import ConfigError, TrainingError
from edge_ser.scores import LEAST_COVERAGE, RIGHT_ANSWERS, Scores
from edge_ser.training.temperature import (
    CALIBRATION_FILE,
    Calibration,
    calibrate,
)


def drawn(n_clips: int, scale: float, seed: int = 0, n_windows: int = 1) -> Scores:
    """Return predictions whose truth is drawn from their probabilities, logits then scaled."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((n_clips, 4))
    powers = np.exp(logits)
    probs = powers / powers.sum(1, keepdims=True)
    truth = np.array([rng.choice(4, p=p) for p in probs])
    return Scores(tuple(np.repeat(own[None], n_windows, 0) for own in scale * logits), truth)


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("n_windows", [1, 3])
def test_the_temperature_is_found(scale, n_windows):
    calibration = calibrate(drawn(4000, scale, n_windows=n_windows))

    assert calibration.temperature == pytest.approx(scale, rel=0.08)
    assert calibration.ece_after < 0.03
    assert calibration.ece_after <= calibration.ece_before + 0.005
    assert calibration.n_clips == 4000


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60))
def test_the_threshold_keeps_its_promise(seed, n_clips):
    scores = drawn(n_clips, 1.0, seed)
    calibration = calibrate(scores)
    at = dataclasses.replace(scores, temperature=calibration.temperature)
    confidence, right = at.probs.max(1), at.predicted == at.truth

    kept = confidence >= calibration.abstain_below
    assert kept.mean() >= LEAST_COVERAGE
    if right[kept].mean() < RIGHT_ANSWERS:  # then only because no more may be left out
        assert (confidence >= calibration.abstain_below + 0.01).mean() < LEAST_COVERAGE
    if calibration.abstain_below:
        assert right.mean() < RIGHT_ANSWERS  # else nothing had to be left out


def test_all_right_is_never_abstained_from_and_ends_at_a_bound():
    calibration = calibrate(Scores((np.array([[9.0, 0.0]]),) * 5, np.zeros(5, int)))

    assert calibration.abstain_below == 0.0
    assert 0.2 <= calibration.temperature < 0.3


def test_silent_clips_are_not_calibrated_on():
    scores = drawn(50, 1.0)
    silent = Scores((*scores.logits, np.empty((0, 4))), np.append(scores.truth, 0))

    assert calibrate(silent) == calibrate(scores)
    assert calibrate(Scores((np.empty((0, 4)),), np.array([1]))) == Calibration()


def test_it_is_kept_in_the_run(tmp_path):
    calibration = Calibration(1.25, 0.4, 215, 0.11, 0.05)
    calibration.save(tmp_path)

    assert Calibration.load(tmp_path) == calibration


@pytest.mark.parametrize("text", [None, "{", "[]", '{"temperature": 0}', '{"temperature": "hot"}'])
def test_a_damaged_file_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / CALIBRATION_FILE).write_text(text)

    with pytest.raises(TrainingError, match=r"calibration\.json.*--resume"):
        Calibration.load(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"temperature": 0.0}, {"temperature": float("nan")}, {"abstain_below": 1.0}]
)
def test_values_out_of_range_are_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        Calibration(**changes)
