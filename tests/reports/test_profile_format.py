"""Figures in words."""

from __future__ import annotations

import dataclasses

import pytest
from support import absent

from edge_ser.machine.clocks import Clock
from edge_ser.machine.gpu import Gpu, GpuState
from edge_ser.machine.jetson import Jetson, PowerMode
from edge_ser.machine.thermal import Thermal, Zone
from edge_ser.profiling.report import Accuracy
from edge_ser.reports import profile_format as words


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.0, "0.000"), (0.1234, "0.123"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"),
     (-0.5, "-0.500")],
)  # fmt: skip
def test_milliseconds_have_three_digits(value, said):
    assert words.ms(value) == said


def test_a_jetson_is_described(profiled):
    clock = Clock("cpu0", 115_200_000, 1_510_400_000, 729_600_000, "schedutil")
    gpu_clock = Clock("gpu", 306_000_000, 624_750_000, 306_000_000, "nvhost_podgov")
    machine = dataclasses.replace(
        profiled.machine,
        cpu=dataclasses.replace(profiled.machine.cpu, clocks=(clock, clock)),
        jetson=Jetson(
            "Orin Nano", "36.4.3", "6.2", PowerMode("15W", 0), None, gpu_clock, memory_clock=None
        ),
        gpu=Gpu("Orin", "8.7", "12.6", "540.4.0", None),
        thermal=Thermal((Zone("cpu", 41.0), Zone("gpu", 44.5)), (), 0),
    )
    facts = words.machine(dataclasses.replace(profiled, machine=machine))
    assert facts["CPU clocks"] == "schedutil, 115 MHz to 1.51 GHz"
    assert facts["GPU"] == "Orin, driver 540.4.0, CUDA 12.6"
    assert facts["GPU clock"] == "nvhost_podgov, 306 MHz to 625 MHz"
    assert facts["board"] == "Orin Nano, JetPack 6.2"
    assert facts["power mode"] == "15W"
    assert facts["warmest"].startswith("44 °C (gpu) before, ")


def test_a_card_of_its_own_is_described(profiled):
    state = GpuState("H100", 40.0, 70.0, 700.0, 345.0, 1980.0, ())
    gpu = Gpu("H100", "9.0", "12.8", "570.1", state)
    made = dataclasses.replace(profiled, machine=dataclasses.replace(profiled.machine, gpu=gpu))
    assert words.machine(made)["GPU clock"] == "345 MHz before, 1980 at most"


def test_a_busy_machine_is_named(profiled):
    model = profiled.models[0]
    busy = dataclasses.replace(model, cpu_ms_per_window=2.5, preempted_per_s=120.0)
    assert absent(words.cpu(busy), "2.50 ms", "120 times") == []
    calm = dataclasses.replace(model, cpu_ms_per_window=2.5, preempted_per_s=1.0)
    assert absent(words.cpu(calm), "2.50 ms", "times") == ["times"]


def test_missing_percentiles_say_how_to_get_them(profiled):
    model = profiled.models[0]
    assert words.too_few(profiled, model) is None
    short = dataclasses.replace(
        model, n_decisions=100, end_to_end=dataclasses.replace(model.end_to_end, p999_ms=None)
    )
    assert absent(words.too_few(profiled, short), words.MISSING, "p99.9", "--duration 210") == []


@pytest.mark.parametrize(
    ("accuracy", "long", "short"),
    [
        (Accuracy("reference", None, None, passes=True, card_uar=0.757),
         ["UAR", "card", "75.7%"], "first"),
        (Accuracy("record", 0.99, None, passes=True, card_uar=None),
         ["99.0%", "FP32", "record"], "99.0%"),
        (Accuracy("agreement", 0.9, 50, passes=False, card_uar=None),
         ["90.0%", "first", "50 windows"], "90.0%"),
        (Accuracy("unknown", None, None, None, None), ["unknown"], "unknown"),
    ],
)  # fmt: skip
def test_accuracy_says_what_it_is_known_by(accuracy, long, short):
    assert absent(words.accuracy(accuracy), *long) == []
    assert words.short_accuracy(accuracy) == short
