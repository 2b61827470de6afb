"""Systems that are compared on the same folds: the compact network, the paper's and baselines."""

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
    """Probabilities of a fold's test clips, by a system trained on the fold's training clips."""

    probs: NDArray[np.float64]
    """[n_test, n_classes], in the order of the fold's test clips and of the labels; rows sum to 1.
    A system without probabilities gives one-hot rows; a clip without a prediction, being silent, has
    a row of zeros and counts as an error."""
    n_parameters: int
    """Numbers that training adjusted."""
    train_s: float
    """Seconds that training took, features included."""
    scores: Scores | None = None
    """Logits of the test clips, of a system that has any."""
    gates: Mapping[str, Scores] = field(default_factory=dict)
    """Logits of the clips of each gate, all of them neutral, of a system that has any."""
    notes: tuple[str, ...] = ()
    """Caveats of the figure, such as fewer epochs than the paper's or a smaller network."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Predicted class of each test clip, int64 [n_test]; `n_classes` if there is no prediction."""
        return predictions(self.probs)


class System(Protocol):
    """Something that learns from one part of a fold and is tested on another."""

    @property
    def name(self) -> str:
        """A short name for tables and files: `compact`, `paper`, `svm-compare`, `majority`."""

    @property
    def settings(self) -> Mapping[str, object]:
        """Everything that decides its result, for the record; values that JSON can hold."""

    def fit_predict(
        self, fold: Fold, labels: tuple[str, ...], progress: OnProgress
    ) -> SystemResult:
        """Train on the fold and predict its test clips.

        Args:
            fold: a split of clips whose emotions are all among `labels`.
            labels: the classes, in the order of the probabilities.
            progress: called with what is being done and its share done, in [0, 1].

        Raises:
            EdgeSerError: audio that cannot be read, a package that is missing, a training that failed.
        """


def checkpoint_name(name: str, identity: object) -> str:
    """Return a file name for the checkpoint of a fold's training.

    Args:
        name: of the system and the fold; characters that file names should not have are replaced.
        identity: settings, labels and clips as JSON values; other ones give another name, so that
            their training begins anew.
    """
    digest = json_digest(identity)[:12]
    return re.sub(r"[^\w.+-]+", "_", name) + f"-{digest}"
