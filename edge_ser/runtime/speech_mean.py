"""Mean features of the speech of one utterance, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import FrontendConfig
from edge_ser.frontend import StreamingMfcc, dct_basis
from edge_ser.runtime.timeline import Timeline

Float32 = NDArray[np.float32]

SPEECH_RANGE_DB = 35.0
"""Frames within so many dB of the utterance's loudest frame count as speech, as in training."""

_LOWEST_DB, _N_BINS = -400, 600
"""Levels of frames are kept to 1 dB: from this one, so many."""


@dataclass(frozen=True, eq=False)
class SpeechStatistics:
    """Mean features of some speech, and how much speech it was."""

    mean: Float32
    """float32 [n_features], as the front end makes them."""
    speech_s: float
    """Seconds of the frames that were counted."""


class SpeechMean:
    """Take an utterance's samples; its end may become known some time after it.

    Which frames count is known at the end only, because the loudest frame decides. So sums are kept
    by level, in steps of 1 dB.

    Args:
        frontend: of the model.
        skip_samples: samples before the speech, which do not count.
        wait_samples: by how much the end may lie before the last sample that came.
    """

    def __init__(self, frontend: FrontendConfig, skip_samples: int, wait_samples: int) -> None:
        self._frontend = frontend
        self._mfcc = StreamingMfcc(frontend)
        hop_length = frontend.hop_length
        self._n_skipped = -(-skip_samples // hop_length)
        self._n_waiting = -(-(wait_samples + frontend.n_fft) // hop_length)
        self._frames = Timeline(frontend.n_features)
        self._sums = np.zeros((_N_BINS, frontend.n_features))
        self._counts = np.zeros(_N_BINS, dtype=np.int64)
        # The zeroth coefficient is the sum of the log mel spectrum, times a constant.
        self._level_of_row = 1.0 / float(dct_basis(frontend)[0].sum())

    def push(self, samples: Float32) -> None:
        """Take float32 [n] at the model's rate."""
        self._frames.append(self._mfcc.push(samples))
        self._count(self._frames.end - self._n_waiting)

    def finish(self, n_samples: int) -> SpeechStatistics | None:
        """Return what the first `n_samples` samples hold; None where there is no whole frame."""
        self._frames.append(self._mfcc.flush())
        self._count(min(self._frontend.n_frames(n_samples), self._frames.end))
        (used,) = self._counts.nonzero()
        if not len(used):
            return None
        speech = slice(max(0, int(used[-1]) - round(SPEECH_RANGE_DB)), None)
        n_frames = int(self._counts[speech].sum())
        mean = (self._sums[speech].sum(axis=0) / n_frames).astype(np.float32)
        length_s = n_frames * self._frontend.hop_length / self._frontend.sample_rate
        return SpeechStatistics(mean, length_s)

    def _count(self, stop: int) -> None:
        """Count frames up to `stop` that were not counted yet."""
        begin = max(self._n_skipped, self._frames.start)
        if stop <= begin:
            return
        frames = self._frames.slice(begin, stop).astype(np.float64)
        level_db = np.floor(frames[0] * self._level_of_row)
        bins = np.clip(level_db - _LOWEST_DB, 0, _N_BINS - 1).astype(np.int64)
        np.add.at(self._sums, bins, frames.T)
        np.add.at(self._counts, bins, 1)
        self._frames.drop_before(stop)
