"""Caveats of a power report, and reports without any."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from edge_ser.machine.power.report import PowerReport, RailEnergy, power_caveats
from edge_ser.machine.power.tegrastats import parse_tegrastats


def draw(name: str = "VDD_IN", watts: float = 5.0, **changes: object) -> RailEnergy:
    """Return ten seconds of constant power."""
    made = RailEnergy(
        name=name,
        what="board",
        joules=watts * 10,
        span_s=10.0,
        peak_w=watts,
        spread_w=0.1,
        timeline=(),
        update_s=0.03,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def report(total: RailEnergy | None, *rails: RailEnergy, **changes: object) -> PowerReport:
    """Return a good run of ten seconds."""
    made = PowerReport(
        total=total,
        covers="the module",
        whole_board=True,
        rails=rails or ((total,) if total else ()),
        duration_s=10.0,
        rate_hz=10.0,
        n_samples=101,
        meter_cpu_s=0.02,
        caveats=(),
        unavailable=(),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_a_good_run_has_no_caveats():
    good = report(draw(), draw(), draw("VDD_SOC", 1.0, what="rail"))

    assert power_caveats(good, {}, idle=report(draw(watts=4.0))) == ()


def seconds(caveat):
    """Return the numbers of seconds that a caveat names, as they are written."""
    return re.findall(r"\b([\d.]+) s\b", caveat)


def test_a_run_that_is_short_for_the_sampling():
    short = report(draw(span_s=0.4, joules=2.0), duration_s=0.4, n_samples=6, meter_cpu_s=0.001)

    (caveat,) = power_caveats(short, {}, None)
    assert caveat.startswith("VDD_IN: ")
    assert seconds(caveat) == ["0.4", "0.1", "1"]


def test_a_run_that_is_short_for_the_slowest_sensor_names_it():
    gpus = [draw(name, 1.0, what="gpu", update_s=1.0) for name in ("GPU 0", "GPU 1")]
    short = report(draw(), draw(), *gpus, duration_s=9.5)

    (caveat,) = power_caveats(short, {}, None)
    assert caveat.startswith("GPU 0, GPU 1: ")
    assert seconds(caveat) == ["9.5", "1", "10"]


def test_a_sensor_that_does_not_say_how_often_it_has_new_values():
    (caveat,) = power_caveats(report(draw(update_s=None)), {}, None)

    assert caveat.startswith("VDD_IN: ")
    assert seconds(caveat) == []


def test_a_sensor_that_came_late():
    (caveat,) = power_caveats(
        report(draw(), draw(), draw("X", 1.0, span_s=4.0, joules=4.0)), {}, None
    )

    assert caveat == "X answered for 4.00 s of 10.00 s"


def test_a_sum_of_parts_is_not_what_the_socket_gives():
    parts = report(
        draw("package-0", what="cpu package"),
        covers="processor only, not the board",
        whole_board=False,
    )

    (caveat,) = power_caveats(parts, {}, None)
    assert "processor only" in caveat
    assert "wall power" in caveat


def test_no_sensor_at_all():
    (caveat,) = power_caveats(report(None, covers="", whole_board=False), {}, None)
    assert "nothing" in caveat


def test_a_recorded_board_whose_names_are_wrong():
    """A Jetson Nano on a carrier board of its own, whose module takes less than the GPU on it."""
    line = (Path(__file__).parent / "tegrastats" / "nano_r32_names_wrong.txt").read_text()
    stats = parse_tegrastats(line)
    assert stats is not None
    rails = [draw(name, rail.now_mw / 1000, what="rail") for name, rail in stats.rails.items()]
    module = next(rail for rail in rails if rail.name == "POM_5V_IN")
    rails[rails.index(module)] = module = dataclasses.replace(module, what="board")

    wrong = [d for d in power_caveats(report(module, *rails), {}, None) if "mislabels" in d]
    assert len(wrong) == 1
    names = ("POM_5V_IN", "POM_5V_GPU")
    assert tuple(re.findall(r"POM_5V_\w+", wrong[0]))[:2] == names


@pytest.mark.parametrize(
    ("watts", "spread_w", "expected"),
    [(5.0, 0.1, False), (4.05, 0.1, True), (3.0, 0.0, True), (4.03, 0.0, True)],
)
def test_what_lies_above_idle_has_to_rise_above_its_spread(watts, spread_w, expected):
    idle = report(draw(watts=4.0, spread_w=spread_w))
    caveats = power_caveats(report(draw(watts=watts)), {}, idle)

    assert any("noise" in caveat for caveat in caveats) == expected


def test_a_short_idle_phase():
    idle = report(draw(watts=1.0, span_s=0.2, joules=0.2), duration_s=0.2)
    (caveat,) = power_caveats(report(draw()), {}, idle)

    assert caveat.startswith("idle: VDD_IN: ")
    assert seconds(caveat)[0] == "0.2"


def test_a_meter_that_takes_much_itself():
    (caveat,) = power_caveats(report(draw(), meter_cpu_s=0.5), {}, None)

    assert caveat.startswith("sampling ")
    assert "5.0%" in caveat


def test_a_meter_that_could_not_keep_its_rate():
    (caveat,) = power_caveats(report(draw(), n_samples=40), {}, None)

    assert re.findall(r"\d+", caveat)[:2] == ["100", "40"]
