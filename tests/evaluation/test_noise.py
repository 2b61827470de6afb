"""Noise: at the ratio that was asked for, of the colour that was asked for, always the same."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.errors import AudioError
from edge_ser.evaluation.noise import active_power, add_noise, open_noise

RATE = 16_000


def speech(active_s: float = 1.0, pause_s: float = 0.0) -> np.ndarray:
    """Return a trembling tone of power 0.02 and, after it, silence."""
    t = np.arange(int(active_s * RATE)) / RATE
    tone = 0.2 * np.sin(2 * np.pi * 300 * t)
    return np.concatenate([tone, np.zeros(int(pause_s * RATE))]).astype(np.float32)


@pytest.mark.parametrize("colour", ["white", "pink"])
@settings(max_examples=20, deadline=None)
@given(snr_db=st.floats(-10, 60), pause_s=st.floats(0, 3))
def test_the_ratio_is_over_the_active_part(colour, snr_db, pause_s):
    clean = speech(1.0, pause_s)
    noise = open_noise(colour, RATE, seed=0).draw(len(clean), "a")

    added = add_noise(clean, noise, snr_db, RATE).astype(np.float64) - clean

    got = 10 * np.log10(np.mean(clean[:RATE].astype(np.float64) ** 2) / np.mean(added**2))
    assert got == pytest.approx(snr_db, abs=0.1)


def test_soft_parts_count_as_pauses():
    """Blocks 20 dB below the speech are no speech, those 10 dB below are."""
    tone = speech(1.0)
    loud = float(np.mean(tone.astype(np.float64) ** 2))
    assert active_power(np.concatenate([tone, 0.1 * tone]), RATE) == pytest.approx(loud, rel=1e-3)
    both = active_power(np.concatenate([tone, 10**-0.5 * tone]), RATE)
    assert both == pytest.approx(1.1 / 2 * loud, rel=1e-3)


@pytest.mark.parametrize("n_samples", [0, 1, 100, RATE])
def test_silence_stays_silent(n_samples):
    silence = np.zeros(n_samples, dtype=np.float32)
    assert active_power(silence, RATE) == 0
    noise = np.ones(n_samples, dtype=np.float32)
    assert not add_noise(silence, noise, 10, RATE).any()


def test_noise_depends_on_the_clip_and_the_seed_alone():
    source = open_noise("pink", RATE, seed=1)
    first = source.draw(1000, "RAVDESS/a")
    np.testing.assert_array_equal(first, open_noise("pink", RATE, seed=1).draw(1000, "RAVDESS/a"))
    assert np.abs(first - source.draw(1000, "RAVDESS/b")).max() > 0.1
    assert np.abs(first - open_noise("pink", RATE, seed=2).draw(1000, "RAVDESS/a")).max() > 0.1
    assert first.dtype == np.float32


@pytest.mark.parametrize(("colour", "slope"), [("white", 0.0), ("pink", -3.01)])
def test_colours_fall_by_so_many_decibels_an_octave(colour, slope):
    power = np.abs(np.fft.rfft(open_noise(colour, RATE, seed=0).draw(1 << 18, "a"))) ** 2
    hz = np.fft.rfftfreq(1 << 18, 1 / RATE)
    octaves = [31.25 * 2**k for k in range(8)]
    levels = [10 * np.log10(power[(hz >= low) & (hz < 2 * low)].mean()) for low in octaves]
    assert np.polyfit(np.arange(8), levels, 1)[0] == pytest.approx(slope, abs=0.1)


def test_pink_noise_has_nothing_below_20_hz():
    power = np.abs(np.fft.rfft(open_noise("pink", RATE, seed=0).draw(RATE, "a"))) ** 2
    assert power[:20].max() < 1e-6 * power[20:].max()


def test_a_recording_is_repeated_from_somewhere_at_unit_power(tmp_path):
    recorded = np.random.default_rng(0).normal(size=8000) * 0.1
    soundfile.write(tmp_path / "fan.wav", recorded, 8000, subtype="FLOAT")

    source = open_noise(str(tmp_path / "fan.wav"), RATE, seed=0)
    drawn = source.draw(3 * RATE, "a")

    assert source.name == "fan.wav"
    np.testing.assert_array_equal(drawn[:RATE], drawn[RATE : 2 * RATE])
    assert np.mean(drawn[:RATE] ** 2) == pytest.approx(1, abs=1e-3)
    assert (drawn[:100] != source.draw(100, "b")).any()


def test_recordings_that_are_no_noise(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(100), RATE)
    with pytest.raises(AudioError, match=r"silent\.wav .*\bsilent\b"):
        open_noise(str(tmp_path / "silent.wav"), RATE, seed=0)
    with pytest.raises(AudioError, match=r"\bno (such )?file\b.*\bbrown\b"):
        open_noise("brown", RATE, seed=0)
