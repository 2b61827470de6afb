"""Features of the paper: the MFCCs of all frames as one flat vector, padded and standardised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnShare
from edge_ser.corpora import Clip, PaperAugmentation
from edge_ser.errors import AudioError, missing_extra
from edge_ser.splits.fold import Fold
from edge_ser.splits.other import PAPER, paper_rows
from edge_ser.training.augmentation.copies import load_copy

Float32 = NDArray[np.float32]

SAMPLE_RATE = 22_050
OFFSET_S, DURATION_S = 0.6, 2.5
N_MFCC, N_FFT, HOP_LENGTH = 20, 2048, 512
WITH_ZERO_CROSSINGS = frozenset({"EMO-DB", "EMOVO"})
"""Corpora whose notebooks prepend the zero-crossing rate of each frame to the MFCCs."""


def features(samples: Float32, zero_crossings: bool) -> Float32:
    """Return features, float32 [21 * n_frames] or, without zero crossings, [20 * n_frames].

    Args:
        samples: float32 [n_samples] at 22,050 Hz, at least 2,048.
        zero_crossings: prepend the zero-crossing rate of each frame, in [0, 1].

    Raises:
        MissingDependency: librosa is not installed.
    """
    try:
        from librosa.feature import mfcc, zero_crossing_rate
    except ImportError:
        raise missing_extra("librosa", "train") from None
    cepstra = mfcc(y=samples, sr=SAMPLE_RATE, n_mfcc=N_MFCC, n_fft=N_FFT, hop_length=HOP_LENGTH)
    parts = [np.ravel(cepstra.T)]
    if zero_crossings:
        rates = zero_crossing_rate(samples, frame_length=N_FFT, hop_length=HOP_LENGTH)
        parts.insert(0, rates[0])
    return np.concatenate(parts).astype(np.float32)


class FeatureRows:
    """Features of clips and their augmented copies, computed once and reused between folds."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._rows: dict[tuple[Path, PaperAugmentation], Float32] = {}

    def compute(self, clips: Sequence[Clip], progress: OnShare) -> int:
        """Compute missing rows and return the length of the longest row of the clips.

        Args:
            clips: clips and their copies.
            progress: called after each clip with the share done.

        Raises:
            AudioError: a clip cannot be read or is too short.
            MissingDependency: librosa is not installed.
        """
        for done, clip in enumerate(clips, 1):
            key = (clip.path, clip.copy)
            if key not in self._rows:
                self._rows[key] = self._row(clip)
            progress(done / len(clips))
        return max(len(self._rows[clip.path, clip.copy]) for clip in clips)

    def matrix(self, clips: Sequence[Clip], length: int) -> Float32:
        """Return the computed rows of clips, float32 [n_clips, length], padded with 0."""
        result = np.zeros((len(clips), length), dtype=np.float32)
        for row, clip in zip(result, clips, strict=True):
            values = self._rows[clip.path, clip.copy]
            row[: len(values)] = values
        return result

    def _row(self, clip: Clip) -> Float32:
        samples = load_copy(clip, SAMPLE_RATE, OFFSET_S, DURATION_S, self._seed)
        if len(samples) < N_FFT:
            raise AudioError(
                f"{clip.path} is too short: the paper's recipe starts at {OFFSET_S} s and needs "
                f"{N_FFT / SAMPLE_RATE:.2f} s from there; leave the clip out"
            )
        return features(samples, clip.corpus in WITH_ZERO_CROSSINGS)


@dataclass(frozen=True)
class Standardizer:
    """Standardisation of columns by training rows, as scikit-learn's StandardScaler."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def fit(cls, rows: Float32) -> Standardizer:
        """Return mean and deviation of the columns of [n_rows, length]; 1 for constant columns."""
        std = rows.std(axis=0, dtype=np.float64)
        constant = rows.min(axis=0) == rows.max(axis=0)
        return cls(rows.mean(axis=0, dtype=np.float64), np.where(constant, 1.0, std))

    def __call__(self, rows: Float32) -> Float32:
        """Return standardised rows, float32 [n_rows, length]."""
        return ((rows - self.mean) / self.std).astype(np.float32)


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
    cached: FeatureRows,
    progress: OnShare,
) -> PaperRows:
    """Compute the rows of a fold's training and test clips.

    Args:
        fold: the fold; its validation clips are ignored.
        labels: the classes, in the order of the targets.
        copies: see `PaperConfig`.
        cached: rows to reuse and extend.
        progress: called after each clip with the share done.

    Raises:
        AudioError, MissingDependency: as `FeatureRows.compute`.
    """
    train = training_rows(fold, copies)
    # As in the notebooks, the longest row of both parts determines the length.
    length = cached.compute((*train, *fold.test), progress)
    rows = cached.matrix(train, length)
    standardize = Standardizer.fit(rows)
    return PaperRows(
        train=standardize(rows),
        targets=tuple(labels.index(clip.emotion) for clip in train),
        test=standardize(cached.matrix(fold.test, length)),
        standardizer=standardize,
    )


def training_rows(fold: Fold, copies: bool) -> tuple[Clip, ...]:
    """Return the training clips: each in four copies, or as they are in the fold."""
    if fold.protocol == PAPER or not copies:
        return fold.train
    return paper_rows(fold.train)
