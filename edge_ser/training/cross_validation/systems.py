"""Systems that are compared on the same folds: protocol and results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnProgress
from edge_ser._util.hashing import json_digest
from edge_ser.scores import Scores, predictions
from edge_ser.splits.fold import Fold


@dataclass(frozen=True)
class SystemResult:
    """Result of a system on one fold: predictions of the test clips."""

    probs: NDArray[np.float64]
    """[n_test, n_classes], in the order of the fold's test clips and of the labels; rows sum to 1.
    A system without probabilities gives one-hot rows. A silent clip, without a prediction, has a row of
    zeros and counts as an error."""
    n_parameters: int
    """Number of trained parameters."""
    train_s: float
    """Duration of the training in seconds, including features."""
    scores: Scores | None = None
    """Logits of the test clips; None for a system without logits."""
    gates: Mapping[str, Scores] = field(default_factory=dict)
    """Logits of the clips of each gate, all neutral; empty for a system without logits."""
    notes: tuple[str, ...] = ()
    """Caveats on the figures, such as fewer epochs than the paper's or a smaller network."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Predicted class of each test clip, int64 [n_test]; `n_classes` if there is no prediction."""
        return predictions(self.probs)


def checkpoint_name(name: str, identity: object) -> str:
    """Return a name for the files of a fold's training.

    Args:
        name: name of the system and the fold; characters unfit for file names are replaced.
        identity: settings, labels and clips as JSON values; other ones give another name, so that
            their training starts anew.
    """
    return re.sub(r"[^\w.+-]+", "_", name) + f"-{json_digest(identity)[:12]}"


class System(Protocol):
    """Protocol of systems: trained on the training clips of a fold, evaluated on its test clips."""

    @property
    def name(self) -> str:
        """A short name for tables and files: `compact`, `paper`, `svm-compare`, `majority`."""

    @property
    def settings(self) -> Mapping[str, object]:
        """All settings that determine the result, for the record; JSON values."""

    def fit_predict(
        self, fold: Fold, labels: tuple[str, ...], progress: OnProgress
    ) -> SystemResult:
        """Train on the fold and predict its test clips.

        Args:
            fold: a split of clips whose emotions are all among `labels`.
            labels: the classes, in the order of the probabilities.
            progress: called with a description of the work and the share done, in [0, 1].

        Raises:
            EdgeSerError: audio that cannot be read, a package that is missing, a training that failed.
        """
