"""Separation of high from low arousal, independent of the label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_ser.evaluation.answers import ClipAnswer
from edge_ser.evaluation.resampling import Figure, Resampling
from edge_ser.metrics import Float64, aucs, percentile_interval

HIGH_AROUSAL = frozenset({"angry", "happy", "fearful", "surprised"})
LOW_AROUSAL = frozenset({"neutral", "calm", "sad", "bored", "disgust"})
"""Emotions by the half of the circumplex that they are portrayed in (Russell 1980,
doi:10.1037/h0077714); disgust is portrayed either way, and counts as low."""

_DRAWS_AT_ONCE = 200


@dataclass(frozen=True)
class ArousalFigures:
    """Areas under the ROC of high against low arousal; 0.5 is chance, 1 is perfect separation.

    Only clips count that have an answer and an emotion of known arousal.
    """

    n_high: int
    """Clips that are angry, happy, fearful or surprised."""
    n_low: int
    """Clips that are neutral, calm, sad, bored or disgust."""
    auc: Figure
    """Of the sum of the probabilities of the labels of high arousal."""
    output_auc: Figure | None
    """Of the model's own arousal output; None for a model without one."""


def arousal_figures(
    answers: Sequence[ClipAnswer], labels: Sequence[str], resampling: Resampling
) -> ArousalFigures | None:
    """Return the areas of a set of answers; None if either side is empty."""
    counted = np.array(
        [bool(a.predicted) and a.truth in HIGH_AROUSAL | LOW_AROUSAL for a in answers]
    )
    high = np.array([a.truth in HIGH_AROUSAL for a in answers])
    n_high, n_low = int((counted & high).sum()), int((counted & ~high).sum())
    columns = [k for k, label in enumerate(labels) if label in HIGH_AROUSAL]
    if not (n_high and n_low and columns):
        return None
    sums = np.array([sum(a.probs[k] for k in columns) if a.probs else 0.0 for a in answers])
    outputs = [a.arousal for a in answers]
    output_auc = None
    if all(value is not None for value, one in zip(outputs, counted, strict=True) if one):
        given = np.array([0.0 if value is None else value for value in outputs])
        output_auc = _area(given, high, counted, resampling)
    return ArousalFigures(n_high, n_low, _area(sums, high, counted, resampling), output_auc)


def _area(scores: Float64, high: np.ndarray, counted: np.ndarray, resampling: Resampling) -> Figure:
    indices = np.flatnonzero(counted)
    scores, high, owner = scores[indices], high[indices], resampling.owner[indices]
    value = float(aucs(scores, high, np.ones(len(indices))))
    if resampling.weights is None:
        return Figure(value)
    weights = resampling.weights
    drawn = [
        aucs(scores, high, weights[start : start + _DRAWS_AT_ONCE][:, owner])
        for start in range(0, len(weights), _DRAWS_AT_ONCE)
    ]
    return Figure(value, percentile_interval(np.concatenate(drawn)))
