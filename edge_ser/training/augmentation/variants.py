"""Augmentation of waveforms before training: playing speeds, rooms and scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from edge_ser.corpora import Clip
from edge_ser.errors import ConfigError
from edge_ser.training.augmentation.copies import generator_of
from edge_ser.training.augmentation.scenes import Scenes

Float32 = NDArray[np.float32]

REVERBERATION_S = (0.2, 0.8)
"""Range of reverberation times (T60) in seconds, from a car to an exhibition hall."""

DIRECT_DB = (-3.0, 12.0)
"""Range of the direct-to-reverberant ratio in dB, from far to near."""

_FIRST_ECHO_S = 0.003


@dataclass(frozen=True)
class WaveformAugmentation:
    """Augmentation of a clip's samples before features are computed; none by default."""

    speed: float = 1.0
    """Playing speed; 1.1 is 10% faster and higher."""
    room: int = 0
    """Number of the room; 0 for none."""
    scene: int = 0
    """Number of the scene, see `scenes`; 0 for none."""

    def apply(
        self, clip: Clip, samples: Float32, sample_rate: int, scenes: Scenes | None = None
    ) -> Float32:
        """Return the augmented samples of a clip.

        Rooms and scenes are random, seeded by the clip and their number. They change neither length
        nor timing.

        Args:
            clip: clip of the samples.
            samples: float32 [n_samples].
            sample_rate: Hz.
            scenes: the scenes; required if `scene` is not 0.

        Returns:
            float32 [n_samples / speed].

        Raises:
            ConfigError: `scene` is not 0, and `scenes` is None.
            AudioError, MissingDependency: see `Scenes.apply`.
        """
        if self.speed != 1.0:
            samples = soxr.resample(samples, sample_rate * self.speed, sample_rate)
        if self.room:
            samples = reverberate(samples, sample_rate, generator_of(clip, self.room))
        if self.scene:
            if scenes is None:
                raise ConfigError(f"expected scenes for {self}, got none; pass Scenes(...) with it")
            # Positive numbers are those of the rooms.
            samples = scenes.apply(samples, generator_of(clip, -self.scene))
        return samples


def reverberate(samples: Float32, sample_rate: int, rng: np.random.Generator) -> Float32:
    """Return samples with the reverberation of a random room, with the same length and energy.

    The impulse response is the direct sound and exponentially decaying noise (Polack 1988; see Habets
    2010, doi:10.1007/978-1-4419-6056-0_3), with a reverberation time from `REVERBERATION_S` and a
    direct-to-reverberant ratio from `DIRECT_DB`.
    """
    from scipy.signal import fftconvolve

    t60, direct_db = rng.uniform(*REVERBERATION_S), rng.uniform(*DIRECT_DB)
    seconds = np.arange(round(t60 * sample_rate)) / sample_rate
    tail = rng.standard_normal(len(seconds)) * 10 ** (-3 * seconds / t60)
    tail[seconds < _FIRST_ECHO_S] = 0.0
    response = tail * 10 ** (-direct_db / 20) / np.sqrt((tail**2).sum())
    response[0] = 1.0
    reverberated = fftconvolve(samples, response)[: len(samples)]
    # Levels are augmented elsewhere; here they could fall below the threshold of silence.
    gain = np.sqrt((samples**2).sum() / max((reverberated**2).sum(), np.finfo(np.float32).tiny))
    scaled: Float32 = (reverberated * gain).astype(np.float32)
    return scaled
