"""What a lane measures is what was put in: latencies that are known are found again."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest
from profile_parts import MS, FakeClock, SlowDetector, SlowRunner, lane_of, noise_sound
from support import FakeRunner, make_card

from edge_ser.profiling.arrival import SoundFeed
from edge_ser.profiling.clock import MonotonicClock
from edge_ser.profiling.stages import CAPTURE, STAGES
from edge_ser.profiling.statistics import QUANTILES, spread_of
from edge_ser.profiling.stream_bench import StreamBenchmark

SECOND = 1000 * MS


@pytest.fixture
def sink():
    descriptor = os.open(os.devnull, os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


def test_injected_latencies_are_found_again(sink):
    rng = np.random.default_rng(3)
    times_ms = rng.gamma(2.0, 3.0, 1500)
    clock = FakeClock()
    lane = lane_of(clock, SlowRunner(clock, times_ms), sink)
    lane.run(0, 0, 1500 * 10 * MS)

    spread = spread_of(lane.recording.stage_ns("inference"))
    assert spread.n > 1000
    for name, q in QUANTILES.items():
        assert getattr(spread, name) == pytest.approx(np.percentile(times_ms, q), rel=0.05), name
    assert np.array_equal(lane.recording.latency_ns, lane.recording.stage_ns("inference"))


def test_each_stage_gets_its_own_time(sink):
    """A hop of 250 ms ends in the middle of a piece: 12 or 13 frames of the detector in a hop."""
    clock = FakeClock()
    lane = lane_of(clock, SlowRunner(clock, [10]), sink, detector=SlowDetector(clock, 0.5))
    block = lane.run(0, 0, SECOND)

    recording = lane.recording
    assert set(recording.stage_ns("inference")) == {10 * MS}
    assert set(recording.stage_ns("vad")) == {MS // 2}
    assert set(recording.latency_ns) == {10 * MS + MS // 2}
    assert block.stages_ns["inference"] == 10 * MS * block.n_decisions
    assert block.stages_ns["vad"] == pytest.approx(12.5 * MS / 2 * block.n_decisions, rel=0.02)
    assert block.busy_ns == sum(block.stages_ns.values())


@pytest.mark.parametrize("arrival", ["closed", "paced", "bursty"])
def test_the_stages_are_all_of_the_latency(sink, arrival):
    clock = FakeClock(late_ns=2 * MS)
    runner = SlowRunner(clock, [3, 4, 30])
    lane = lane_of(clock, runner, sink, arrival=arrival, detector=SlowDetector(clock, 0.1))
    lane.run(0, 0, 20 * SECOND)

    recording = lane.recording
    assert len(recording) > 50
    total = sum(recording.stage_ns(stage) for stage in STAGES)
    assert np.array_equal(total, recording.latency_ns)


def test_paced_capture_is_the_rest_of_the_piece_and_the_lateness(sink):
    clock = FakeClock(late_ns=2 * MS)
    lane = lane_of(clock, SlowRunner(clock, [1]), sink, arrival="paced")
    lane.run(0, 0, 4 * SECOND)

    # Every second window of 250 ms ends 10 ms before the end of its piece of 20 ms.
    assert set(lane.recording.stage_ns(CAPTURE)) == {2 * MS, 12 * MS}


def test_work_that_takes_longer_than_real_time_shows_as_lateness(sink):
    clock = FakeClock()
    lane = lane_of(clock, SlowRunner(clock, [400]), sink, arrival="paced")
    lane.run(0, 0, 8 * SECOND)
    late = lane.recording.stage_ns(CAPTURE)
    assert (np.diff(late) > 100 * MS).all()


def test_in_a_burst_later_windows_wait_for_those_before(sink):
    clock = FakeClock()
    lane = lane_of(clock, SlowRunner(clock, [10]), sink, arrival="bursty")
    lane.run(0, 0, 10 * SECOND)
    assert set(lane.recording.stage_ns(CAPTURE)) == {0, 10 * MS, 20 * MS, 30 * MS}


def test_the_first_decision_of_a_block_is_not_recorded(sink):
    clock = FakeClock()
    lane = lane_of(clock, SlowRunner(clock, [10]), sink)
    first, second = lane.run(0, 0, SECOND), lane.run(0, 1, SECOND)
    assert first.rows == (0, first.n_decisions - 1)
    assert second.rows == (first.rows[1], first.rows[1] + second.n_decisions - 1)
    assert len(lane.recording) == second.rows[1]


def test_warming_up_is_whole_windows_and_not_recorded(sink):
    clock = FakeClock()
    runner = SlowRunner(clock, [1])
    feed = SoundFeed(noise_sound(), "closed", clock, 0.02)
    lane = StreamBenchmark(runner, feed, clock, SlowDetector(clock, 0.1), timed=True, sink=sink)
    assert lane.warm_up(5) == 5
    assert len(lane.recording) == 0


def test_warming_up_ends_in_silence_too(sink):
    clock = FakeClock()
    sound = noise_sound()
    sound.samples[:] = 0
    feed = SoundFeed(sound, "closed", clock, 0.02)
    lane = StreamBenchmark(SlowRunner(clock, [1]), feed, clock, None, timed=True, sink=sink)
    assert lane.warm_up(5) == 0


def test_silent_windows_are_counted_apart(sink):
    clock = FakeClock()
    sound = noise_sound(4.0)
    sound.samples[: 2 * 16_000] = 0
    feed = SoundFeed(sound, "paced", clock, 0.02)
    lane = StreamBenchmark(SlowRunner(clock, [1]), feed, clock, None, timed=True, sink=sink)
    lane.warm_up(1)
    block = lane.run(0, 0, 12 * SECOND)
    assert lane.n_silent > 5
    assert block.n_decisions + lane.n_silent == pytest.approx(12 / 0.25, abs=1)


def test_untimed_lanes_know_the_whole_only(sink):
    clock = FakeClock()
    lane = lane_of(clock, SlowRunner(clock, [10]), sink, timed=False)
    block = lane.run(0, 0, SECOND)
    assert block.stages_ns == {}
    assert set(lane.recording.latency_ns) == {10 * MS}
    assert not lane.recording.stage_ns("inference").any()


def test_events_go_to_the_sink_as_lines():
    read, write = os.pipe()
    clock = FakeClock()
    lane = lane_of(clock, SlowRunner(clock, [50]), write, detector=SlowDetector(clock, 0.1))
    lane.run(0, 0, SECOND // 2)
    os.close(write)
    with os.fdopen(read) as pipe:
        kinds = [json.loads(line)["event"] for line in pipe]
    assert kinds[:2] == ["start", "speech_start"]
    assert kinds.count("window") >= 10


def test_rows_know_their_size(sink):
    clock = FakeClock()
    lane = lane_of(clock, SlowRunner(clock, [10]), sink)
    lane.run(0, 0, 2 * SECOND)
    assert lane.recording.n_bytes == len(lane.recording) * (8 * (3 + len(STAGES)) + 2)
    assert len(lane.recording.labels) == len(lane.recording)


def test_with_the_real_clock_it_agrees_with_a_runner_that_times_itself(sink):
    """Sleeping may take longer than asked on a busy machine; the runner knows how long it took."""

    class Sleeper(FakeRunner):
        def __init__(self) -> None:
            super().__init__(make_card())
            self.took_ns: list[int] = []

        def run(self, inputs: np.ndarray) -> np.ndarray:
            begin = time.monotonic_ns()
            time.sleep((0.005, 0.01, 0.02)[len(self.took_ns) % 3])
            logits = super().run(inputs)
            self.took_ns.append(time.monotonic_ns() - begin)
            return logits

    runner, clock = Sleeper(), MonotonicClock()
    feed = SoundFeed(noise_sound(), "closed", clock, 0.02)
    lane = StreamBenchmark(runner, feed, clock, None, timed=True, sink=sink)
    lane.warm_up(2)
    lane.run(0, 0, 3 * SECOND)
    took = runner.took_ns[-len(lane.recording) :]

    assert len(took) > 60
    measured = spread_of(lane.recording.stage_ns("inference"))
    for name in ("p50_ms", "mean_ms"):
        assert getattr(measured, name) == pytest.approx(getattr(spread_of(took), name), rel=0.05)
