"""Noise added to clips at a signal-to-noise ratio, the same for a clip on every machine."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio.io import load
from edge_ser.errors import AudioError

Float32 = NDArray[np.float32]

COLOURS = ("white", "pink")

_BLOCK_S = 0.01
_MARGIN_DB = 15.9
_PINK_FROM_HZ = 20.0


@dataclass(frozen=True)
class NoiseSource:
    """Source of noise with a mean power of 1."""

    name: str
    """`white`, `pink`, or the name of a recording's file."""
    sample_rate: int
    """Hz."""
    seed: int
    recording: Float32 | None = None
    """Samples that are repeated as needed; None for generated noise."""

    def draw(self, n_samples: int, clip: str) -> Float32:
        """Return noise [n_samples] for a clip, determined by the clip's name and the seed."""
        rng = np.random.default_rng([self.seed, zlib.crc32(clip.encode())])
        if self.recording is not None:
            start = int(rng.integers(len(self.recording)))
            indices = np.arange(start, start + n_samples)
            return np.asarray(np.take(self.recording, indices, mode="wrap"), dtype=np.float32)
        noise = rng.standard_normal(n_samples)
        if self.name == "pink":
            noise = _pink(noise, self.sample_rate)
        return _unit_power(noise)


def open_noise(name: str, sample_rate: int, seed: int) -> NoiseSource:
    """Return white noise, pink noise, or noise from a recording.

    Pink noise has equal power in every octave from 20 Hz, similar to room noise.

    Args:
        name: `white`, `pink`, or an audio file.
        sample_rate: Hz, of the clips that it is added to.
        seed: determines the noise, or the start within the recording, for each clip.

    Raises:
        AudioError: a file that cannot be read, or is silent.
    """
    if name in COLOURS:
        return NoiseSource(name, sample_rate, seed)
    path = Path(name)
    samples = load(path, sample_rate)
    if not samples.any():
        raise AudioError(f"{path} is silent; give white, pink or a recording of noise")
    return NoiseSource(path.name, sample_rate, seed, _unit_power(samples))


def add_noise(samples: Float32, noise: Float32, snr_db: float, sample_rate: int) -> Float32:
    """Return samples with noise of unit power added, `snr_db` below the power of the speech.

    The power of the speech is that of its active part (see `active_power`), so that pauses do not
    change the ratio. A silent clip is returned unchanged.
    """
    gain = np.sqrt(active_power(samples, sample_rate) / 10 ** (snr_db / 10))
    return np.asarray(samples + np.float32(gain) * noise, dtype=np.float32)


def active_power(samples: Float32, sample_rate: int) -> float:
    """Return the mean power of the blocks of 10 ms that are active.

    After the active speech level of ITU-T P.56: active are the blocks that lie less than 15.9 dB
    below the active level itself. The level starts as that of all blocks and rises until nothing
    changes. (P.56 smooths an envelope and holds it for 200 ms; that is left out.)
    """
    block = max(1, min(len(samples), round(_BLOCK_S * sample_rate)))
    blocks = samples[: len(samples) // block * block].reshape(-1, block).astype(np.float64)
    power = np.mean(blocks**2, axis=1)
    level = float(power.mean()) if len(power) else 0.0
    while True:
        active = power[power >= level * 10 ** (-_MARGIN_DB / 10)]
        higher = float(active.mean()) if len(active) else 0.0
        if higher <= level:
            return level
        level = higher


def _pink(white: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(white)
    hz = np.fft.rfftfreq(len(white), 1 / sample_rate)
    audible = hz >= _PINK_FROM_HZ
    spectrum[audible] /= np.sqrt(hz[audible])
    spectrum[~audible] = 0
    return np.fft.irfft(spectrum, len(white))


def _unit_power(noise: NDArray[np.floating]) -> Float32:
    power = float(np.mean(np.square(noise, dtype=np.float64)))
    return np.asarray(noise / np.sqrt(power), dtype=np.float32)
