"""The meter and its report on sensors whose curve is known."""

from __future__ import annotations

import errno
import math
import os
import re
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from power_parts import Clock, SimulatedSensor, sensors_of

from edge_ser.errors import ConfigError
from edge_ser.machine.power.ina import TotalPower
from edge_ser.machine.power.meter import EnergyMeter, Recorder, sum_of
from edge_ser.machine.power.report import PowerReport, RailEnergy, trapezoid


def recorded(*sensors: SimulatedSensor, clock: Clock, seconds: float, rate_hz: float) -> Recorder:
    """Sample sensors on a clock that jumps from sample to sample."""
    recorder = Recorder(sensors, clock)
    start_s = clock.now_s
    recorder.sample()
    for n in range(1, round(seconds * rate_hz)):
        clock.now_s = start_s + n / rate_hz
        recorder.sample()
    clock.now_s = start_s + seconds
    recorder.finish()
    return recorder


def bursts(time_s: float) -> float:
    """A board of 5 W whose decisions, four a second, take it up to 11 W."""
    return 8.0 + 3.0 * math.sin(2 * math.pi * 4 * time_s)


def bursts_joules(start_s: float, end_s: float) -> float:
    turns = 2 * math.pi * 4
    return 8.0 * (end_s - start_s) - 3.0 / turns * (
        math.cos(turns * end_s) - math.cos(turns * start_s)
    )


@pytest.mark.parametrize("rate_hz", [25.0, 40.0, 100.0])
def test_energy_of_a_known_curve_is_right_within_a_percent(rate_hz):
    clock = Clock()
    sensor = SimulatedSensor(bursts, clock)
    (draw,) = recorded(sensor, clock=clock, seconds=3.1, rate_hz=rate_hz).rails(100.0)

    assert draw.joules == pytest.approx(bursts_joules(100.0, 103.1), rel=0.01)
    assert draw.span_s == pytest.approx(3.1)
    assert draw.mean_w == pytest.approx(8.0, rel=0.02)
    assert draw.peak_w == pytest.approx(11.0, rel=0.05)
    assert draw.timeline[0] == (0.0, pytest.approx(bursts(100.0)))


@given(st.floats(0.3, 5), st.floats(1, 100), st.floats(0, 2000))
def test_a_counters_energy_is_exact_however_seldom_it_is_read(seconds, rate_hz, start_joules):
    clock = Clock()
    sensor = SimulatedSensor(
        lambda t: start_joules + bursts_joules(100.0, t), clock, unit="J", name="package-0"
    )
    (draw,) = recorded(sensor, clock=clock, seconds=seconds, rate_hz=rate_hz).rails(100.0)

    assert draw.joules == pytest.approx(bursts_joules(100.0, 100.0 + seconds), abs=1e-6)
    assert draw.peak_w <= 11.0 + 1e-6


def test_the_sum_of_rails_and_counters():
    clock = Clock()
    rail = SimulatedSensor(lambda t: 4.0 + (t - 100.0), clock, name="A")
    counter = SimulatedSensor(lambda t: 6.0 * t, clock, name="B", unit="J", update_s=0.1)
    draws = recorded(rail, counter, clock=clock, seconds=4.0, rate_hz=10).rails(100.0)
    both = sum_of(draws)

    assert both.name == "A + B"
    assert both.joules == pytest.approx(4 * 4 + 8 + 24)
    assert both.peak_w == pytest.approx(14.0)
    assert both.update_s == 0.1
    assert len(both.timeline) == len(draws[0].timeline)


def test_a_reading_that_fails_once_is_bridged_even_at_the_very_end():
    clock = Clock()
    sensor = SimulatedSensor(lambda _: 7.0, clock, silent={3, 10, 11})
    recorder = recorded(sensor, clock=clock, seconds=1.0, rate_hz=10)
    (draw,) = recorder.rails(100.0)

    assert recorder.lost() == {}
    assert draw.joules == pytest.approx(7.0)
    assert len(draw.timeline) == 10


