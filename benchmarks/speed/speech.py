"""Speech to measure with, made of the repository's example clips: no corpus is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio.io import find_audio, load
from edge_ser.vad.detectors import Silero

Float32 = NDArray[np.float32]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PAUSE_S = 1.5
_SURE = 0.5
_SOFT = 1e-4


def clip(seconds: float, sample_rate: int = 16_000) -> Float32:
    """Return the beginning of the examples, one after another, [n_samples]."""
    samples = np.concatenate([load(path, sample_rate) for path in find_audio(EXAMPLES)])
    n = round(seconds * sample_rate)
    return np.resize(samples, n)


def unbroken(seconds: float, sample_rate: int) -> Float32:
    """Return speech without pauses: the frames that the voice detector is sure of, in a row."""
    detector, spoken = Silero(), []
    samples = clip(12.0)
    for start in range(0, len(samples) - 511, 512):
        frame = samples[start : start + 512]
        if detector.push(frame) >= _SURE:
            spoken.append(frame)
    return _at_rate(np.resize(np.concatenate(spoken), round(seconds * 16_000)), sample_rate)


def with_pauses(seconds: float, sample_rate: int) -> Float32:
    """Return the examples with 1.5 s of soft noise after each."""
    noise = _SOFT * np.random.default_rng(0).standard_normal(round(PAUSE_S * 16_000))
    pieces = []
    for path in find_audio(EXAMPLES):
        pieces += [load(path, 16_000), noise.astype(np.float32)]
    return _at_rate(np.resize(np.concatenate(pieces), round(seconds * 16_000)), sample_rate)


def pcm(samples: Float32) -> bytes:
    """Return 16-bit samples as microphones give them."""
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def _at_rate(samples: Float32, sample_rate: int) -> Float32:
    import soxr

    return np.asarray(soxr.resample(samples, 16_000, sample_rate), dtype=np.float32)
