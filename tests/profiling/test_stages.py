"""The probe and the parts that are put around a recogniser to be timed."""

from __future__ import annotations

import numpy as np
from profile_parts import MS, FakeClock, FakeEngine, SlowDetector
from support import FakeRunner

from edge_ser.profiling.stages import AlwaysSpeech, StageClock, observed


def test_time_since_the_mark_before_belongs_to_the_stage():
    clock = FakeClock()
    stages = StageClock(clock)
    stages.begin(clock.now_ns())
    clock.pass_ns(3)
    stages("label")
    clock.pass_ns(5)
    stages("inference")
    clock.pass_ns(7)
    stages("label")

    assert {name: ns for name, ns in stages.spent_ns.items() if ns} == {"label": 10, "inference": 5}
    stages.begin(clock.now_ns())
    assert not any(stages.spent_ns.values())


def test_an_inference_on_the_gpu_is_divided_by_its_clock():
    clock = FakeClock()
    stages = StageClock(clock)
    stages.begin(clock.now_ns())
    runner = observed(FakeEngine(clock, [10]), stages)
    clock.pass_ns(2 * MS)
    stages("label")
    logits = runner.run(np.zeros((1, 13, 100), np.float32))
    stages("inference")

    assert logits.shape == (1, 3)
    got = {name: ns / MS for name, ns in stages.spent_ns.items() if ns}
    assert got == {"label": 2, "to_device": 1, "inference": 6, "to_host": 0.5, "launch": 2.5}
    assert runner.backend == "FakeEngine"


def test_other_runners_stay_as_they_are():
    runner = FakeRunner()
    assert observed(runner, StageClock(FakeClock())) is runner


def test_always_speech_costs_what_its_detector_does():
    clock = FakeClock()
    detector = SlowDetector(clock, 2.0, speech=0.0)
    always = AlwaysSpeech(detector)
    before = clock.now_ns()

    assert always.push(np.zeros(320, np.float32)) == 1.0
    assert clock.now_ns() - before == 2 * MS
    assert (always.sample_rate, always.frame_samples) == (16_000, 320)
    assert always.name.startswith(f"{detector.name}, ")
