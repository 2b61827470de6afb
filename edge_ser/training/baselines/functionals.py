"""openSMILE functionals of clips, cached on disk.

The `opensmile` package and the openSMILE library in it are free for research and private use only
(audEERING's licence).
"""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnShare
from edge_ser._util.files import replacing
from edge_ser._util.hashing import bytes_digest
from edge_ser.corpora import Clip
from edge_ser.errors import AudioError, missing_extra
from edge_ser.training.augmentation.copies import load_copy

SAMPLE_RATE = 16_000
"""Sample rate in Hz of all clips, so that corpora of different rates are comparable."""


class FeatureSet(str, Enum):
    """Standard feature sets, by openSMILE's names."""

    EGEMAPS = "eGeMAPSv02"
    """88 functionals (Eyben et al. 2016, doi:10.1109/TAFFC.2015.2457417)."""
    COMPARE = "ComParE_2016"
    """6373 functionals (Schuller et al. 2016, Interspeech, the ComParE challenge)."""


class Functionals:
    """Functionals of clips, one vector each, cached by the digest of the audio."""

    def __init__(self, feature_set: FeatureSet, cache: Path) -> None:
        """Prepare openSMILE.

        Args:
            feature_set: the feature set.
            cache: a directory for the functionals; created if missing.

        Raises:
            MissingDependency: opensmile is not installed.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the packages under opensmile, at import
                import opensmile
        except ImportError:
            raise missing_extra("opensmile", "baselines") from None
        self.version = importlib.metadata.version("opensmile")
        self._smile: Any = opensmile.Smile(
            feature_set=opensmile.FeatureSet[feature_set.value],
            feature_level=opensmile.FeatureLevel.Functionals,
        )
        self._folder = cache / "functionals" / f"{feature_set.value}-opensmile-{self.version}"
        self._loaded: dict[Clip, NDArray[np.float32]] = {}

    @property
    def n_features(self) -> int:
        """Number of functionals per clip."""
        return len(self._smile.feature_names)

    def matrix(
        self, clips: Sequence[Clip], progress: OnShare = lambda _: None
    ) -> NDArray[np.float64]:
        """Return functionals [n_clips, n_features].

        Args:
            clips: the clips to read.
            progress: called with the share done, in [0, 1].

        Raises:
            AudioError: a clip that cannot be read, or is too short for openSMILE.
            ConfigError: the cache cannot be written.
        """
        rows = []
        for done, clip in enumerate(clips, start=1):
            if clip not in self._loaded:
                self._loaded[clip] = self._values(clip)
            rows.append(self._loaded[clip])
            progress(done / len(clips))
        return np.asarray(rows, dtype=np.float64).reshape(len(clips), self.n_features)

    def _values(self, clip: Clip) -> NDArray[np.float32]:
        samples = load_copy(clip, SAMPLE_RATE)
        path = self._folder / f"{bytes_digest(samples.tobytes())}.npy"
        values = _read(path, self.n_features)
        if values is None:
            values = self._compute(samples, clip)
            with replacing(path) as temporary:
                np.save(temporary, values)
        return values

    def _compute(self, samples: NDArray[np.float32], clip: Clip) -> NDArray[np.float32]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "too short" comes as NaN as well
            values = np.asarray(self._smile(samples, SAMPLE_RATE), dtype=np.float32).ravel()
        if not np.isfinite(values).all():
            raise AudioError(
                f"{clip.path}: expected speech, got {len(samples) / SAMPLE_RATE:.2f} s of audio whose "
                "openSMILE functionals are not numbers; leave it out"
            )
        return values


def _read(path: Path, n_features: int) -> NDArray[np.float32] | None:
    """Return cached functionals; None if the file is missing or damaged."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = isinstance(values, np.ndarray) and values.shape == (n_features,)
    return values.astype(np.float32) if fits and np.isfinite(values).all() else None
