"""Models take turns, and what is noted of the turns."""

from __future__ import annotations

import itertools
import time
from collections import Counter

import pytest
from power_parts import SimulatedSensor, sensors_of
from profile_parts import MS, FakeClock, FakeEngine, SlowDetector, SlowRunner, noise_sound
from support import FakeRunner, make_card

from edge_ser.errors import ConfigError
from edge_ser.machine.power.meter import EnergyMeter
from edge_ser.profiling.arrival import SoundFeed
from edge_ser.profiling.clock import MonotonicClock
from edge_ser.profiling.run import PLAIN_EVERY, RunConfig, measure, turns
from edge_ser.profiling.statistics import growth_of


def run(clock, runners, plan, arrival="closed", frame_ms=0.1, **options):
    return measure(
        runners,
        lambda: SoundFeed(noise_sound(), arrival, clock, 0.02),
        lambda: SlowDetector(clock, frame_ms) if frame_ms else None,
        plan,
        clock,
        **options,
    )


@pytest.mark.parametrize("n_models", [1, 2, 3, 5])
def test_every_model_has_a_turn_in_every_round(n_models):
    for n_round in range(3 * PLAIN_EVERY * n_models):
        order = turns(n_models, n_round)
        assert sorted(m for m, timed in order if timed) == list(range(n_models))
        plain = [m for m, timed in order if not timed]
        assert sorted(plain) == (list(range(n_models)) if n_round % PLAIN_EVERY == 0 else [])


@pytest.mark.parametrize("n_models", [2, 3])
def test_nobody_always_runs_after_the_same_one(n_models):
    orders = [turns(n_models, n) for n in range(4 * n_models * PLAIN_EVERY)]
    first = Counter(order[0][0] for order in orders)
    assert set(first) == set(range(n_models))
    assert max(first.values()) <= 2 * min(first.values())


def test_drift_hits_all_models_alike():
    """A machine that gets slower and slower: two equal models come out equal all the same."""
    clock = FakeClock()

    class Drifting(FakeRunner):
        def run(self, inputs):
            clock.pass_ns(round(10 * MS + clock.now_ns() / 3_000))
            self.inputs.clear()
            return super().run(inputs)

    measured = run(clock, [Drifting(), Drifting()], RunConfig(24, 1.0, 2))
    a, b = (lane.recording.latency_ns.mean() for lane in measured.timed)
    # Had one run after the other, the second would be twice as slow.
    assert a == pytest.approx(b, rel=0.04)
    assert measured.timed[0].recording.latency_ns[-1] > 1.5 * a


def test_blocks_never_overlap_and_each_model_has_its_time():
    clock = FakeClock()
    runners = [SlowRunner(clock, [5]), SlowRunner(clock, [9])]
    measured = run(clock, runners, RunConfig(8.0, 1.0, 2))

    blocks = measured.blocks
    assert all(a.end_ns <= b.start_ns for a, b in itertools.pairwise(blocks))
    for model in (0, 1):
        own = [b for b in blocks if b.lane == model]
        assert len([b for b in own if b.stages_ns]) == 8
        assert len([b for b in own if not b.stages_ns]) == 2
        seconds = sum(b.end_ns - b.start_ns for b in own if b.stages_ns) / 1e9
        assert seconds == pytest.approx(8.0, rel=0.02)
    assert measured.n_warmup[0] >= 4
    assert len(measured.memory) == len(blocks)


def test_progress_goes_up_to_one():
    clock, told = FakeClock(), []
    run(clock, [SlowRunner(clock, [5])], RunConfig(4.0, 1.0, 1), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_warming_up_need_not_be_waited_for():
    clock = FakeClock()
    begin = clock.now_ns()
    sound = noise_sound()
    measured = run(
        clock,
        [SlowRunner(clock, [5])],
        RunConfig(4.0, 4.0, 50),
        arrival="paced",
        warm_feed=lambda: SoundFeed(sound, "closed", clock, 0.02),
    )
    assert measured.n_warmup[0] >= 100
    assert measured.begin_ns - begin < 2000 * MS


def test_a_thousand_hops_leave_memory_as_it_was():
    clock = FakeClock()
    runner = SlowRunner(clock, [10])
    measured = run(clock, [runner], RunConfig(40.0, 1.0, 100))
    growth = growth_of([point.rss_bytes for point in measured.memory])

    assert len(measured.timed[0].recording) > 1000
    assert growth is not None
    assert not growth.grows
    assert growth.growth_bytes < 1 << 20


def test_a_leak_is_seen():
    clock, kept = FakeClock(), []

    class Leaky(SlowRunner):
        def run(self, inputs):
            kept.append(bytearray(b"x") * 200_000)
            return super().run(inputs)

    measured = run(clock, [Leaky(clock, [10])], RunConfig(20.0, 1.0, 2))
    growth = growth_of([point.rss_bytes for point in measured.memory])
    assert growth is not None
    assert growth.grows


def test_memory_of_the_gpu_is_asked_of_runners_that_know_it():
    clock = FakeClock()

    runners = [FakeEngine(clock, [5]), SlowRunner(clock, [5])]
    measured = run(clock, runners, RunConfig(2.0, 1.0, 1))
    assert {point.device_bytes for point in measured.memory} == {(7 << 20, None)}


def test_power_is_measured_beside_an_idle_phase():
    def watts(_: float) -> float:
        return 5.0

    meter = EnergyMeter(sensors_of(SimulatedSensor(watts, time.monotonic)), rate_hz=50)
    clock = MonotonicClock()
    runner = FakeRunner(make_card())
    measured = run(clock, [runner], RunConfig(0.5, 0.25, 1), frame_ms=None, meter=meter, idle_s=0.2)
    assert measured.idle is not None
    assert measured.power is not None
    assert measured.power.total.mean_w == pytest.approx(5.0)
    assert measured.power.total.idle_w == pytest.approx(5.0)
    covered = measured.blocks[-1].end_ns - measured.begin_ns
    assert measured.power.duration_s >= covered / 1e9


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.5, 1.0, 1), "duration_s is 0.5"),
        ((1.0, 0.0, 1), "block_s is 0.0"),
        ((1.0, 1.0, 0), "warmup_decisions is 0"),
    ],
)
def test_plans_that_make_no_sense(values, said):
    with pytest.raises(ConfigError, match=said):
        RunConfig(*values)
