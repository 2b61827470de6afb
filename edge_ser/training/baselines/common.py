"""Functions shared by the baselines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_ser.corpora import Clip
from edge_ser.splits.fold import Fold


def training_clips(fold: Fold) -> tuple[Clip, ...]:
    """Return the training clips, and the validation clips that are not test clips."""
    tested = frozenset(fold.test)
    return fold.train + tuple(clip for clip in fold.validation if clip not in tested)


def one_hot(classes: Sequence[int], n_classes: int) -> NDArray[np.float64]:
    """Return one-hot rows, float64 [n_clips, n_classes]."""
    rows: NDArray[np.float64] = np.eye(n_classes)[np.asarray(classes, dtype=int)]
    return rows