def test_a_sensor_that_never_answers_has_no_draw():
    clock = Clock()
    sensor = SimulatedSensor(bursts, clock, gone_from_s=0.0)
    recorder = recorded(sensor, clock=clock, seconds=1.0, rate_hz=10)

    assert recorder.rails(100.0) == ()
    assert recorder.lost() == {"VDD_IN": os.strerror(errno.ENOENT)}


def ramp(time_s: float) -> float:
    return 5.0 + 2.0 * time_s


def samples(sensor: SimulatedSensor, n: int) -> None:
    """Wait until a sensor was read n times more, by whoever reads it."""
    target = sensor.reads + n
    give_up_s = time.monotonic() + 60
    while sensor.reads < target:
        assert time.monotonic() < give_up_s, "the meter's thread does not sample"
        time.sleep(0.001)


def test_the_thread_measures_a_ramp_on_the_real_clock():
    """The trapezoid rule is exact on a ramp, so that no scheduling can spoil this test."""
    start_s = time.monotonic()
    sensor = SimulatedSensor(lambda t: ramp(t - start_s), time.monotonic)
    meter = EnergyMeter(sensors_of(sensor), rate_hz=200)
    begun_s = time.monotonic() - start_s
    with meter:
        samples(sensor, 40)
    ended_s = time.monotonic() - start_s
    report = meter.report

    assert report.n_samples >= 42
    assert report.total is not None
    assert report.total.span_s <= ended_s - begun_s
    assert report.duration_s >= report.total.span_s
    # A sensor is read between two looks at the clock: the ramp may be off by what lies between.
    low = report.total.span_s * ramp(begun_s)
    high = report.total.span_s * ramp(ended_s)
    assert low <= report.total.joules <= high
    assert report.total.joules == pytest.approx(trapezoid(report.total.timeline))
    assert report.total.peak_w == report.total.timeline[-1][1]
    assert report.meter_cpu_s > 0


def test_the_thread_ends_with_the_block_even_when_the_work_fails():
    sensor = SimulatedSensor(bursts, time.monotonic)
    meter = EnergyMeter(sensors_of(sensor), rate_hz=500)
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), meter:
        _ = 1 / 0

    assert threading.active_count() == before
    assert meter.report.n_samples >= 2
    assert not sensor.closed


def test_an_error_in_the_thread_that_is_no_sensors_comes_out():
    reached = threading.Event()

    def broken(_: float) -> float:
        if threading.current_thread() is threading.main_thread():
            return 1.0
        reached.set()
        raise RuntimeError("sensor bug")

    sensor = SimulatedSensor(broken, time.monotonic)
    meter = EnergyMeter(sensors_of(sensor), rate_hz=500)
    with pytest.raises(RuntimeError, match="sensor bug"), meter:
        assert reached.wait(60)


def test_a_sensor_that_vanishes_in_a_run_spoils_the_sum_and_is_reported():
    gone = SimulatedSensor(lambda _: 3.0, time.monotonic, name="B")
    stays = SimulatedSensor(lambda _: 5.0, time.monotonic, name="A")
    meter = EnergyMeter(sensors_of(stays, gone), rate_hz=200)
    with meter:
        samples(stays, 10)
        gone.gone_from_s = 0.0
        samples(stays, 10)
    report = meter.report

    assert report.total is None
    assert report.joules_per_decision(3) is None
    assert report.joules_above_idle_per_decision(3) is None
    a, b = report.rails
    assert a.joules == pytest.approx(5 * a.span_s)
    assert b.joules == pytest.approx(3 * b.span_s)
    assert b.span_s < a.span_s
    assert any(caveat.startswith("B stopped answering") for caveat in report.caveats)
    assert any("no sum" in caveat for caveat in report.caveats)


def test_a_sensor_that_vanishes_just_before_the_end_spoils_the_sum_too():
    clock = Clock()
    sensor = SimulatedSensor(lambda _: 3.0, clock, gone_from_s=110.0)
    meter = EnergyMeter(sensors_of(sensor), rate_hz=200, clock=clock)
    with meter:
        clock.now_s = 109.9
        samples(sensor, 2)
        clock.now_s = 110.0

    assert meter.report.duration_s == pytest.approx(10.0)
    assert meter.report.rails[0].span_s == pytest.approx(9.9)
    assert meter.report.total is None


