"""Augmentations of waveforms, applied before training: playing speeds, rooms, and scenes."""

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
"""Reverberation times that rooms are drawn from: from a car to a hall of an exhibition."""

DIRECT_DB = (-3.0, 12.0)
"""Levels of the direct sound against its reverberation: from across the room to near by."""

_FIRST_ECHO_S = 0.003


@dataclass(frozen=True)
class WaveformAugmentation:
    """A change of a clip's samples before features are computed; by default none."""

    speed: float = 1.0
    """Playing speed: 1.1 is 10% faster and higher."""
    room: int = 0
    """Number of the clip's room, 0 for none."""
    scene: int = 0
    """Number of the clip's scene, see `scenes.py`; 0 for none."""

    def apply(
        self, clip: Clip, samples: Float32, sample_rate: int, scenes: Scenes | None = None
    ) -> Float32:
        """Return the augmented samples of a clip.

        Rooms and scenes are drawn by a generator of the clip and their number, so that they are the
        same each time; they change neither the length nor the timing.

        Args:
            clip: the clip that the samples belong to.
            samples: float32 [n_samples].
            sample_rate: Hz.
            scenes: recordings and settings of the scenes; required if `scene` is not 0.

        Returns:
            float32 [n_samples / speed].

        Raises:
            ConfigError: a scene, and no `scenes` to take it from.
            AudioError, MissingDependency: see `Scenes.apply`.
        """
        if self.speed != 1.0:
            samples = soxr.resample(samples, sample_rate * self.speed, sample_rate)
        if self.room:
            samples = reverberate(samples, sample_rate, generator_of(clip, self.room))
        if self.scene:
            if scenes is None:
                raise ConfigError(f"expected scenes for {self}, got none; pass Scenes(...) with it")
            # Rooms have the numbers above 0.
            samples = scenes.apply(samples, generator_of(clip, -self.scene))
        return samples


def reverberate(samples: Float32, sample_rate: int, rng: np.random.Generator) -> Float32:
    """Return samples with the reverberation of a random room, of the same length and energy.

    The impulse response is the direct sound and noise that decays exponentially (Polack 1988; see
    Habets 2010, doi:10.1007/978-1-4419-6056-0_3), by 60 dB within a time from `REVERBERATION_S`, at a
    level from `DIRECT_DB`.
    """
    from scipy.signal import fftconvolve

    t60, direct_db = rng.uniform(*REVERBERATION_S), rng.uniform(*DIRECT_DB)
    seconds = np.arange(round(t60 * sample_rate)) / sample_rate
    tail = rng.standard_normal(len(seconds)) * 10 ** (-3 * seconds / t60)
    tail[seconds < _FIRST_ECHO_S] = 0.0
    response = tail * 10 ** (-direct_db / 20) / np.sqrt((tail**2).sum())
    response[0] = 1.0
    wet = fftconvolve(samples, response)[: len(samples)]
    # The augmenter draws the level; here it would only push quiet clips below what counts as silence.
    gain = np.sqrt((samples**2).sum() / max((wet**2).sum(), np.finfo(np.float32).tiny))
    scaled: Float32 = (wet * gain).astype(np.float32)
    return scaled
