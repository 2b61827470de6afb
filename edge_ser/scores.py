"""Logits of clips with their true classes, and the temperature and threshold fitted on them.

Both are fitted on clips that the network was not trained on, since it is overconfident on its training
clips. Training fits them on validation clips, `adapt` on the held-out clips of a site.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge_ser.metrics import (
    Float64,
    confusion,
    expected_calibration_error,
    log_losses,
)

RIGHT_ANSWERS = 0.8
"""Target share of right answers."""

LEAST_COVERAGE = 0.5
"""Least share of the clips with an answer, independent of the share of right answers."""

TEMPERATURES = (0.2, 5.0)
"""Range of the fitted temperature."""

_THRESHOLDS = np.arange(0, 1, 0.01)
_GOLDEN = (math.sqrt(5) - 1) / 2
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Scores:
    """Logits of a network for each window of clips, and the true classes."""

    logits: tuple[Float64, ...]
    """Logits of each clip [n_windows, n_classes]; no windows for a silent clip."""
    truth: NDArray[np.int64]
    """Classes [n_clips]."""
    temperature: float = 1.0
    """Divisor of the logits."""
    arousal: Float64 | None = None
    """Mean logit of the arousal over the windows of each clip [n_clips], NaN of a silent clip; None for
    a network without that output."""

    @classmethod
    def of(cls, probs: Float64, truth: Sequence[int]) -> Scores:
        """Take probabilities [n_clips, n_classes] of clips that were recognised in one piece."""
        logits = np.log(np.maximum(probs, np.finfo(np.float64).tiny))
        return cls(tuple(logits[:, None]), np.asarray(truth, dtype=np.int64))

    @cached_property
    def probs(self) -> Float64:
        """Mean probabilities of each clip's windows [n_clips, n_classes]; zeros of a silent clip."""
        sizes = [len(each) for each in self.logits]
        scaled = np.concatenate(self.logits) / self.temperature
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        windows = np.split(powers / powers.sum(axis=1, keepdims=True), np.cumsum(sizes)[:-1])
        return np.stack([each.sum(axis=0) / max(1, len(each)) for each in windows])

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Predicted class of each clip [n_clips]; `n_classes` for a silent clip."""
        return predictions(self.probs)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts [n_classes, n_classes], rows are the truth; one more column if clips are silent."""
        return confusion(self.truth.tolist(), self.predicted.tolist(), self.probs.shape[1])

    @property
    def loss(self) -> float:
        """Mean cross-entropy of the clips, in nats."""
        return float(log_losses(self.probs, self.truth).mean())

    @property
    def ece(self) -> float:
        """Expected calibration error of the clips."""
        right = self.predicted == self.truth
        return expected_calibration_error(self.probs.max(axis=1), right)


def predictions(probs: Float64) -> NDArray[np.int64]:
    """Return the likeliest class of each row [n, n_classes]; `n_classes` for rows of zeros."""
    labels: NDArray[np.int64] = np.where(probs.any(axis=1), probs.argmax(axis=1), probs.shape[1])
    return labels


def fit_temperature(scores: Scores, weights: Float64 | None = None) -> float:
    """Return the temperature with the least mean negative log likelihood of the clips.

    See Guo et al. 2017, arXiv 1706.04599; it is the same for each window of a clip.

    Args:
        scores: with temperature 1, of audible clips.
        weights: of the clips [n_clips]; None for equal ones.
    """

    def loss(log_temperature: float) -> float:
        at = dataclasses.replace(scores, temperature=math.exp(log_temperature))
        return float(np.average(log_losses(at.probs, at.truth), weights=weights))

    low, high = (math.log(t) for t in TEMPERATURES)
    return math.exp(_minimum(loss, low, high))


def fit_threshold(scores: Scores, weights: Float64 | None = None) -> float:
    """Return the probability of the label below which an answer should be rejected.

    It is the least threshold at which `RIGHT_ANSWERS` of the answers are right, limited so that at least
    `LEAST_COVERAGE` of the clips have an answer.

    Args:
        scores: with their temperature, of audible clips.
        weights: of the clips [n_clips]; None for equal ones.
    """
    clip_weights = np.ones(len(scores.truth)) if weights is None else weights
    confidence, correct = scores.probs.max(axis=1), scores.predicted == scores.truth
    best = 0.0
    for threshold in _THRESHOLDS:
        answered = confidence >= threshold
        if np.average(answered, weights=clip_weights) < LEAST_COVERAGE:
            break
        best = float(threshold)
        if np.average(correct[answered], weights=clip_weights[answered]) >= RIGHT_ANSWERS:
            break
    return round(best, 2)


def _minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the minimizer of a unimodal function, by golden-section search (Kiefer 1953)."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > _TOLERANCE:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2
