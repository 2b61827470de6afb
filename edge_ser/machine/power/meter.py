"""Energy meter: samples all sensors in a background thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType

from edge_ser.errors import ConfigError
from edge_ser.machine.power.report import (
    Curve,
    PowerReport,
    RailEnergy,
    added,
    complete,
    counter_curve,
    power_caveats,
    spread,
    trapezoid,
)
from edge_ser.machine.power.sensor import PowerSensor
from edge_ser.machine.power.sensors import Sensors

_ATTEMPTS_AT_END = 3
"""Attempts for the last reading, which closes the interval: a busy bus must not invalidate the run."""


@dataclass
class _Series:
    times_s: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    error: str | None = None
    """Error of the newest reading; None if it succeeded."""


class Recorder:
    """Readings of one run."""

    def __init__(self, sensors: Iterable[PowerSensor], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._series = [(sensor, _Series()) for sensor in sensors]
        self.n_samples = 0

    def sample(self) -> None:
        """Read all sensors once; sensors that do not answer are skipped."""
        for sensor, series in self._series:
            self._read(sensor, series)
        self.n_samples += 1

    def finish(self) -> None:
        """Read all sensors for the last time, with retries."""
        self.sample()
        for sensor, series in self._series:
            for _ in range(_ATTEMPTS_AT_END - 1):
                if series.error is not None:
                    self._read(sensor, series)

    def rails(self, start_s: float) -> tuple[RailEnergy, ...]:
        """Return the energy of each sensor with at least two readings.

        Args:
            start_s: clock at the beginning of the run, the origin of the timelines.
        """
        return tuple(
            _rail_energy(sensor, series, start_s)
            for sensor, series in self._series
            if len(series.times_s) > 1
        )

    def lost(self) -> dict[str, str]:
        """Return the last error of each sensor that stopped answering."""
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


def _rail_energy(sensor: PowerSensor, series: _Series, start_s: float) -> RailEnergy:
    times_s = [time_s - start_s for time_s in series.times_s]
    curve: Curve
    if sensor.unit == "J":
        curve = counter_curve(times_s, series.values, sensor.update_s)
        joules = series.values[-1] - series.values[0]
    else:
        curve = tuple(zip(times_s, series.values, strict=True))
        joules = trapezoid(curve)
    return RailEnergy(
        name=sensor.name,
        what=sensor.what,
        joules=joules,
        span_s=times_s[-1] - times_s[0],
        peak_w=max((watts for _, watts in curve), default=0.0),
        spread_w=spread(curve),
        timeline=curve,
        update_s=sensor.update_s,
    )


def sum_of(draws: Sequence[RailEnergy]) -> RailEnergy:
    """Return the sum of several sensors, over the longest of their spans.

    Sensors are read one after the other, so their spans differ slightly: mean powers are added.
    """
    if len(draws) == 1:
        return draws[0]
    span_s = max(draw.span_s for draw in draws)
    curve = added([draw.timeline for draw in draws])
    updates_s = [draw.update_s for draw in draws if draw.update_s is not None]
    return RailEnergy(
        name=" + ".join(draw.name for draw in draws),
        what=None,
        joules=sum(draw.mean_w for draw in draws) * span_s,
        span_s=span_s,
        peak_w=max((watts for _, watts in curve), default=0.0),
        spread_w=spread(curve),
        timeline=curve,
        update_s=max(updates_s) if len(updates_s) == len(draws) else None,
    )


RATE_HZ = 10.0
IDLE_S = 5.0


class EnergyMeter:
    """Meter of the energy used inside `with meter:`; `meter.report` then holds the figures.

    Energy counters are subtracted, powers are integrated by the trapezoid rule. The first and the last
    sample are taken in the calling thread, at the beginning and the end of the block.
    """

    def __init__(
        self,
        sensors: Sensors,
        rate_hz: float = RATE_HZ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a meter.

        Args:
            sensors: open sensors; the caller closes them.
            rate_hz: samples per second, above 0.
            clock: clock in seconds, for tests.

        Raises:
            ConfigError: the rate is not positive.
        """
        if not rate_hz > 0:
            raise ConfigError(f"rate_hz: expected a rate > 0 samples per second, got {rate_hz}")
        self._sensors = sensors
        self._rate_hz = rate_hz
        self._clock = clock
        self._idle: PowerReport | None = None
        self._report: PowerReport | None = None
        self._stop = threading.Event()

    @property
    def report(self) -> PowerReport:
        """Figures of the newest run.

        Raises:
            ConfigError: no run yet.
        """
        if self._report is None:
            raise ConfigError("no run was measured yet; use `with meter:` first")
        return self._report

    def measure_idle(self, seconds: float = IDLE_S) -> PowerReport:
        """Measure the idle machine; later runs are compared with it."""
        self._idle = None
        with self:
            time.sleep(seconds)
        self._idle = self.report
        return self._idle

    def __enter__(self) -> EnergyMeter:
        """Take the first sample and start the thread."""
        self._stop.clear()
        self._failure: BaseException | None = None
        self._recorder = Recorder(self._sensors.sensors, self._clock)
        cpu_s = time.thread_time()
        self._start_s = self._clock()
        self._recorder.sample()
        self._meter_cpu_s = time.thread_time() - cpu_s
        self._thread = threading.Thread(target=self._run, name="energy meter", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the thread, take the last sample, make the report."""
        self._stop.set()
        self._thread.join()
        if self._failure is not None and value is None:
            raise self._failure
        cpu_s = time.thread_time()
        self._recorder.finish()
        duration_s = self._clock() - self._start_s
        self._meter_cpu_s += time.thread_time() - cpu_s
        self._report = self._make_report(duration_s)

    def _run(self) -> None:
        cpu_s = time.thread_time()
        n = 1
        begun_s = time.monotonic()
        try:
            while not self._stop.wait(max(0.0, begun_s + n / self._rate_hz - time.monotonic())):
                self._recorder.sample()
                # Late samples are not repeated: the next one is on the grid again.
                n = max(n + 1, int((time.monotonic() - begun_s) * self._rate_hz) + 1)
        except Exception as error:  # noqa: BLE001 (raised again when the meter stops)
            self._failure = error
        self._meter_cpu_s += time.thread_time() - cpu_s

    def _make_report(self, duration_s: float) -> PowerReport:
        lost = self._recorder.lost()
        rails = tuple(self._beside_idle(d) for d in self._recorder.rails(self._start_s))
        summed = self._sensors.total
        total = None
        if summed is not None:
            parts = [
                draw
                for draw in rails
                if draw.name in summed.names
                and draw.name not in lost
                and complete(draw, duration_s)
            ]
            if len(parts) == len(summed.names):
                total = self._beside_idle(sum_of(parts))
        report = PowerReport(
            total=total,
            covers=summed.covers if summed else "",
            whole_board=summed is not None and summed.whole_board,
            rails=rails,
            duration_s=duration_s,
            rate_hz=self._rate_hz,
            n_samples=self._recorder.n_samples,
            meter_cpu_s=self._meter_cpu_s,
            caveats=(),
            unavailable=self._sensors.unavailable,
        )
        return replace(report, caveats=power_caveats(report, lost, self._idle))

    def _beside_idle(self, draw: RailEnergy) -> RailEnergy:
        """Return a rail with its mean power in the idle phase, if measured."""
        if self._idle is None:
            return draw
        idle = {d.name: d.mean_w for d in (*self._idle.rails, self._idle.total) if d is not None}
        return replace(draw, idle_w=idle.get(draw.name))
