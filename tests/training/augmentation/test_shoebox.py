"""Simulated rooms: the direct sound where it is expected, and a decay as long as drawn."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edge_ser.errors import MissingDependency
from edge_ser.training.augmentation import rooms
from edge_ser.training.augmentation.rooms import ShoeboxConfig, simulate

RATE = 16_000


def decay_s(samples: np.ndarray) -> float:
    """Return the time of a decay by 60 dB, from that by 5 to 35 dB (Schroeder 1965)."""
    left = np.cumsum(samples[::-1].astype(float) ** 2)[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    return 2 * float(np.argmax(level < -35) - np.argmax(level < -5)) / RATE


def test_the_first_sound_is_the_direct_one():
    for number in range(20):
        response = simulate(ShoeboxConfig(), number, RATE)

        assert response.samples.dtype == np.float32
        largest = np.abs(response.samples).max()
        # Filters spread the direct sound a little.
        assert np.abs(response.samples[: response.delay - 42]).max(initial=0) < 0.05 * largest
        around = np.abs(response.samples[response.delay - 1 : response.delay + 2]).max()
        assert around > 0.1 * largest
        assert around > np.abs(response.samples[: response.delay - 1]).max()


@pytest.mark.parametrize("t60", [0.3, 0.6, 0.9])
def test_the_decay_is_that_asked_for(t60):
    config = ShoeboxConfig(size_m=(4.0, 8.0), reverberation_s=(t60, t60))
    measured = [decay_s(simulate(config, number, RATE).samples) for number in range(12)]

    assert np.median(measured) == pytest.approx(t60, rel=0.25)


def test_the_late_noise_joins_without_a_step():
    config = ShoeboxConfig(size_m=(3.0, 4.0), reverberation_s=(0.9, 0.9), distance_m=(1.0, 2.0))
    samples = simulate(config, 3, RATE).samples.astype(float)
    powers = 10 * np.log10((samples[: len(samples) // 320 * 320].reshape(-1, 320) ** 2).mean(1))
    # From 40 to 600 ms; a decay of 0.9 s falls by 1.3 dB in 20 ms.
    assert np.abs(np.diff(powers[2:30])).max() < 7


def test_rooms_differ_and_repeat():
    first, second = (simulate(ShoeboxConfig(), number, RATE).samples for number in (0, 1))
    simulate.cache_clear()

    np.testing.assert_array_equal(simulate(ShoeboxConfig(), 0, RATE).samples, first)
    assert len(first) != len(second) or np.abs(first - second).max() > 1e-3


def test_a_cell_without_reverberation_has_a_response_too():
    """Walls would have to swallow more than all: then only the direct sound is left."""
    config = ShoeboxConfig(size_m=(50.0, 50.0), reverberation_s=(0.05, 0.05))

    response = simulate(config, 0, RATE)

    assert np.abs(response.samples).argmax() == pytest.approx(response.delay, abs=1)
    assert np.isfinite(response.samples).all()


def test_a_room_smaller_than_the_distance_is_used_across():
    config = ShoeboxConfig(size_m=(2.0, 2.0), distance_m=(30.0, 40.0))

    assert simulate(config, 0, RATE).samples.any()


def test_the_package_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)

    with pytest.raises(MissingDependency, match=r"edge-ser\[train\]"):
        rooms.simulate(ShoeboxConfig(), 10_001, RATE)
