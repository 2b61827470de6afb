"""Augmented copies of the paper's notebooks: original, with noise, pitch-shifted, and both."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio.io import load
from edge_ser.corpora import Clip, PaperAugmentation
from edge_ser.errors import missing_extra

Float32 = NDArray[np.float32]

NOISE_SHARE = 0.035
"""Largest standard deviation of the noise, relative to the recording's maximum."""

PITCH_STEPS = {"EMO-DB": 2.0, "EMOVO": 2.0}
"""Pitch shift in semitones by corpus; `OTHER_PITCH_STEPS` for all others."""

OTHER_PITCH_STEPS = 0.7


def load_copy(
    clip: Clip,
    sample_rate: int,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    seed: int = 0,
) -> Float32:
    """Return a part of a clip, augmented according to its `copy`.

    The samples depend only on the clip, its copy and the seed.

    Args:
        clip: the clip to read.
        sample_rate: Hz.
        offset_s: seconds to skip at the beginning, before augmentation.
        duration_s: longest duration in seconds; None for no limit.
        seed: seed of the noise.

    Returns:
        float32 [n_samples], empty if the clip ends before `offset_s`.

    Raises:
        AudioError: the clip cannot be read.
        MissingDependency: the copy is pitch-shifted, and librosa is not installed.
    """
    samples = load(clip.path, sample_rate, clip.channel)
    start = round(offset_s * sample_rate)
    stop = None if duration_s is None else start + round(duration_s * sample_rate)
    samples = samples[start:stop]
    if not len(samples):
        return samples
    if clip.copy in {PaperAugmentation.PITCH, PaperAugmentation.PITCH_NOISE}:
        samples = shift_pitch(samples, sample_rate, PITCH_STEPS.get(clip.corpus, OTHER_PITCH_STEPS))
    if clip.copy in {PaperAugmentation.NOISE, PaperAugmentation.PITCH_NOISE}:
        samples = add_noise(samples, generator_of(clip, seed))
    return samples


def add_noise(samples: Float32, rng: np.random.Generator) -> Float32:
    """Return samples + `0.035 * U(0, 1) * max(samples) * N(0, 1)`, as in the notebooks."""
    amplitude = NOISE_SHARE * rng.uniform() * float(samples.max())
    return samples + (amplitude * rng.standard_normal(len(samples))).astype(np.float32)


def shift_pitch(samples: Float32, sample_rate: int, steps: float) -> Float32:
    """Return samples shifted by `steps` semitones, of the same length.

    Raises:
        MissingDependency: librosa is not installed.
    """
    try:
        from librosa.effects import pitch_shift
    except ImportError:
        raise missing_extra("librosa", "train") from None
    return np.asarray(pitch_shift(samples, sr=sample_rate, n_steps=steps), dtype=np.float32)


def generator_of(clip: Clip, number: int) -> np.random.Generator:
    """Return the random generator of a clip, a different one for each `number`."""
    # Without folder and suffix of the path, which must not change the augmentation.
    name = "\t".join((clip.speaker, clip.emotion, clip.path.stem, clip.copy.value, str(number)))
    return np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
