"""Energy and curves from readings, against what is known by arithmetic."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.machine.power.report import added, counter_curve, power_at, spread, trapezoid

watts = st.floats(-1, 1000)
gaps = st.lists(st.floats(1e-3, 10), min_size=1, max_size=40)


def times_of(steps: list[float]) -> list[float]:
    return [0.0, *itertools.accumulate(steps)]


@given(gaps, watts, watts)
def test_a_straight_line_is_integrated_exactly_wherever_it_is_sampled(steps, start_w, slope):
    times = times_of(steps)
    curve = tuple((t, start_w + slope * t) for t in times)
    end = times[-1]

    assert trapezoid(curve) == pytest.approx(start_w * end + slope * end**2 / 2, rel=1e-9, abs=1e-6)


@given(st.lists(st.tuples(st.floats(1e-3, 10), watts), min_size=2, max_size=40), st.data())
def test_energy_of_two_parts_is_the_energy_of_both(steps, data):
    curve = tuple(zip(times_of([s for s, _ in steps]), [w for _, w in steps], strict=False))
    cut = data.draw(st.integers(0, len(curve) - 1))

    both = trapezoid(curve[: cut + 1]) + trapezoid(curve[cut:])
    assert both == pytest.approx(trapezoid(curve), rel=1e-9, abs=1e-6)


@given(st.lists(st.tuples(st.floats(1e-3, 10), st.floats(0, 1000)), min_size=2, max_size=40))
def test_mean_power_lies_between_the_lowest_and_the_highest_reading(steps):
    curve = tuple(zip(times_of([s for s, _ in steps]), [w for _, w in steps], strict=False))
    mean = trapezoid(curve) / (curve[-1][0] - curve[0][0])

    readings = [w for _, w in curve]
    assert min(readings) - 1e-6 <= mean <= max(readings) + 1e-6


@given(gaps, st.lists(st.floats(0, 500), min_size=41, max_size=41), st.floats(0, 0.2))
def test_the_windows_of_a_counter_hold_all_of_its_energy(steps, powers, update_s):
    times = times_of(steps)
    joules = [0.0, *itertools.accumulate(s * w for s, w in zip(steps, powers, strict=False))]
    curve = counter_curve(times, joules, update_s)

    widths = []
    edge = 0.0
    for middle, _ in curve:
        widths.append(2 * (middle - edge))
        edge += widths[-1]
    assert edge == pytest.approx(times[-1])
    energy = math.fsum(w * width for (_, w), width in zip(curve, widths, strict=True))
    assert energy == pytest.approx(joules[-1], rel=1e-6, abs=1e-6)
    assert all(width >= 5 * update_s * (1 - 1e-9) for width in widths) or len(widths) == 1


def test_a_counter_that_moves_seldom_shows_no_false_peaks():
    """It moves every 0.1 s, and is read at 10 Hz a little off: steps of 0 and of 2 updates alternate."""
    times = [0.099 * i for i in range(60)]
    joules = [5.0 * math.floor(t / 0.1) * 0.1 for t in times]
    coarse = [w for _, w in counter_curve(times, joules, 0.1)]
    fine = [w for _, w in counter_curve(times, joules, None)]

    assert max(coarse) <= 5.0 * 6 / 5 + 1e-9
    assert min(coarse) >= 5.0 * 4 / 5 - 1e-9
    assert min(fine) == 0.0


def test_two_readings_are_one_window():
    assert counter_curve([0.0, 0.1], [3.0, 4.0], 0.1) == ((0.05, 10.0),)
    assert counter_curve([0.0], [3.0], 0.1) == ()
    assert counter_curve([1.0, 1.0], [3.0, 3.0], 0.1) == ()


def test_power_between_and_beyond_the_readings():
    curve = ((0.0, 10.0), (2.0, 20.0))

    assert [power_at(curve, t) for t in (-1.0, 0.0, 0.5, 2.0, 9.0)] == [10, 10, 12.5, 20, 20]


def test_curves_are_added_at_the_moments_of_the_finest():
    fine = ((0.0, 1.0), (1.0, 2.0), (2.0, 3.0))
    coarse = ((1.0, 10.0),)

    assert added([coarse, fine]) == ((0.0, 11.0), (1.0, 12.0), (2.0, 13.0))
    assert added([fine, ()]) == ()


def test_spread_is_the_standard_deviation():
    assert spread(((0.0, 2.0), (1.0, 4.0), (2.0, 4.0), (3.0, 6.0))) == pytest.approx(math.sqrt(2))
    assert spread(()) == 0.0
