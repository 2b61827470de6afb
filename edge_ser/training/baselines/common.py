"""Functions that the baselines share: clips to learn from, and one-hot probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_ser.corpora import Clip
from edge_ser.splits.fold import Fold


def learnable(fold: Fold) -> tuple[Clip, ...]:
    """Return the training and validation clips, without validation clips that are tested too."""
    tested = frozenset(fold.test)
    return fold.train + tuple(clip for clip in fold.validation if clip not in tested)


def one_hot(classes: Sequence[int], n_classes: int) -> NDArray[np.float64]:
    """Return float64 [n_clips, n_classes] with 1 at each clip's class, 0 elsewhere."""
    rows: NDArray[np.float64] = np.eye(n_classes)[np.asarray(classes, dtype=int)]
    return rows
