"""Figures of merit over clips: weighted accuracy, unweighted average recall, confusion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def confusion(truth: Sequence[int], predicted: Sequence[int], n_classes: int) -> NDArray[np.int64]:
    """Return counts [n_classes, n_classes]: rows are the truth, columns the predictions."""
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(counts, (np.asarray(truth, dtype=int), np.asarray(predicted, dtype=int)), 1)
    return counts


def weighted_accuracy(counts: NDArray[np.int64]) -> float:
    """Return correct / all, in [0, 1], of a confusion matrix; 0 when it is empty."""
    return float(np.trace(counts) / max(1, counts.sum()))


def recalls(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the recall of each class, in [0, 1]; NaN for classes that never occur."""
    totals = counts.sum(axis=1)
    hits: NDArray[np.float64] = np.diag(counts).astype(np.float64)
    values: NDArray[np.float64] = np.divide(
        hits, totals, out=np.full(len(counts), np.nan), where=totals > 0
    )
    return values


def unweighted_average_recall(counts: NDArray[np.int64]) -> float:
    """Return the mean recall over the classes that occur, in [0, 1]; 0 when there are none."""
    values = recalls(counts)
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
