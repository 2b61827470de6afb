"""Growth, energy and overhead out of series whose answer is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profile_parts import FakeClock

from edge_ser.profiling.energy import energy_of
from edge_ser.profiling.overhead import mark_us, overhead_of
from edge_ser.profiling.statistics import growth_of

MIB = 1 << 20


@given(st.lists(st.integers(-100_000, 100_000), min_size=6, max_size=100))
def test_noise_is_no_growth(noise):
    growth = growth_of([100 * MIB + n for n in noise])
    assert growth is not None
    assert not growth.grows
    assert growth.peak_bytes == 100 * MIB + max(noise)


@pytest.mark.parametrize("step", [200_000, 10 * MIB])
def test_what_goes_on_growing_grows(step):
    growth = growth_of([50 * MIB + step * n for n in range(30)])
    assert growth is not None
    assert growth.grows
    assert growth.growth_bytes == 20 * step


def test_what_grows_once_in_the_beginning_does_not():
    growth = growth_of([50 * MIB] * 5 + [60 * MIB] * 25)
    assert growth is not None
    assert not growth.grows


def test_a_short_series_says_nothing():
    assert growth_of([1, 2, 3, 4, 5]) is None


def test_energy_is_what_lies_under_a_models_own_blocks():
    """5 W, and 9 W from the second to the fourth second, when the other model ran."""
    curve = tuple((n / 10, 9.0 if 20 <= n <= 40 else 5.0) for n in range(101))
    own = energy_of(curve, [(0.0, 1.5), (5.0, 10.0)], 13, 4.0)
    other = energy_of(curve, [(2.0, 4.0)], 9, 4.0)

    assert own is not None
    assert other is not None
    assert own.joules == pytest.approx(5 * 6.5)
    assert own.joules_per_decision == pytest.approx(2.5)
    assert own.joules_above_idle_per_decision == pytest.approx(0.5)
    assert (own.seconds, own.mean_w) == pytest.approx((6.5, 5.0))
    assert other.joules == pytest.approx(18)


def test_energy_without_idle_curve_or_decisions():
    curve = ((0.0, 5.0), (1.0, 5.0))
    energy = energy_of(curve, [(0, 1)], 1, None)
    assert energy is not None
    assert energy.joules_above_idle_per_decision is None
    assert energy_of((), [(0, 1)], 1, None) is None
    assert energy_of(curve, [(0, 1)], 0, None) is None
    assert energy_of(curve, [], 1, None) is None


def test_overhead_is_taken_from_rounds_that_had_both():
    overhead = overhead_of({0: 2.0, 1: 9.0, 4: 3.2}, {0: 1.5, 4: 2.5, 8: 7.0}, 0.2)
    assert overhead is not None
    assert overhead.n_rounds == 2
    assert overhead.added_ms == pytest.approx(0.6)
    assert overhead.error_ms == pytest.approx(0.1)
    assert not overhead.is_noise


def test_overhead_of_one_round_or_none_is_not_known():
    one = overhead_of({0: 2.0}, {0: 1.0}, 0.2)
    assert one is not None
    assert one.error_ms is None
    assert one.is_noise
    assert overhead_of({0: 2.0}, {1: 1.0}, 0.2) is None


def test_noise_is_called_noise():
    overhead = overhead_of({0: 2.0, 4: 2.0, 8: 2.0}, {0: 1.0, 4: 2.5, 8: 2.2}, 0.2)
    assert overhead is not None
    assert overhead.is_noise


def test_a_probe_that_makes_things_faster_is_noise():
    overhead = overhead_of({0: 1.0, 4: 1.0}, {0: 2.0, 4: 2.01}, 0.2)
    assert overhead is not None
    assert overhead.is_noise


def test_a_mark_is_timed_by_the_clock():
    class Ticking(FakeClock):
        def now_ns(self) -> int:
            self.pass_ns(100)
            return super().now_ns()

    assert mark_us(Ticking()) == pytest.approx(0.1, rel=0.03)
