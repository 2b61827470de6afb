"""Detection of screams and shouts in a short recording, which a voice detector misses.

The criterion is about a second of loud, voiced sound in a quiet recording, with the pitch variation of
a voice. Steady sounds lack contrast, knocks and water are unvoiced, and the pitch of most animals
varies more. docs/voice.md has the measurements behind the limits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

FRAME_S = 0.032
CONTRAST_DB = 45.0
"""Smallest difference between the loudest frame and the floor, the 10th percentile of the frames."""
ABOVE_FLOOR_DB = 20.0
BELOW_LOUDEST_DB = 25.0
"""Limits of a loud frame: at least this much above the floor, at most that much below the loudest."""
MIN_VOICED_S = 0.8
VOICED = 0.8
"""Normalised autocorrelation from which a frame is voiced."""
MOST_PITCH_SPREAD = 0.7
"""Largest standard deviation of the pitch, in octaves."""
PITCH_HZ = 73.0, 1_330.0

_SILENT_DBFS = -90.0
_FEWEST_RECORDED = 5


def find_loud_voice(samples: Float32, sample_rate: int) -> tuple[float, float] | None:
    """Return start and end of a loud voice in samples [n], in seconds; None if there is none."""
    size = round(FRAME_S * sample_rate)
    n_frames = len(samples) // size
    if n_frames < MIN_VOICED_S / FRAME_S:
        return None
    frames = samples[: n_frames * size].reshape(n_frames, size).astype(np.float64)
    level = 10 * np.log10(np.einsum("ij,ij->i", frames, frames) / size + 1e-12)
    recorded = level[level > _SILENT_DBFS]
    if len(recorded) < _FEWEST_RECORDED:
        return None
    floor, loudest = np.percentile(recorded, 10), level.max()
    if loudest - floor < CONTRAST_DB:
        return None
    loud = (level > floor + ABOVE_FLOOR_DB) & (level > loudest - BELOW_LOUDEST_DB)
    strength, pitch_hz = _periodicity(frames, sample_rate)
    voiced = loud & (strength > VOICED)
    if voiced.sum() * FRAME_S < MIN_VOICED_S:
        return None
    if np.std(np.log2(pitch_hz[voiced])) > MOST_PITCH_SPREAD:
        return None
    indices = np.flatnonzero(loud)
    return float(indices[0] * size / sample_rate), float((indices[-1] + 1) * size / sample_rate)


def _periodicity(frames: Float64, sample_rate: int) -> tuple[Float64, Float64]:
    """Return the periodicity of each frame with its successor, and its pitch in Hz, both [n_frames]."""
    n_frames, size = frames.shape
    pairs = np.zeros((n_frames, 2 * size))
    pairs[:, :size] = frames
    pairs[:-1, size:] = frames[1:]
    pairs -= pairs.mean(axis=1, keepdims=True)
    window = np.hanning(2 * size)
    shortest, longest = (round(sample_rate / hz) for hz in reversed(PITCH_HZ))
    of_window = _autocorrelation(window[None], longest)[0]
    strength, pitch_hz = np.zeros(n_frames), np.ones(n_frames)
    for index, row in enumerate(_autocorrelation(pairs * window, longest) / of_window):
        rising = np.flatnonzero(np.diff(row) > 0)
        first = min(max(int(rising[0]) if len(rising) else 1, shortest), longest - 1)
        lag = first + int(np.argmax(row[first:]))
        strength[index], pitch_hz[index] = row[lag], sample_rate / lag
    return strength, pitch_hz


def _autocorrelation(rows: Float64, longest: int) -> Float64:
    """Return the autocorrelation of each row at lags [0, longest], 1 at lag 0."""
    power = np.abs(np.fft.rfft(rows, 4 * rows.shape[1])) ** 2
    values = np.fft.irfft(power)[:, : longest + 1]
    return np.asarray(values / (values[:, :1] + 1e-12))
