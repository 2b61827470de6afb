"""Variants of a clip: other playing speeds, and rooms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.corpora import Clip
from edge_ser.training.augmentation.augment import AugmentConfig
from edge_ser.training.augmentation.rooms import REVERBERATION_S, reverberate
from edge_ser.training.augmentation.variants import WaveformAugmentation

RATE = 16_000
CLIP = Clip(Path("a/clip.wav"), "own", "own/ann", "sad", "sad", None, "own/1", None)


def voice(seconds=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(RATE * seconds))).astype(np.float32)


def test_the_first_form_is_the_clip_itself():
    variants = AugmentConfig(speeds=(1.0, 0.9), rooms=2).variants

    assert variants == (
        WaveformAugmentation(),
        WaveformAugmentation(0.9),
        WaveformAugmentation(room=1),
        WaveformAugmentation(room=2),
    )
    assert variants[0].apply(CLIP, voice(), RATE) is not None
    np.testing.assert_array_equal(variants[0].apply(CLIP, voice(), RATE), voice())


def test_faster_is_shorter():
    assert len(WaveformAugmentation(1.25).apply(CLIP, voice(), RATE)) == pytest.approx(
        RATE / 1.25, abs=2
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 1.5))
def test_a_room_changes_neither_length_nor_level(seed, seconds):
    samples = voice(seconds)

    reverberated = reverberate(samples, RATE, np.random.default_rng(seed))

    assert reverberated.dtype == np.float32
    assert reverberated.shape == samples.shape
    assert np.isfinite(reverberated).all()
    assert (reverberated**2).sum() == pytest.approx((samples**2).sum(), rel=1e-3)


def test_a_room_goes_on_after_the_sound_and_dies_away():
    click = np.zeros(RATE, np.float32)
    click[100] = 1.0

    reverberated = reverberate(click, RATE, np.random.default_rng(3))

    assert np.abs(reverberated[:100]).max() < 1e-6
    assert np.argmax(np.abs(reverberated)) == 100
    early, late = (reverberated[200 + i : 800 + i] ** 2 for i in (0, 2000))
    assert early.sum() > 4 * late.sum() > 0
    last = 100 + round(REVERBERATION_S[1] * RATE)
    assert np.abs(reverberated[last + 10 :]).max() < 1e-5


def test_each_room_is_another_one_and_stays_the_same():
    first, again, second = (
        WaveformAugmentation(room=n).apply(CLIP, voice(), RATE) for n in (1, 1, 2)
    )

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).max() > 0.01


def test_silence_stays_silent():
    assert not WaveformAugmentation(room=1).apply(CLIP, np.zeros(RATE, np.float32), RATE).any()
