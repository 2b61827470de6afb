"""Measurement of several models in turns, so that drift of the machine affects all of them equally."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_ser._util.callbacks import OnShare
from edge_ser._util.records import require
from edge_ser.inference.base import Runner
from edge_ser.machine.process import memory
from edge_ser.profiling.arrival import Feed
from edge_ser.profiling.clock import Clock
from edge_ser.profiling.overhead import mark_us
from edge_ser.profiling.stream_bench import Block, StreamBenchmark
from edge_ser.vad.base import VoiceDetector

if TYPE_CHECKING:
    from edge_ser.machine.power.meter import EnergyMeter
    from edge_ser.machine.power.report import PowerReport

BLOCK_S = {"closed": 1.0, "paced": 4.0, "bursty": 5.0, "live": 5.0}
"""Arrival → length of a block in seconds."""

PLAIN_EVERY = 4
"""Every n-th round has blocks without timed stages, to measure the cost of timing."""


@dataclass(frozen=True)
class RunConfig:
    """Duration of a measurement and of its steps.

    Raises:
        ConfigError: a value out of range.
    """

    duration_s: float
    """Seconds that each model is measured, without warm-up and blocks without timed stages."""
    block_s: float
    warmup_decisions: int = 20
    """Complete windows that each stream processes before the measurement."""

    def __post_init__(self) -> None:
        require(0 < self.block_s <= 600, "block_s", self.block_s, "above 0, up to 600 seconds")
        fits = self.block_s <= self.duration_s <= 7 * 86_400
        require(fits, "duration_s", self.duration_s, f"a block ({self.block_s:g} s) to 7 days")
        require(self.warmup_decisions >= 1, "warmup_decisions", self.warmup_decisions, "1 or more")


@dataclass(frozen=True)
class MemoryPoint:
    """Memory at the end of a block."""

    at_ns: int
    rss_bytes: int
    """Resident memory without the profile's own records."""
    device_bytes: tuple[int | None, ...]
    """GPU memory of all processes, by model; None if the runner cannot report it."""


@dataclass
class Measured:
    """Raw measurements of a run."""

    begin_ns: int
    """Start of the first block, the origin of times in reports."""
    timed: list[StreamBenchmark] = field(default_factory=list)
    """Benchmark of each model, with timed stages."""
    plain: list[StreamBenchmark] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    """Blocks of all models; blocks without timed stages have empty `stages_ns`."""
    memory: list[MemoryPoint] = field(default_factory=list)
    n_warmup: list[int] = field(default_factory=list)
    """Decisions of each model before the measurement."""
    idle: PowerReport | None = None
    power: PowerReport | None = None
    mark_us: float = 0.0
    """Time of one mark of the probe, in microseconds."""


def turns(n_models: int, n_round: int) -> list[tuple[int, bool]]:
    """Return the order of a round as pairs: index of the model, whether stages are timed.

    The first model advances by one from round to round, so that the order does not favour any model.
    """
    kinds = (True, False) if n_round % PLAIN_EVERY == 0 else (True,)
    order = [(model, timed) for model in range(n_models) for timed in kinds]
    begin = (n_round + n_round // PLAIN_EVERY) % len(order)
    return order[begin:] + order[:begin]


def measure(
    runners: Sequence[Runner],
    feed: Callable[[], Feed],
    detector: Callable[[], VoiceDetector | None],
    config: RunConfig,
    clock: Clock,
    *,
    warm_feed: Callable[[], Feed] | None = None,
    meter: EnergyMeter | None = None,
    idle_s: float = 5.0,
    baseline: str | None = None,
    progress: OnShare = lambda _: None,
) -> Measured:
    """Measure models in rounds of blocks until each has its duration.

    Args:
        runners: the open models.
        feed: makes the audio of one stream.
        detector: makes the voice detector of one stream.
        config: duration and steps.
        clock: clock of all times.
        warm_feed: makes audio for the warm-up that is available at once; None for `feed`.
        meter: None if nothing measures power.
        idle_s: seconds at rest before the run, to measure idle power.
        baseline: as for `Recognizer`, of all models.
        progress: called with the finished share, in [0, 1].

    Raises:
        AudioError: a live source failed.
        ModelError, EngineError: inference failed.
    """
    with _sink() as sink:

        def lane(runner: Runner, *, timed: bool) -> StreamBenchmark:
            return StreamBenchmark(
                runner, feed(), clock, detector(), timed=timed, sink=sink, baseline=baseline
            )

        measured = Measured(clock.now_ns())
        measured.timed = [lane(runner, timed=True) for runner in runners]
        measured.plain = [lane(runner, timed=False) for runner in runners]
        for timed, plain in zip(measured.timed, measured.plain, strict=True):
            warm = [
                lane.warm_up(config.warmup_decisions, warm_feed() if warm_feed else None)
                for lane in (timed, plain)
            ]
            measured.n_warmup.append(sum(warm))
        if meter is not None:
            measured.idle = meter.measure_idle(idle_s)
        measured.mark_us = mark_us(clock)
        measured.begin_ns = clock.now_ns()
        load: Any = nullcontext() if meter is None else meter
        with load:
            _rounds(measured, runners, config, clock, progress)
        if meter is not None:
            measured.power = meter.report
    return measured


def _rounds(
    measured: Measured,
    runners: Sequence[Runner],
    config: RunConfig,
    clock: Clock,
    progress: OnShare,
) -> None:
    n_rounds = max(1, round(config.duration_s / config.block_s))
    for n_round in range(n_rounds):
        order = turns(len(runners), n_round)
        for index, (model, timed) in enumerate(order):
            lane = (measured.timed if timed else measured.plain)[model]
            measured.blocks.append(lane.run(model, n_round, round(1e9 * config.block_s)))
            measured.memory.append(_memory(measured, runners, clock))
            progress((n_round + (index + 1) / len(order)) / n_rounds)


def _memory(measured: Measured, runners: Sequence[Runner], clock: Clock) -> MemoryPoint:
    notes = sum(lane.recording.n_bytes for lane in (*measured.timed, *measured.plain))
    used = [
        runner.device_memory().used if hasattr(runner, "device_memory") else None
        for runner in runners
    ]
    return MemoryPoint(clock.now_ns(), memory().rss_bytes - notes, tuple(used))


@contextmanager
def _sink() -> Iterator[int]:
    """Yield a file descriptor whose writes cost a system call, as those to a pipe or a log do."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
