"""What a run took, sensor by sensor and as a whole."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_ser.errors import ConfigError
from edge_ser.machine.power.sensor import What

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


@dataclass(frozen=True)
class RailEnergy:
    """What one sensor, or several together, measured in a run."""

    name: str
    what: What | None
    """None for several together."""
    joules: float
    span_s: float
    """Seconds between the first and the last reading."""
    peak_w: float
    """The highest reading; of a counter, the highest mean over five of its updates."""
    spread_w: float
    """Standard deviation of the curve."""
    timeline: Curve
    """Seconds since the run began, and watts."""
    update_s: float | None
    """Seconds between new values, of the slowest sensor in it; None when not known."""
    idle_w: float | None = None
    """Mean power while nothing ran, where that was measured before."""

    @property
    def mean_w(self) -> float:
        """Mean power in watts."""
        return self.joules / self.span_s if self.span_s else 0.0

    @property
    def joules_above_idle(self) -> float | None:
        """Energy beyond what the idle machine takes; None where idle was not measured.

        It may be below 0, when the difference drowns in what else the machine does.
        """
        return None if self.idle_w is None else self.joules - self.idle_w * self.span_s


@dataclass(frozen=True)
class PowerReport:
    """A measured run."""

    total: RailEnergy | None
    """All that may be added; None without sensors, or where it is not known what adds up."""
    covers: str
    """What the total holds, to be printed beside it; empty without a total."""
    whole_board: bool
    """The total is all that the board takes, as far as it measures itself."""
    rails: tuple[RailEnergy, ...]
    duration_s: float
    rate_hz: float
    """Samples a second that were asked for."""
    n_samples: int
    meter_cpu_s: float
    """Processor time that sampling took; its energy is in the figures."""
    doubts: tuple[str, ...]
    """Why not to trust these figures, one sentence each."""
    reasons: tuple[str, ...]
    """Why other sensors are missing."""

    def joules_per_decision(self, n_decisions: int) -> float | None:
        """Return the total's energy over the number of decisions that were made in the run.

        Raises:
            ConfigError: no decision was made.
        """
        _check(n_decisions)
        return None if self.total is None else self.total.joules / n_decisions

    def joules_above_idle_per_decision(self, n_decisions: int) -> float | None:
        """Return the same without what the idle machine takes; None where idle was not measured.

        Raises:
            ConfigError: no decision was made.
        """
        _check(n_decisions)
        above = None if self.total is None else self.total.joules_above_idle
        return None if above is None else above / n_decisions


def _check(n_decisions: int) -> None:
    if n_decisions < 1:
        raise ConfigError(f"energy over {n_decisions} decisions was asked for; wanted: 1 or more")


_FEWEST_VALUES = 10
"""Below this, the first and the last value, which reach beyond the run, weigh too much."""
_KEPT_RATE = 0.8
_METER_SHARE = 0.02
_TOLD_FROM_IDLE = 0.01
"""Of idle's power: no monitor of a board is better than that."""
_NAMES_WRONG = 1.02
COMPLETE = 0.9
"""A sensor that answered for a smaller part of the run does not stand for the run."""


def doubts(
    report: PowerReport, lost: Mapping[str, str], idle: PowerReport | None
) -> tuple[str, ...]:
    """Return the doubts of a report, one sentence each.

    Args:
        report: with its draws, whose own doubts are not looked at.
        lost: sensors that had gone at the end, each with what it said.
        idle: the idle phase before, where there was one.
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
        yield f"{name} stopped answering ({error}): its figures hold only what came before"
    for draw in report.rails:
        if draw.name not in lost and not complete(draw, report.duration_s):
            yield f"{draw.name} answered for {draw.span_s:.2f} s of {report.duration_s:.2f} s"
    if not report.rails:
        yield "nothing was measured"
    elif report.total is None and not report.covers:
        names = ", ".join(draw.name for draw in report.rails)
        yield f"it is not known which of {names} hold one another: there is no sum"
    elif report.total is None:
        yield "there is no sum, because not all of its sensors answered throughout"
    elif not report.whole_board:
        yield f"the sum holds {report.covers}: the mains supply more"


def _of_time(report: PowerReport) -> Iterator[str]:
    for names, update_s in _by_update(report.rails).items():
        if update_s is None:
            yield f"{names}: how often new values come is not known; run for seconds, not less"
        else:
            between_s = max(update_s, 1 / report.rate_hz)
            if report.duration_s < _FEWEST_VALUES * between_s:
                yield (
                    f"{names}: a run of {report.duration_s:.3g} s is short for values every "
                    f"{between_s:.3g} s; run {_FEWEST_VALUES * between_s:.3g} s or longer"
                )


def _by_update(draws: tuple[RailEnergy, ...]) -> dict[str, float | None]:
    """Return update times under the names that have them, joined."""
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
                f"{total.name}, which should hold {draw.name}, drew less than it: "
                "this board's device tree names its rails wrongly"
            )


def _of_idle(report: PowerReport, idle: PowerReport | None) -> Iterator[str]:
    if idle is None or idle.total is None or report.total is None:
        return
    more_w = report.total.mean_w - idle.total.mean_w
    if more_w <= max(idle.total.spread_w, _TOLD_FROM_IDLE * idle.total.mean_w):
        yield (
            f"the run drew {more_w:.3g} W more than idle, and idle itself varied by "
            f"{idle.total.spread_w:.3g} W: what lies above idle is not told from noise"
        )
    yield from (f"idle: {doubt}" for doubt in _of_time(idle))


def _of_the_meter(report: PowerReport) -> Iterator[str]:
    wanted = report.duration_s * report.rate_hz
    if report.n_samples < _KEPT_RATE * wanted:
        yield (
            f"{report.n_samples} samples were taken where {wanted:.0f} were wanted: "
            "the machine was busy, or the sensors are slow"
        )
    share = report.meter_cpu_s / report.duration_s if report.duration_s else 0.0
    if share > _METER_SHARE:
        yield (
            f"sampling itself took {share:.1%} of one processor core, which is in the figures; "
            "sample less often"
        )


def complete(draw: RailEnergy, duration_s: float) -> bool:
    """Say whether a sensor answered for the run, but for a little at its ends."""
    return draw.span_s >= COMPLETE * duration_s
