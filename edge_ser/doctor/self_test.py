"""Self-test: a few seconds of synthetic voice through the runtime, compared with the known result."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.files import read_json
from edge_ser._util.hashing import file_digest
from edge_ser._util.records import build
from edge_ser.audio.io import AudioChunk
from edge_ser.errors import ConfigError, ModelError
from edge_ser.inference.loader import bundled_model
from edge_ser.recognition.prediction import likeliest
from edge_ser.recognition.recognizer import Recognizer

Float32 = NDArray[np.float32]

SAMPLE_RATE = 48_000
"""Hz, the rate of most microphones, so that the test includes resampling."""

TOLERANCE = 0.01
"""Tolerance of each probability for rounding; another network or front end differs by far more."""

_SECONDS_AFTER_FIRST = 2.0
_CHUNK_S = 0.02


@dataclass(frozen=True)
class Expected:
    """Expected result of the bundled model on the signal, from assets/self_test.json."""

    sha256: str
    """Digest of the model file."""
    label: str
    probs: Mapping[str, float]


@dataclass(frozen=True)
class SelfTest:
    """Result of a self-test."""

    model: str
    labels: tuple[str, ...]
    sha256: str
    label: str
    probs: Mapping[str, float]
    """Mean over all windows, by label."""
    n_windows: int
    audio_s: float
    p50_ms: float
    """Median time for features and inference of a window."""
    rtf: float
    """Processing time / audio time. Above 1, processing falls behind a live stream."""


def voice(seconds: float, sample_rate: int = SAMPLE_RATE) -> Float32:
    """Return a synthetic vowel at four syllables per second, float32 [n_samples] in [-1, 1].

    It consists of sines without random numbers, so it is the same for all machines and NumPy versions.
    """
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    phase = 2 * np.pi * 180 * t + 40 / 2.5 * (1 - np.cos(2 * np.pi * 2.5 * t))
    sound = np.zeros_like(t)
    for harmonic in range(1, 21):
        hz = 180 * harmonic
        formants = sum(np.exp(-(((hz - centre) / 150) ** 2)) for centre in (700, 1_200, 2_600))
        sound += (formants + 0.05) / harmonic * np.sin(harmonic * phase)
    syllables = 0.55 - 0.45 * np.cos(2 * np.pi * 4 * t)
    return np.asarray(0.2 * syllables * sound, dtype=np.float32)


def run_self_test(model: Path | None = None) -> SelfTest:
    """Stream the signal through resampler, features and network in chunks, as a microphone would.

    Args:
        model: an ONNX file; None for the bundled model.

    Raises:
        ModelError: the model cannot be used.
    """
    path = model or bundled_model()
    recognizer = Recognizer(path)
    seconds = recognizer.card.window_s + _SECONDS_AFTER_FIRST
    samples = voice(seconds)
    begin = time.perf_counter()
    windows = list(recognizer.stream(_chunks(samples), "self-test"))
    took_s = time.perf_counter() - begin
    labels = recognizer.card.labels
    probs = {label: statistics.fmean(w.probs[label] for w in windows) for label in labels}
    return SelfTest(
        model=recognizer.card.name,
        labels=labels,
        sha256=file_digest(path),
        label=likeliest(probs) or "",
        probs=probs,
        n_windows=len(windows),
        audio_s=seconds,
        p50_ms=statistics.median(w.compute_ms for w in windows),
        rtf=took_s / seconds,
    )


def expected() -> Expected:
    """Return the expected result of the bundled model.

    Raises:
        ModelError: the file beside the model is missing or damaged.
    """
    path = Path(str(resources.files("edge_ser") / "assets" / "self_test.json"))
    try:
        return build(Expected, read_json(path), str(path))
    except ConfigError as error:
        raise ModelError(f"{path} cannot be read ({error}); install edge-ser again") from None


def _chunks(samples: Float32) -> Iterator[AudioChunk]:
    step = int(_CHUNK_S * SAMPLE_RATE)
    for start in range(0, len(samples), step):
        yield AudioChunk(samples[start : start + step], SAMPLE_RATE)
