"""Decisions fitted on left-out corpora, and what they do on another one."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ser.evaluation import left_out
from edge_ser.evaluation.left_out import (
    fit_decisions,
    fit_logistic,
    gate_figures,
    left_out_figures,
)
from edge_ser.scores import Scores

LABELS = ("neutral", "angry", "sad")


def corpus(n, seed, sharpness=1.0, n_windows=2):
    """Return clips whose true class is drawn by the softmax of their logits divided by sharpness."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 3))
    powers = np.exp(logits)
    probs = powers / powers.sum(1, keepdims=True)
    truth = np.array([rng.choice(3, p=p) for p in probs])
    level = logits[:, 1] - logits[:, 0]
    return Scores(
        tuple(np.repeat(sharpness * one[None], n_windows, 0) for one in logits),
        truth,
        arousal=3 * level,
    )


def test_the_temperature_undoes_what_is_too_sharp():
    decisions = fit_decisions([corpus(3000, 0, 2.5), corpus(500, 1, 2.5)], LABELS)

    assert decisions.temperature == pytest.approx(2.5, rel=0.1)
    assert decisions.n_clips == 3500


def test_corpora_weigh_the_same_whatever_their_size():
    sharp, dull = corpus(2000, 2, 4.0), corpus(100, 3, 1.0)
    together = fit_decisions([sharp, dull], LABELS).temperature
    alone = fit_decisions([sharp], LABELS).temperature

    assert together < alone - 0.5


def test_the_threshold_makes_four_of_five_answers_right():
    known, strange = corpus(4000, 4), corpus(4000, 5)
    decisions = fit_decisions([known], LABELS)

    figures = left_out_figures(strange, decisions, LABELS, {})

    assert figures.right == pytest.approx(0.8, abs=0.03)
    assert 0.5 <= figures.answered < 1
    assert figures.ece < 0.05
    assert figures.decisions == decisions


def test_areas_are_those_of_high_against_low():
    figures = left_out_figures(corpus(2000, 6), fit_decisions([corpus(500, 7)], LABELS), LABELS, {})

    assert 0.7 < figures.arousal_auc < 1
    assert 0.5 < figures.output_auc < figures.arousal_auc


def test_neutral_speech_passes_or_is_false():
    logits = [[5.0, 0, 0], [0, 5.0, 0], [0.1, 0, 0.2], [9.0, 0, 0]]
    crowd = Scores(tuple(np.array([row]) for row in logits), np.zeros(4, np.int64))
    decisions = fit_decisions([corpus(3000, 8)], LABELS)

    gate = gate_figures(crowd, decisions, LABELS)

    assert gate.n_clips == 4
    assert gate.neutral == 0.5
    assert gate.passed == 0.75
    assert gate.false == 0.25


def test_silent_clips_count_as_not_answered():
    own = corpus(100, 9)
    silent = Scores(
        (*own.logits, np.empty((0, 3))),
        np.append(own.truth, 0),
        arousal=np.append(own.arousal, np.nan),
    )
    decisions = fit_decisions([corpus(500, 10)], LABELS)

    with_silence = left_out_figures(silent, decisions, LABELS, {})
    without = left_out_figures(own, decisions, LABELS, {})

    assert with_silence.answered == pytest.approx(without.answered * 100 / 101)
    assert with_silence.right == without.right


def test_the_logistic_regression_recovers_its_curve():
    rng = np.random.default_rng(11)
    x = rng.normal(0, 2, 20_000)
    positive = rng.random(20_000) < 1 / (1 + np.exp(-(0.7 * x - 0.4)))

    slope, offset = fit_logistic(x, positive, np.ones(len(x)))

    assert (slope, offset) == (pytest.approx(0.7, abs=0.05), pytest.approx(-0.4, abs=0.05))


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_offsets_undo_a_lean_towards_a_class(monkeypatch, share):
    own = corpus(4000, 12)
    leaning = Scores(
        tuple(one + np.array([3.0, 0, -1.0]) for one in own.logits), own.truth, arousal=own.arousal
    )

    monkeypatch.setattr(left_out, "OFFSET_SHARE", share)
    decisions = fit_decisions([leaning], LABELS)

    found = np.array(decisions.offsets) - decisions.offsets[1]
    assert found[0] == pytest.approx(-3 * share, abs=0.3)
    assert found[2] == pytest.approx(share, abs=0.3)
    calibrated = left_out_figures(leaning, decisions, LABELS, {}).ece < 0.05
    assert calibrated == (share == 1)


def test_a_class_that_never_occurs_is_left_as_it_is():
    own = corpus(2000, 13)
    two = own.truth < 2
    part = Scores(
        tuple(one for one, keep in zip(own.logits, two, strict=True) if keep), own.truth[two]
    )

    decisions = fit_decisions([part], LABELS)

    assert decisions.offsets[2] == 0
    assert np.isfinite(decisions.offsets).all()


def test_the_usual_is_the_mean_of_neutral_speech():
    own = corpus(3000, 14)
    decisions = fit_decisions([own], LABELS)
    applied = decisions.apply(own)

    neutral = [one.mean(0) for one, t in zip(applied.logits, own.truth, strict=True) if t == 0]
    np.testing.assert_allclose(decisions.usual[:3], np.mean(neutral, axis=0), atol=1e-3)
    assert decisions.usual[3] == pytest.approx(applied.arousal[own.truth == 0].mean(), abs=1e-3)


def test_a_prior_multiplies_odds():
    own = corpus(200, 15)
    decisions = fit_decisions([corpus(2000, 16)], LABELS)
    doubled = decisions.with_prior(np.log([2.0, 1, 1]))

    plain, leaning = decisions.apply(own).logits[0][0], doubled.apply(own).logits[0][0]

    np.testing.assert_allclose(leaning - plain, [np.log(2), 0, 0], atol=1e-6)
    np.testing.assert_allclose(
        np.subtract(doubled.usual, decisions.usual), [np.log(2), 0, 0, 0], atol=1e-6
    )
