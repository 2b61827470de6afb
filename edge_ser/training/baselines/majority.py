"""The floor: always the class of most training clips."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from edge_ser._util.callbacks import OnProgress
from edge_ser.splits.fold import Fold
from edge_ser.training.baselines.common import learnable, one_hot
from edge_ser.training.cross_validation.systems import SystemResult


@dataclass(frozen=True)
class Majority:
    """Says the class of most training clips, the first of the labels where several are as large."""

    @property
    def name(self) -> str:
        """The name in tables and files."""
        return "majority"

    @property
    def settings(self) -> Mapping[str, object]:
        """There are none."""
        return {}

    def fit_predict(
        self, fold: Fold, labels: tuple[str, ...], progress: OnProgress
    ) -> SystemResult:
        """Count the training clips and give every test clip the largest class; see `System`."""
        start = time.perf_counter()
        counts = Counter(clip.emotion for clip in learnable(fold))
        largest = max(range(len(labels)), key=lambda k: counts[labels[k]])
        progress("counting", 1.0)
        return SystemResult(
            probs=one_hot([largest] * len(fold.test), len(labels)),
            n_parameters=0,
            train_s=time.perf_counter() - start,
        )
