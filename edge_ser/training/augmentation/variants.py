"""Augmentation of waveforms before training: playing speeds, rooms and scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from edge_ser.corpora import Clip
from edge_ser.errors import ConfigError
from edge_ser.training.augmentation.copies import generator_of
from edge_ser.training.augmentation.rooms import reverberate
from edge_ser.training.augmentation.scenes import Scenes

Float32 = NDArray[np.float32]


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
