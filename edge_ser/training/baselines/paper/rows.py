"""A fold as the paper's network takes it: standardised rows to learn from, and rows to be scored."""

from __future__ import annotations

from dataclasses import dataclass

from edge_ser._util.callbacks import OnShare
from edge_ser.corpora import Clip
from edge_ser.splits.fold import Fold
from edge_ser.splits.other import PAPER, paper_rows
from edge_ser.training.baselines.paper.features import FeatureRows, Float32, Standardizer


@dataclass(frozen=True)
class PaperRows:
    """Rows that the network learns from and is scored on, made by `prepare`."""

    train: Float32
    """Standardised, [n_rows, length]."""
    targets: tuple[int, ...]
    """The class of each row of `train`."""
    test: Float32
    """Standardised by the training rows, [n_test, length]."""
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
        fold: which clips; validation clips are left out.
        labels: the classes, in the order of the targets.
        copies: see `PaperConfig`.
        features: what was computed before is taken from here.
        progress: called after each clip with the share done.

    Raises:
        AudioError, MissingDependency: as `FeatureRows.compute`.
    """
    train = training_rows(fold, copies)
    # The notebooks' vectors are as long as the longest one, on whichever side it stands.
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
    """Return what is learned from: each training clip in four copies, or as the fold has them."""
    if fold.protocol == PAPER or not copies:
        return fold.train
    return paper_rows(fold.train)
