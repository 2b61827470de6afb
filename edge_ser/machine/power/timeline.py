"""From what a sensor said, and when, to energy and a curve of power."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence

Curve = tuple[tuple[float, float], ...]
"""Pairs of seconds and watts, in the order of time."""

_UPDATES_A_WINDOW = 5
"""A counter's power is a mean over so many of its updates: then one update more or less says little."""


def trapezoid(curve: Curve) -> float:
    """Return the area under a curve in joules: straight lines between its points."""
    return math.fsum((t1 - t0) * (w0 + w1) / 2 for (t0, w0), (t1, w1) in itertools.pairwise(curve))


def counter_curve(
    times_s: Sequence[float], joules: Sequence[float], update_s: float | None
) -> Curve:
    """Return the power behind a counter of energy, one point in the middle of each window.

    Args:
        times_s: when it was read, seconds.
        joules: what it said, as many.
        update_s: how often it moves; windows are five times as long, or as far as two readings.
    """
    if len(times_s) < 2:
        return ()
    shortest_s = _UPDATES_A_WINDOW * (update_s or 0.0)
    edges = [0]
    for place, time_s in enumerate(times_s):
        if time_s - times_s[edges[-1]] >= shortest_s and time_s > times_s[edges[-1]]:
            edges.append(place)
    last = len(times_s) - 1
    if edges[-1] != last and times_s[last] > times_s[edges[-1]]:
        # What is left over joins the last window; alone it would be too short to be believed.
        edges = [*edges[:-1], last] if len(edges) > 1 else [0, last]
    return tuple(
        (
            (times_s[a] + times_s[b]) / 2,
            (joules[b] - joules[a]) / (times_s[b] - times_s[a]),
        )
        for a, b in itertools.pairwise(edges)
    )


def power_at(curve: Curve, time_s: float) -> float:
    """Return the power at a moment; beyond the ends, that of the first or of the last point."""
    place = bisect.bisect_left(curve, (time_s, -math.inf))
    if place == 0:
        return curve[0][1]
    if place == len(curve):
        return curve[-1][1]
    (t0, w0), (t1, w1) = curve[place - 1], curve[place]
    return w0 + (w1 - w0) * (time_s - t0) / (t1 - t0)


def added(curves: Sequence[Curve]) -> Curve:
    """Return the sum of curves, at the moments of the one with the most points."""
    if not curves or not all(curves):
        return ()
    finest = max(curves, key=len)
    return tuple((t, math.fsum(power_at(curve, t) for curve in curves)) for t, _ in finest)


def spread(curve: Curve) -> float:
    """Return the standard deviation of a curve's points in watts."""
    if not curve:
        return 0.0
    mean = math.fsum(w for _, w in curve) / len(curve)
    return math.sqrt(math.fsum((w - mean) ** 2 for _, w in curve) / len(curve))
