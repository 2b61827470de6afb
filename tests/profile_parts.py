"""A clock that only moves when it is told to, and parts that move it by known times."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from support import FakeRunner, make_card

from edge_ser.inference.base import ModelOutput
from edge_ser.machine.power.sensors import Sensors
from edge_ser.profiling.arrival import SoundFeed
from edge_ser.profiling.models import ProfiledModel
from edge_ser.profiling.sound import Sound
from edge_ser.profiling.stream_bench import StreamBenchmark
from edge_ser.tensorrt.cuda.api import DeviceMemory
from edge_ser.tensorrt.session import Timings

RATE = 16_000
MS = 1_000_000


class FakeClock:
    """Stands still but for `pass_ns` and waiting."""

    def __init__(self, late_ns: int = 0) -> None:
        self.ns = 5_000 * MS
        self.late_ns = late_ns
        """How much too late it wakes up."""

    def now_ns(self) -> int:
        return self.ns

    def sleep_until(self, due_ns: int) -> None:
        if due_ns > self.ns:
            self.ns = due_ns + self.late_ns

    def pass_ns(self, ns: int) -> None:
        self.ns += ns


class SlowRunner(FakeRunner):
    """Takes the given times in ms, one after the other and over again."""

    def __init__(self, clock: FakeClock, times_ms: Sequence[float], **card: object) -> None:
        super().__init__(make_card(**card))
        self._clock = clock
        self._times = itertools.cycle(times_ms)

    def run(self, inputs: np.ndarray) -> np.ndarray:
        self._clock.pass_ns(round(MS * next(self._times)))
        logits = super().run(inputs)
        self.inputs.clear()
        return logits


class FakeEngine(SlowRunner):
    """An engine of whose time the GPU knows 1 + 6 + 0.5 ms."""

    def infer_timed(self, inputs: np.ndarray) -> tuple[ModelOutput, Timings]:
        return self.infer(inputs), Timings(1.0, 6.0, 0.5)

    def device_memory(self) -> DeviceMemory:
        return DeviceMemory(used=7 << 20, total=8 << 30)


class SlowDetector:
    """Hears speech everywhere, and takes its time."""

    name = "slow"
    sample_rate = RATE
    frame_samples = 320

    def __init__(self, clock: FakeClock, frame_ms: float, speech: float = 1.0) -> None:
        self._clock = clock
        self._frame_ns = round(MS * frame_ms)
        self._speech = speech
        self.n = 0

    def push(self, frame: np.ndarray) -> float:
        assert frame.shape == (320,)
        self.n += 1
        self._clock.pass_ns(self._frame_ns)
        return self._speech

    def reset(self) -> None:
        """Nothing is kept."""


def noise_sound(length_s: float = 2.0, rate: int = RATE) -> Sound:
    """Return noise that never is silent."""
    samples = 0.1 * np.random.default_rng(0).standard_normal(round(length_s * rate))
    return Sound("noise", samples.astype(np.float32), rate)


def lane_of(
    clock: FakeClock,
    runner: FakeRunner,
    sink: int,
    *,
    arrival: str = "closed",
    detector: SlowDetector | None = None,
    timed: bool = True,
    chunk_s: float = 0.02,
) -> StreamBenchmark:
    """Return a lane on noise that has warmed up."""
    feed = SoundFeed(noise_sound(), arrival, clock, chunk_s)
    lane = StreamBenchmark(runner, feed, clock, detector, timed=timed, sink=sink)
    lane.warm_up(1, SoundFeed(noise_sound(), "closed", clock, chunk_s))
    return lane


def contestants_of(clock: FakeClock, path: Path, *times_ms: Sequence[float]) -> list[ProfiledModel]:
    """Return models of known times, m0.onnx, m1.onnx and so on."""
    return [
        ProfiledModel(f"m{place}.onnx", path, "cpu", SlowRunner(clock, times), 1 << 20, None)
        for place, times in enumerate(times_ms)
    ]


def no_sensors() -> Sensors:
    """Return what a machine has that does not measure power."""
    return Sensors((), None, ("no sensors",))
