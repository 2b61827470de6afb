"""The four rows that the paper's notebooks make of one recording: as it is, noisy, higher, both."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio.io import load
from edge_ser.corpora import Clip, PaperAugmentation
from edge_ser.errors import missing_extra

Float32 = NDArray[np.float32]

NOISE_SHARE = 0.035
"""Largest standard deviation of the noise, as a share of the recording's maximum."""

PITCH_STEPS = {"EMO-DB": 2.0, "EMOVO": 2.0}
"""Semitones that a corpus is raised by, where it is not `OTHER_PITCH_STEPS`."""

OTHER_PITCH_STEPS = 0.7


def load_copy(
    clip: Clip,
    sample_rate: int,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    seed: int = 0,
) -> Float32:
    """Return the part of a clip that was asked for, changed as its `copy` says.

    One clip, copy and seed always give the same samples, whatever was drawn before.

    Args:
        clip: what to read.
        sample_rate: Hz.
        offset_s: seconds to leave out at the beginning, before anything is changed.
        duration_s: seconds to keep at most; None for all.
        seed: another one, another noise.

    Returns:
        float32 [n_samples], empty when the clip ends before `offset_s`.

    Raises:
        AudioError: the clip cannot be read.
        MissingDependency: a pitch is to be shifted, and librosa is not installed.
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
    """Return the samples + `0.035 * U(0, 1) * max(samples) * N(0, 1)`, the notebooks' formula."""
    amplitude = NOISE_SHARE * rng.uniform() * float(samples.max())
    return samples + (amplitude * rng.standard_normal(len(samples))).astype(np.float32)


def shift_pitch(samples: Float32, sample_rate: int, steps: float) -> Float32:
    """Return the samples raised by `steps` semitones, as long as before.

    Raises:
        MissingDependency: librosa is not installed.
    """
    try:
        from librosa.effects import pitch_shift
    except ImportError:
        raise missing_extra("librosa", "train") from None
    return np.asarray(pitch_shift(samples, sr=sample_rate, n_steps=steps), dtype=np.float32)


def generator_of(clip: Clip, number: int) -> np.random.Generator:
    """Return the generator of a clip's own randomness, another one for each `number`."""
    # Not the path: another folder, or WAV for FLAC, must not change what is drawn.
    name = "\t".join((clip.speaker, clip.emotion, clip.path.stem, clip.copy.value, str(number)))
    return np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
