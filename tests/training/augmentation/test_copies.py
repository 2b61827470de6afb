"""Augmented copies of the paper's notebooks: deterministic, and equal to their formulas."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.corpora import Clip, PaperAugmentation
from edge_ser.errors import AudioError, MissingDependency
from edge_ser.training.augmentation.copies import add_noise, load_copy

RATE = 22_050


def make_clip(path, corpus="own", copy=PaperAugmentation.ORIGINAL):
    return Clip(path, corpus, f"{corpus}/1", "sad", "sad", None, "1", None, copy)


@pytest.fixture
def tone(tmp_path):
    """One second of 440 Hz."""
    path = tmp_path / "tone.wav"
    samples = 0.4 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    soundfile.write(path, samples.astype(np.float32), RATE, subtype="FLOAT")
    return path


def peak_hz(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * len(samples)))
    return spectrum.argmax() * RATE / (8 * len(samples))


@pytest.mark.parametrize("copy", PaperAugmentation)
def test_a_copy_is_always_the_same(tone, copy):
    clip = make_clip(tone, copy=copy)
    first = load_copy(clip, RATE)
    np.random.seed(3)  # noqa: NPY002 - whatever was drawn elsewhere must not matter

    again = load_copy(clip, RATE)

    assert np.array_equal(first, again)
    assert first.dtype == np.float32
    assert first.shape == (RATE,)


def test_the_original_is_the_recording(tone):
    assert np.array_equal(
        load_copy(make_clip(tone), RATE), soundfile.read(tone, dtype="float32")[0]
    )


@pytest.mark.parametrize(
    ("corpus", "expected"),
    [
        ("EMO-DB", 440 * 2 ** (2 / 12)),
        ("EMOVO", 440 * 2 ** (2 / 12)),
        ("TESS", 440 * 2 ** (0.7 / 12)),
    ],
)
@pytest.mark.parametrize("copy", [PaperAugmentation.PITCH, PaperAugmentation.PITCH_NOISE])
def test_the_pitch_rises_by_the_corpus_own_steps(tone, corpus, expected, copy):
    assert peak_hz(load_copy(make_clip(tone, corpus, copy), RATE)) == pytest.approx(
        expected, rel=3e-3
    )


@given(seed=st.integers(0, 2**32 - 1), level=st.floats(0.01, 1))
def test_noise_is_white_and_at_most_a_share_of_the_maximum(seed, level):
    samples = np.full(4096, -1, dtype=np.float32)
    samples[7] = level  # the maximum counts, not the magnitude

    noise = add_noise(samples, np.random.default_rng(seed)) - samples

    assert noise.std() <= 0.035 * level * 1.1
    assert abs(noise.mean()) <= 5 * noise.std() / 64 + 1e-6


def test_noise_differs_by_clip_copy_and_seed_but_not_by_folder_and_ending(tone, tmp_path):
    def noise(path, copy=PaperAugmentation.NOISE, seed=0, **changes):
        clip = dataclasses.replace(make_clip(path, copy=copy), **changes)
        return load_copy(clip, RATE, seed=seed)

    samples, _ = soundfile.read(tone, dtype="float32")
    other, moved = tmp_path / "other.wav", tmp_path / "folder" / "tone.flac"
    moved.parent.mkdir()
    for path in (other, moved):
        soundfile.write(path, samples, RATE)
    first = noise(tone)

    assert np.allclose(noise(moved), first, atol=1e-4)  # 16 bits for 32
    for different in (noise(other), noise(tone, seed=1), noise(tone, speaker="own/2")):
        assert not np.allclose(different, first, atol=1e-4)


def test_a_part_is_cut_before_it_is_changed(tone):
    whole = load_copy(make_clip(tone), RATE)
    part = load_copy(make_clip(tone), RATE, offset_s=0.6, duration_s=0.2)

    assert np.array_equal(part, whole[13_230 : 13_230 + 4_410])
    assert len(load_copy(make_clip(tone), RATE, offset_s=0.6, duration_s=2.5)) == RATE - 13_230


@pytest.mark.parametrize("copy", PaperAugmentation)
def test_nothing_is_left_of_a_clip_that_ends_before(tone, copy):
    assert len(load_copy(make_clip(tone, copy=copy), RATE, offset_s=1.5)) == 0


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AudioError, match=r"gone\.wav"):
        load_copy(make_clip(tmp_path / "gone.wav", copy=PaperAugmentation.NOISE), RATE)


def test_a_missing_librosa_is_named(tone, monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa.effects", None)

    with pytest.raises(MissingDependency, match=r"librosa.*edge-ser\[train\]"):
        load_copy(make_clip(tone, copy=PaperAugmentation.PITCH), RATE)