def test_energy_above_idle_and_by_decision():
    power_w = 5.0
    sensor = SimulatedSensor(lambda _: power_w, time.monotonic)
    meter = EnergyMeter(sensors_of(sensor), rate_hz=100)
    idle = meter.measure_idle(0.05)
    power_w = 7.0
    with meter:
        samples(sensor, 5)
    report = meter.report

    assert idle.total is not None
    assert idle.total.mean_w == pytest.approx(5.0)
    assert report.total is not None
    span_s = report.total.span_s
    assert report.total.idle_w == pytest.approx(5.0)
    assert report.rails[0].joules_above_idle == pytest.approx(2 * span_s)
    assert report.joules_per_decision(4) == pytest.approx(7 * span_s / 4)
    assert report.joules_above_idle_per_decision(4) == pytest.approx(2 * span_s / 4)


def test_the_sum_is_compared_with_the_idle_sum():
    sensors = [SimulatedSensor(lambda _: 2.0, time.monotonic, name=name) for name in "AB"]
    meter = EnergyMeter(sensors_of(*sensors), rate_hz=100)
    meter.measure_idle(0.05)
    with meter:
        samples(sensors[0], 5)

    assert meter.report.total is not None
    assert meter.report.total.idle_w == pytest.approx(4.0)


def test_idle_that_was_not_measured_is_not_made_up():
    sensor = SimulatedSensor(bursts, time.monotonic)
    meter = EnergyMeter(sensors_of(sensor))
    with meter:
        pass

    assert meter.report.total is not None
    assert meter.report.total.joules_above_idle is None
    assert meter.report.joules_above_idle_per_decision(1) is None


def test_rails_that_nobody_may_add_are_measured_one_by_one():
    sensor = SimulatedSensor(lambda _: 2.0, time.monotonic, name="X")
    sensors = sensors_of(sensor)
    meter = EnergyMeter(type(sensors)(sensors.sensors, None, ("why",)))
    with meter:
        pass

    assert meter.report.total is None
    assert [draw.name for draw in meter.report.rails] == ["X"]
    assert meter.report.unavailable == ("why",)
    assert any(re.search(r"\bX\b", caveat) for caveat in meter.report.caveats)


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, math.nan])
def test_a_rate_that_is_none_is_refused(rate_hz):
    with pytest.raises(ConfigError, match="> 0"):
        EnergyMeter(sensors_of(), rate_hz=rate_hz)


def test_a_report_before_any_run_is_refused():
    with pytest.raises(ConfigError, match="with meter:"):
        _ = EnergyMeter(sensors_of()).report


def a_report(**changes: object) -> PowerReport:
    draw = RailEnergy("VDD_IN", "board", 40.0, 8.0, 6.0, 0.1, (), 0.03, idle_w=3.0)
    values: dict[str, object] = {
        "total": draw,
        "covers": "the module",
        "whole_board": True,
        "rails": (draw,),
        "duration_s": 8.0,
        "rate_hz": 10.0,
        "n_samples": 81,
        "meter_cpu_s": 0.01,
        "caveats": (),
        "unavailable": (),
    }
    return PowerReport(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [0, -3])
def test_energy_over_no_decision_is_refused(n):
    report = a_report()
    with pytest.raises(ConfigError, match=rf"\bn_decisions\b.* got {n}$"):
        report.joules_per_decision(n)
    with pytest.raises(ConfigError, match=rf"\bn_decisions\b.* got {n}$"):
        report.joules_above_idle_per_decision(n)


def test_energy_over_decisions():
    report = a_report()

    assert report.joules_per_decision(32) == 1.25
    assert report.joules_above_idle_per_decision(32) == 0.5


def test_the_sensors_are_closed_by_whoever_opened_them():
    sensor = SimulatedSensor(bursts, time.monotonic)
    with sensors_of(sensor, total=TotalPower(("VDD_IN",), "x")):
        assert not sensor.closed
    assert sensor.closed
