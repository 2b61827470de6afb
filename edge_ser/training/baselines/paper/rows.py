"""Standardised feature rows of a fold, for the paper's network."""

from __future__ import annotations

from dataclasses import dataclass

from edge_ser._util.callbacks import OnShare
from edge_ser.corpora import Clip
from edge_ser.splits.fold import Fold
from edge_ser.splits.other import PAPER, paper_rows
from edge_ser.training.baselines.paper.features import FeatureRows, Float32, Standardizer


@dataclass(frozen=True)
class PaperRows:
    """Training and test rows of a fold, made by `prepare`."""

    train: Float32
    """Standardised training rows, float32 [n_rows, length]."""
    targets: tuple[int, ...]
    """Class of each row of `train`."""
    test: Float32
    """Test rows, standardised by the training rows, float32 [n_test, length]."""
    standardizer: Standardizer


def prepare(
    fold: Fold,
    labels: tuple[str, ...],
    copies: bool,
    features: FeatureRows,
    progress: OnShare,
) -> PaperRows:
    """Compute the rows of a fold's training and test clips.

    Args:
        fold: the fold; its validation clips are ignored.
        labels: the classes, in the order of the targets.
        copies: see `PaperConfig`.
        features: rows to reuse and extend.
        progress: called after each clip with the share done.

    Raises:
        AudioError, MissingDependency: as `FeatureRows.compute`.
    """
    train = training_rows(fold, copies)
    # As in the notebooks, the longest row of both parts determines the length.
    length = features.compute((*train, *fold.test), progress)
    rows = features.matrix(train, length)
    standardize = Standardizer.fit(rows)
    return PaperRows(
        train=standardize(rows),
        targets=tuple(labels.index(clip.emotion) for clip in train),
        test=standardize(features.matrix(fold.test, length)),
        standardizer=standardize,
    )


def training_rows(fold: Fold, copies: bool) -> tuple[Clip, ...]:
    """Return the training clips: each in four copies, or as they are in the fold."""
    if fold.protocol == PAPER or not copies:
        return fold.train
    return paper_rows(fold.train)
