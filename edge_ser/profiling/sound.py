"""Audio of a profile: repeated recordings, or generated speech-like sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.records import require
from edge_ser.audio.io import Resampler, dbfs, file_chunks, find_audio, load
from edge_ser.vad.base import VoiceDetector

Float32 = NDArray[np.float32]

_FORMANTS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
)
"""Formants in Hz of the vowels in had, heed, who'd, head, hawed (Peterson and Barney 1952, men)."""

MADE_S = 20.0


@dataclass(frozen=True, eq=False)
class Sound:
    """Mono audio that is repeated as long as needed."""

    name: str
    """Name in reports."""
    samples: Float32
    """float32 [n] in [-1, 1]."""
    sample_rate: int
    """Hz."""

    @property
    def length_s(self) -> float:
        """Seconds until it repeats."""
        return len(self.samples) / self.sample_rate

    def pieces(self, chunk_s: float) -> Iterator[Float32]:
        """Yield pieces of `chunk_s` seconds without end; a piece may wrap around."""
        n = max(1, round(chunk_s * self.sample_rate))
        # One more piece than the length, so that every piece is a single slice.
        around = np.concatenate([self.samples, np.resize(self.samples, n)])
        at = 0
        while True:
            yield around[at : at + n]
            at = (at + n) % len(self.samples)


def made_sound(sample_rate: int, seed: int = 0, length_s: float = MADE_S) -> Sound:
    """Return vowels on a gliding pitch, with hiss and short pauses; never completely silent.

    It exercises all stages as speech does, but carries no emotion: accuracy must not be measured on it.
    """
    require(8_000 <= sample_rate <= 192_000, "rate", sample_rate, "8000 to 192000 Hz")
    rng = np.random.default_rng(seed)
    n = round(length_s * sample_rate)
    t = np.arange(n) / sample_rate
    syllable_s = 0.22
    syllable = np.minimum((t / syllable_s).astype(int), int(length_s / syllable_s))
    n_syllables = int(syllable[-1]) + 1
    vowels = np.array(_FORMANTS)[rng.integers(len(_FORMANTS), size=n_syllables)]
    loud = rng.uniform(0.5, 1.0, n_syllables)
    loud[rng.random(n_syllables) < 0.12] = 0.01
    pitch = np.interp(t, np.arange(n_syllables) * syllable_s, rng.uniform(95, 230, n_syllables))
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    shape = np.sin(np.pi * np.clip(t / syllable_s - syllable, 0, 1)) ** 0.6
    voiced = np.zeros(n)
    for harmonic in range(1, 26):
        height = harmonic * pitch[:, None]
        gain = (1 / (1 + ((height - vowels[syllable]) / 90.0) ** 2)).sum(axis=1)
        gain[height[:, 0] > 0.45 * sample_rate] = 0.0
        voiced += (gain + 0.02) / harmonic**0.5 * np.sin(harmonic * phase)
    samples = voiced * shape * loud[syllable] + 0.01 * rng.standard_normal(n)
    samples *= 0.4 / np.abs(samples).max()
    return Sound(f"made, speech-like, seed {seed}", samples.astype(np.float32), sample_rate)


def recorded_sound(paths: Sequence[Path]) -> Sound:
    """Return recordings, concatenated, at the sample rate of the first.

    Raises:
        AudioError: a file is missing or unreadable, or a directory has no audio.
        ConfigError: they are shorter than a second, or silent.
    """
    files = [file for path in paths for file in find_audio(path)]
    rate = next(file_chunks(files[0])).sample_rate
    samples = np.concatenate([load(file, rate) for file in files])
    require(len(samples) >= rate, "length of the audio", len(samples) / rate, "a second or more")
    require(bool(np.any(samples)), "audio", "all zeros", "a recording that is not silent")
    name = files[0].name if len(files) == 1 else f"{len(files)} files, {files[0].name} first"
    return Sound(name, samples, rate)


def speech_share(sound: Sound, detector: VoiceDetector) -> float:
    """Return the share of a sound that a voice detector classifies as speech, in [0, 1]."""
    resampler = Resampler(sound.sample_rate, detector.sample_rate)
    samples = resampler.push(sound.samples, last=True)
    n = detector.frame_samples
    frames = samples[: len(samples) // n * n].reshape(-1, n)
    detector.reset()
    is_speech = [detector.push(frame) >= 0.5 for frame in frames]
    detector.reset()
    return float(np.mean(is_speech)) if is_speech else 0.0


def level_dbfs(sound: Sound) -> float:
    """Return the RMS level in dB of full scale."""
    return dbfs(sound.samples)
