"""Majority-class baseline, and functions shared by the baselines."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnProgress
from edge_ser.corpora import Clip
from edge_ser.splits.fold import Fold
from edge_ser.training.cross_validation.systems import SystemResult


def training_clips(fold: Fold) -> tuple[Clip, ...]:
    """Return the training clips, and the validation clips that are not test clips."""
    tested = frozenset(fold.test)
    return fold.train + tuple(clip for clip in fold.validation if clip not in tested)


def one_hot(classes: Sequence[int], n_classes: int) -> NDArray[np.float64]:
    """Return one-hot rows, float64 [n_clips, n_classes]."""
    rows: NDArray[np.float64] = np.eye(n_classes)[np.asarray(classes, dtype=int)]
    return rows


@dataclass(frozen=True)
class Majority:
    """A `System` that predicts the most frequent training class; the first label in case of a tie."""

    @property
    def name(self) -> str:
        """The name in tables and files."""
        return "majority"

    @property
    def settings(self) -> Mapping[str, object]:
        """Empty: the baseline has no settings."""
        return {}

    def fit_predict(
        self, fold: Fold, labels: tuple[str, ...], progress: OnProgress
    ) -> SystemResult:
        """Predict the most frequent training class for every test clip; see `System`."""
        start = time.perf_counter()
        counts = Counter(clip.emotion for clip in training_clips(fold))
        largest = max(range(len(labels)), key=lambda k: counts[labels[k]])
        progress("counting", 1.0)
        return SystemResult(
            probs=one_hot([largest] * len(fold.test), len(labels)),
            n_parameters=0,
            train_s=time.perf_counter() - start,
        )
