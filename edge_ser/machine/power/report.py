"""Energy report of a run, by sensor and in total."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_ser.errors import ConfigError
from edge_ser.machine.power.sensor import What

Curve = tuple[tuple[float, float], ...]
"""Pairs of seconds and watts, in order of time."""

_UPDATES_A_WINDOW = 5
"""Updates of a counter per mean power, so that one update more or less has little effect."""


def trapezoid(curve: Curve) -> float:
    """Return the integral of a curve in joules, by the trapezoid rule."""
    return math.fsum((t1 - t0) * (w0 + w1) / 2 for (t0, w0), (t1, w1) in itertools.pairwise(curve))


def counter_curve(
    times_s: Sequence[float], joules: Sequence[float], update_s: float | None
) -> Curve:
    """Return the mean power from an energy counter, one point in the middle of each window.

    Args:
        times_s: times of the readings, in s.
        joules: readings, as many as times.
        update_s: update interval of the counter in s; windows are five times as long, and at least
            as long as the distance of two readings.
    """
    if len(times_s) < 2:
        return ()
    shortest_s = _UPDATES_A_WINDOW * (update_s or 0.0)
    edges = [0]
    for index, time_s in enumerate(times_s):
        if time_s - times_s[edges[-1]] >= shortest_s and time_s > times_s[edges[-1]]:
            edges.append(index)
    last = len(times_s) - 1
    if edges[-1] != last and times_s[last] > times_s[edges[-1]]:
        # The rest joins the last window, because alone it would be too short.
        edges = [*edges[:-1], last] if len(edges) > 1 else [0, last]
    return tuple(
        (
            (times_s[a] + times_s[b]) / 2,
            (joules[b] - joules[a]) / (times_s[b] - times_s[a]),
        )
        for a, b in itertools.pairwise(edges)
    )


def power_at(curve: Curve, time_s: float) -> float:
    """Return the power at a time by linear interpolation; beyond the ends, the first or last value."""
    index = bisect.bisect_left(curve, (time_s, -math.inf))
    if index == 0:
        return curve[0][1]
    if index == len(curve):
        return curve[-1][1]
    (t0, w0), (t1, w1) = curve[index - 1], curve[index]
    return w0 + (w1 - w0) * (time_s - t0) / (t1 - t0)


def added(curves: Sequence[Curve]) -> Curve:
    """Return the sum of curves, at the times of the one with the most points."""
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


@dataclass(frozen=True)
class RailEnergy:
    """Energy of a run, from one sensor or the sum of several."""

    name: str
    what: What | None
    """Measured part; None for a sum."""
    joules: float
    span_s: float
    """Seconds between the first and the last reading."""
    peak_w: float
    """Highest reading; for a counter, the highest mean over five of its updates."""
    spread_w: float
    """Standard deviation of the curve."""
    timeline: Curve
    """Seconds since the run began, and watts."""
    update_s: float | None
    """Seconds between new values of the slowest sensor; None if not known."""
    idle_w: float | None = None
    """Mean power of the idle machine; None if not measured."""

    @property
    def mean_w(self) -> float:
        """Mean power in watts."""
        return self.joules / self.span_s if self.span_s else 0.0

    @property
    def joules_above_idle(self) -> float | None:
        """Energy above that of the idle machine; None if idle was not measured.

        It may be negative if other load on the machine exceeds the difference.
        """
        return None if self.idle_w is None else self.joules - self.idle_w * self.span_s


@dataclass(frozen=True)
class PowerReport:
    """Energy report of a run."""

    total: RailEnergy | None
    """Sum of the rails; None without sensors, or if it is not known which rails add up."""
    covers: str
    """Description of the parts in the total, printed beside it; empty without a total."""
    whole_board: bool
    """Whether the total is that of the board, as far as it is measured."""
    rails: tuple[RailEnergy, ...]
    duration_s: float
    rate_hz: float
    """Requested samples per second."""
    n_samples: int
    meter_cpu_s: float
    """CPU time of the sampling; its energy is included in the figures."""
    caveats: tuple[str, ...]
    """Reasons not to trust the figures, one sentence each."""
    unavailable: tuple[str, ...]
    """Reasons why other sensors are missing."""

    def joules_per_decision(self, n_decisions: int) -> float | None:
        """Return the total energy divided by the number of decisions in the run.

        Raises:
            ConfigError: `n_decisions` is below 1.
        """
        _check(n_decisions)
        return None if self.total is None else self.total.joules / n_decisions

    def joules_above_idle_per_decision(self, n_decisions: int) -> float | None:
        """Return the energy above idle per decision; None if idle was not measured.

        Raises:
            ConfigError: `n_decisions` is below 1.
        """
        _check(n_decisions)
        above = None if self.total is None else self.total.joules_above_idle
        return None if above is None else above / n_decisions


def _check(n_decisions: int) -> None:
    if n_decisions < 1:
        raise ConfigError(f"n_decisions: expected 1 or more, got {n_decisions}")


_FEWEST_VALUES = 10
"""With fewer values, the first and the last, which extend beyond the run, weigh too much."""
_LEAST_RATE = 0.8
_METER_SHARE = 0.02
_ABOVE_IDLE = 0.01
"""Share of the idle power: no board monitor is more accurate."""
_NAMES_WRONG = 1.02
COMPLETE = 0.9
"""Smallest part of the run that a sensor must have answered for."""


def power_caveats(
    report: PowerReport, lost: Mapping[str, str], idle: PowerReport | None
) -> tuple[str, ...]:
    """Return the caveats of a report, one sentence each.

    Args:
        report: the report; its `caveats` are ignored.
        lost: last error of each sensor that stopped answering.
        idle: report of the idle phase, if measured.
    """
    return (
        *_of_completeness(report, lost),
        *_of_time(report),
        *_of_rails(report),
        *_of_idle(report, idle),
        *_of_the_meter(report),
    )


def _of_completeness(report: PowerReport, lost: Mapping[str, str]) -> Iterator[str]:
    for name, error in lost.items():
        yield f"{name} stopped answering ({error}): its figures cover only the time before"
    for draw in report.rails:
        if draw.name not in lost and not complete(draw, report.duration_s):
            yield f"{draw.name} answered for {draw.span_s:.2f} s of {report.duration_s:.2f} s"
    if not report.rails:
        yield "nothing was measured"
    elif report.total is None and not report.covers:
        names = ", ".join(draw.name for draw in report.rails)
        yield f"no sum: it is not known which of {names} contain one another"
    elif report.total is None:
        yield "no sum: not all of its sensors answered throughout"
    elif not report.whole_board:
        yield f"the sum covers {report.covers}: the wall power is higher"


def _of_time(report: PowerReport) -> Iterator[str]:
    for names, update_s in _by_update(report.rails).items():
        if update_s is None:
            yield f"{names}: the update interval is not known; run for several seconds"
        else:
            between_s = max(update_s, 1 / report.rate_hz)
            if report.duration_s < _FEWEST_VALUES * between_s:
                yield (
                    f"{names}: a run of {report.duration_s:.3g} s is short for values every "
                    f"{between_s:.3g} s; run {_FEWEST_VALUES * between_s:.3g} s or longer"
                )


def _by_update(draws: tuple[RailEnergy, ...]) -> dict[str, float | None]:
    """Return the update interval for the joined names of the sensors that share it."""
    groups: dict[float | None, list[str]] = {}
    for draw in draws:
        groups.setdefault(draw.update_s, []).append(draw.name)
    return {", ".join(names): update_s for update_s, names in groups.items()}


def _of_rails(report: PowerReport) -> Iterator[str]:
    total = report.total
    if total is None or total.what != "board":
        return
    for draw in report.rails:
        if draw.mean_w > _NAMES_WRONG * total.mean_w:
            yield (
                f"{total.name}, which should include {draw.name}, drew less than it: "
                "the device tree of this board mislabels its rails"
            )


def _of_idle(report: PowerReport, idle: PowerReport | None) -> Iterator[str]:
    if idle is None or idle.total is None or report.total is None:
        return
    more_w = report.total.mean_w - idle.total.mean_w
    if more_w <= max(idle.total.spread_w, _ABOVE_IDLE * idle.total.mean_w):
        yield (
            f"the run drew {more_w:.3g} W more than idle, and idle itself varied by "
            f"{idle.total.spread_w:.3g} W: the difference is within noise"
        )
    yield from (f"idle: {caveat}" for caveat in _of_time(idle))


def _of_the_meter(report: PowerReport) -> Iterator[str]:
    expected = report.duration_s * report.rate_hz
    if report.n_samples < _LEAST_RATE * expected:
        yield (
            f"expected {expected:.0f} samples, got {report.n_samples}: "
            "the machine was busy, or the sensors are slow"
        )
    share = report.meter_cpu_s / report.duration_s if report.duration_s else 0.0
    if share > _METER_SHARE:
        yield (
            f"sampling used {share:.1%} of one processor core, which is included in the figures; "
            "sample less often"
        )


def complete(draw: RailEnergy, duration_s: float) -> bool:
    """Return whether a sensor answered for the run, except for a small part at its ends."""
    return draw.span_s >= COMPLETE * duration_s
