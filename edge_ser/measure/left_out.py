"""How networks answer corpora that they have never met, with decisions fitted on other such corpora.

A fold of the protocol cross-corpus leaves one corpus out. Temperature and threshold for its answers
are fitted on the left-out clips of all other folds, each corpus with the same weight; so the figures
say what to expect of a stranger, and not of the speakers that a threshold was fitted on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_ser.measure.arousal import HIGH_AROUSAL
from edge_ser.metrics import Float64, aucs
from edge_ser.scores import Scores, fit_temperature, fit_threshold

_NEWTON_STEPS, _LEAST_STEP = 50, 1e-8


@dataclass(frozen=True)
class Decisions:
    """What is fitted on left-out clips."""

    temperature: float
    """Divisor of the logits."""
    abstain_below: float
    """Probability of the label, in [0, 1), below which no answer is given."""
    n_clips: int
    """Clips that both were fitted on."""
    arousal_slope: float = 1.0
    """Factor of the arousal's logit."""
    arousal_offset: float = 0.0
    """What is added to it after that."""


@dataclass(frozen=True)
class GateFigures:
    """Answers to neutral speech of strangers; shares of the audible clips, in [0, 1]."""

    n_clips: int
    neutral: float
    """Called neutral, answered or not."""
    passed: float
    """Called neutral, or without an answer."""
    false: float
    """Answered with another label."""


@dataclass(frozen=True)
class LeftOutFigures:
    """Answers of one fold's network to the corpus that it has never met."""

    decisions: Decisions
    """Fitted on the other folds."""
    ece: float
    """Expected calibration error, in [0, 1]."""
    answered: float
    """Share of the clips with an answer, in [0, 1]."""
    right: float
    """Share of the answers that are right, in [0, 1]; NaN is never stored: 0 without an answer."""
    arousal_auc: float
    """Area under the ROC of the probabilities of the labels of high arousal."""
    output_auc: float | None
    """Of the network's own arousal output; None without one."""
    gates: Mapping[str, GateFigures]


def fit_decisions(scores: Sequence[Scores], labels: Sequence[str]) -> Decisions:
    """Fit temperature, threshold and the arousal's calibration on left-out clips.

    Args:
        scores: of several corpora, each of which weighs the same.
        labels: the classes.
    """
    audible = [_audible(own) for own in scores]
    joined = Scores(
        tuple(one for own in audible for one in own.logits),
        np.concatenate([own.truth for own in audible]),
    )
    weights = np.concatenate([np.full(len(own.truth), 1 / len(own.truth)) for own in audible])
    temperature = round(fit_temperature(joined, weights), 4)
    fitted = dataclasses.replace(joined, temperature=temperature)
    slope, offset = 1.0, 0.0
    if all(own.arousal is not None for own in audible):
        levels = np.concatenate([own.arousal for own in audible if own.arousal is not None])
        slope, offset = fit_logistic(levels, _is_high(joined.truth, labels), weights)
    return Decisions(temperature, fit_threshold(fitted, weights), len(joined.truth), slope, offset)


def fit_logistic(x: Float64, positive: np.ndarray, weights: Float64) -> tuple[float, float]:
    """Return slope and offset of the logistic regression of a truth on one value (Platt 1999).

    Args:
        x: [n].
        positive: bool [n].
        weights: [n].
    """
    signs = np.where(positive, 1.0, -1.0)
    design = np.stack([x, np.ones_like(x)])
    values = np.zeros(2)

    def loss(at: Float64) -> float:
        return float(np.average(np.logaddexp(0, -signs * (at @ design)), weights=weights))

    for _ in range(_NEWTON_STEPS):
        p = np.exp(-np.logaddexp(0, -(values @ design)))
        gradient = design @ (weights * (p - positive))
        curvature = (design * (weights * p * (1 - p))) @ design.T + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # Halved until it gains: a whole step may leap over the minimum.
        while loss(values - step) > loss(values) and np.abs(step).max() > _LEAST_STEP:
            step = step / 2
        values = values - step
        if np.abs(step).max() < _LEAST_STEP:
            break
    slope, offset = (float(value) for value in values)
    return round(slope, 4), round(offset, 4)


def left_out_figures(
    scores: Scores, decisions: Decisions, labels: Sequence[str], gates: Mapping[str, Scores]
) -> LeftOutFigures:
    """Return the figures of one fold.

    Args:
        scores: of its test clips, with temperature 1.
        decisions: fitted on other folds.
        labels: the classes, among them neutral where there are gates.
        gates: of neutral clips, by name.
    """
    own = dataclasses.replace(_audible(scores), temperature=decisions.temperature)
    confidence, right = own.probs.max(axis=1), own.predicted == own.truth
    kept = confidence >= decisions.abstain_below
    high = _is_high(own.truth, labels)
    columns = [k for k, label in enumerate(labels) if label in HIGH_AROUSAL]
    ones = np.ones(len(high))
    return LeftOutFigures(
        decisions=decisions,
        ece=own.ece,
        answered=float(kept.sum() / len(scores.truth)),
        right=float(right[kept].mean()) if kept.any() else 0.0,
        arousal_auc=float(aucs(own.probs[:, columns].sum(axis=1), high, ones)),
        output_auc=None if own.arousal is None else float(aucs(own.arousal, high, ones)),
        gates={name: gate_figures(gate, decisions, labels) for name, gate in gates.items()},
    )


def gate_figures(scores: Scores, decisions: Decisions, labels: Sequence[str]) -> GateFigures:
    """Return the figures of clips that are all neutral."""
    own = dataclasses.replace(_audible(scores), temperature=decisions.temperature)
    neutral = own.predicted == list(labels).index("neutral")
    answered = own.probs.max(axis=1) >= decisions.abstain_below
    return GateFigures(
        n_clips=len(own.truth),
        neutral=float(neutral.mean()),
        passed=float((neutral | ~answered).mean()),
        false=float((answered & ~neutral).mean()),
    )


def _audible(scores: Scores) -> Scores:
    places = [place for place, own in enumerate(scores.logits) if len(own)]
    return Scores(
        tuple(scores.logits[place] for place in places),
        scores.truth[places],
        arousal=None if scores.arousal is None else scores.arousal[places],
    )


def _is_high(truth: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    return np.isin(truth, [k for k, label in enumerate(labels) if label in HIGH_AROUSAL])
