"""Functionals with a linear support vector machine: the baseline of the ComParE challenges.

As in the challenges (Schuller et al. 2009 to 2016, with Weka's SMO), classification is one against one
with voting, features are standardised on the training clips, and the complexity C is selected by recall
on held-out speakers. The Gram matrices are computed once for all C, because with 6373 features and
about a thousand clips they are smaller than the features.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnProgress, OnShare
from edge_ser._util.records import require
from edge_ser.corpora import Clip
from edge_ser.errors import TrainingError, missing_extra
from edge_ser.metrics import confusion, unweighted_average_recall
from edge_ser.splits.fold import Fold, speakers
from edge_ser.training.baselines.functionals import SAMPLE_RATE, FeatureSet, Functionals
from edge_ser.training.baselines.majority import one_hot, training_clips
from edge_ser.training.cross_validation.systems import SystemResult

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class SvmConfig:
    """Settings of an SVM.

    Raises:
        ConfigError: a value is out of range.
    """

    costs: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    """Candidates of the complexity C, in ascending order."""
    inner_folds: int = 5
    """Number of folds of training speakers to select C; at most the number of speakers."""

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.costs, self.costs[1:], strict=False))
        fits = bool(self.costs) and rising and all(0 < c <= 1e6 for c in self.costs)
        require(fits, "costs", list(self.costs), "rising numbers above 0, up to 1e6")
        require(self.inner_folds >= 2, "inner_folds", self.inner_folds, "2 or more")


class FunctionalsSvm:
    """A `System`: openSMILE functionals, standardised, and a linear SVM with balanced classes."""

    def __init__(
        self, name: str, feature_set: FeatureSet, cache: Path, config: SvmConfig | None = None
    ) -> None:
        """Prepare the features.

        Args:
            name: the name in tables and files.
            feature_set: the feature set.
            cache: a directory for the functionals.
            config: the settings.

        Raises:
            MissingDependency: opensmile or scikit-learn is not installed.
        """
        try:
            import sklearn
        except ImportError:
            raise missing_extra("scikit-learn", "baselines") from None
        self._name = name
        self._config = config or SvmConfig()
        self._feature_set = feature_set
        self._features = Functionals(feature_set, cache)
        self._sklearn_version: str = sklearn.__version__

    @property
    def name(self) -> str:
        """The name in tables and files."""
        return self._name

    @property
    def settings(self) -> Mapping[str, object]:
        """Settings of features, classifier and selection of C."""
        return {
            "features": self._feature_set.value,
            "sample_rate": SAMPLE_RATE,
            "opensmile": self._features.version,
            "scikit-learn": self._sklearn_version,
            "kernel": "linear",
            "classes": "one against one, balanced weights",
            "learns_from": "training and validation clips",
            "chooses_c_by": "UAR of inner folds grouped by speaker, else by clip",
            **asdict(self._config),
        }

    def fit_predict(
        self, fold: Fold, labels: tuple[str, ...], progress: OnProgress
    ) -> SystemResult:
        """Select C on the training speakers, train on all of them and predict; see `System`."""
        start = time.perf_counter()
        clips = training_clips(fold)
        n_all = len(clips) + len(fold.test)
        features = self._features.matrix(
            clips + fold.test, lambda share: progress(f"functionals of {n_all} clips", share)
        )
        known, unknown = features[: len(clips)], features[len(clips) :]
        targets = np.array([labels.index(clip.emotion) for clip in clips], dtype=np.int64)
        if len(np.unique(targets)) < 2:
            raise TrainingError(
                f"fold {fold.name}: expected two or more emotions in training, got "
                f"{len(np.unique(targets))} emotion(s); give other folds, or more clips"
            )
        groups, by = _groups(clips)
        cost = self._choose(known, targets, groups, lambda share: progress("choosing C", share))
        progress("training", 0.0)
        classes = _decide(known, targets, unknown, (cost,))[0]
        progress("training", 1.0)
        n_present = len(np.unique(targets))
        return SystemResult(
            probs=one_hot(classes.tolist(), len(labels)),
            n_parameters=n_present * (n_present - 1) // 2 * (self._features.n_features + 1),
            train_s=time.perf_counter() - start,
            notes=(f"C = {cost:g}, chosen on folds of training {by}",),
        )

    def _choose(self, features: Float64, targets: Int64, groups: Int64, progress: OnShare) -> float:
        """Return the C with the best UAR over inner folds, the smallest in case of a tie."""
        costs = self._config.costs
        predicted = np.full((len(costs), len(targets)), -1, dtype=np.int64)
        n_folds = min(self._config.inner_folds, len(np.unique(groups)))
        for done, (train, test) in enumerate(_inner_folds(groups, n_folds), start=1):
            if len(np.unique(targets[train])) >= 2:
                predicted[:, test] = _decide(features[train], targets[train], features[test], costs)
            progress(done / n_folds)
        validated = predicted[0] >= 0
        if not validated.any():
            return costs[0]
        recall = [
            unweighted_average_recall(
                confusion(
                    targets[validated].tolist(), row[validated].tolist(), int(targets.max()) + 1
                )
            )
            for row in predicted
        ]
        return costs[int(np.argmax(recall))]


def _groups(clips: Sequence[Clip]) -> tuple[Int64, str]:
    """Return a group number for each clip: by speaker, or by audio if there is only one speaker."""
    one = len(speakers(clips)) < 2
    keys = [clip.group if one else clip.speaker for clip in clips]
    numbers = np.unique(np.array(keys), return_inverse=True)[1]
    return numbers.astype(np.int64), "clips" if one else "speakers"


def _inner_folds(groups: Int64, n_folds: int) -> Iterator[tuple[Int64, Int64]]:
    from sklearn.model_selection import GroupKFold

    if n_folds < 2:
        return
    yield from GroupKFold(n_folds).split(groups, groups=groups)


def _decide(known: Float64, targets: Int64, unknown: Float64, costs: Sequence[float]) -> Int64:
    """Return predicted classes [n_costs, n_unknown], by one SVM per C on a shared Gram matrix."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    scaler = StandardScaler().fit(known)
    known, unknown = scaler.transform(known), scaler.transform(unknown)
    gram, cross = known @ known.T, unknown @ known.T
    rows = []
    for cost in costs:
        machine: Any = SVC(C=cost, kernel="precomputed", class_weight="balanced", cache_size=500)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            rows.append(machine.fit(gram, targets).predict(cross))
    return np.asarray(rows, dtype=np.int64)
