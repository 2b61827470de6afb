"""Readings of all sensors with their moments, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from edge_ser.machine.power.report import Draw
from edge_ser.machine.power.sensor import PowerSensor
from edge_ser.machine.power.timeline import Curve, added, counter_curve, spread, trapezoid

_ATTEMPTS_AT_END = 3
"""The last reading closes the interval: a bus that was busy once must not cost the whole run."""


@dataclass
class _Series:
    times_s: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    error: str | None = None
    """What the sensor said at the newest attempt, when that failed."""


class Recorder:
    """The readings of one run."""

    def __init__(self, sensors: Iterable[PowerSensor], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._series = [(sensor, _Series()) for sensor in sensors]
        self.n_samples = 0

    def sample(self) -> None:
        """Read all sensors once; one that does not answer is left out this time."""
        for sensor, series in self._series:
            self._read(sensor, series)
        self.n_samples += 1

    def finish(self) -> None:
        """Read all sensors for the last time, asking again where one does not answer."""
        self.sample()
        for sensor, series in self._series:
            for _ in range(_ATTEMPTS_AT_END - 1):
                if series.error is not None:
                    self._read(sensor, series)

    def draws(self, start_s: float) -> tuple[Draw, ...]:
        """Return what each sensor measured, for those with two readings or more.

        Args:
            start_s: the clock at the run's beginning, from which the timelines count.
        """
        return tuple(
            _draw(sensor, series, start_s)
            for sensor, series in self._series
            if len(series.times_s) > 1
        )

    def lost(self) -> dict[str, str]:
        """Return the sensors that do not answer any more, each with what it said."""
        return {sensor.name: s.error for sensor, s in self._series if s.error is not None}

    def _read(self, sensor: PowerSensor, series: _Series) -> None:
        before_s = self._clock()
        try:
            value = sensor.read()
        except OSError as error:
            series.error = error.strerror or str(error)
            return
        series.times_s.append((before_s + self._clock()) / 2)
        series.values.append(value)
        series.error = None


def _draw(sensor: PowerSensor, series: _Series, start_s: float) -> Draw:
    times_s = [time_s - start_s for time_s in series.times_s]
    curve: Curve
    if sensor.unit == "J":
        curve = counter_curve(times_s, series.values, sensor.update_s)
        joules = series.values[-1] - series.values[0]
    else:
        curve = tuple(zip(times_s, series.values, strict=True))
        joules = trapezoid(curve)
    return Draw(
        name=sensor.name,
        what=sensor.what,
        joules=joules,
        span_s=times_s[-1] - times_s[0],
        peak_w=max((watts for _, watts in curve), default=0.0),
        spread_w=spread(curve),
        timeline=curve,
        update_s=sensor.update_s,
    )


def sum_of(draws: Sequence[Draw]) -> Draw:
    """Return several sensors' draw as one, over the longest of their spans.

    They are read one after the other, so their spans differ by a little: each keeps its mean power.
    """
    if len(draws) == 1:
        return draws[0]
    span_s = max(draw.span_s for draw in draws)
    curve = added([draw.timeline for draw in draws])
    updates_s = [draw.update_s for draw in draws if draw.update_s is not None]
    return Draw(
        name=" + ".join(draw.name for draw in draws),
        what=None,
        joules=sum(draw.mean_w for draw in draws) * span_s,
        span_s=span_s,
        peak_w=max((watts for _, watts in curve), default=0.0),
        spread_w=spread(curve),
        timeline=curve,
        update_s=max(updates_s) if len(updates_s) == len(draws) else None,
    )
