"""Screams in short recordings: found where a voice would call out, and in no steady sound or knock."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ser.recognition.clip_speech import find_loud_voice

RATE = 16_000


def quiet(seconds: float, rate: int = RATE) -> np.ndarray:
    return 1e-4 * np.random.default_rng(0).normal(size=round(seconds * rate))


def harmonic(pitch_hz: np.ndarray, rate: int = RATE) -> np.ndarray:
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate
    return 0.1 * sum(np.sin(k * phase) / k for k in range(1, 6))


def in_quiet(sound: np.ndarray, rate: int = RATE) -> np.ndarray:
    samples = quiet(3.5, rate)
    samples[rate : rate + len(sound)] += sound
    return samples.astype(np.float32)


@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_a_scream_is_found_and_dated(rate):
    pitch = 600 + 150 * np.sin(np.linspace(0, 5, round(1.4 * rate)))
    begin, end = find_loud_voice(in_quiet(harmonic(pitch, rate), rate), rate)
    assert (begin, end) == pytest.approx((1.0, 2.4), abs=0.05)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(3 * RATE),
        np.zeros(100),
        quiet(3),
        1e3 * quiet(3),  # loud, but nothing stands out
        harmonic(np.full(3 * RATE, 50.0)),  # hum
        in_quiet(harmonic(np.full(RATE // 3, 600.0))),  # a beep
        in_quiet(0.1 * np.random.default_rng(1).normal(size=RATE)),  # a hiss
        in_quiet(harmonic(np.geomspace(100, 1200, 3 * RATE // 2))),  # a siren
    ],
)
def test_what_is_no_loud_voice(samples):
    assert find_loud_voice(samples.astype(np.float32), RATE) is None
