"""Several models measured in turns, so that what drifts in the machine hits all of them alike."""

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
"""Seconds of a block, by arrival."""

PLAIN_EVERY = 4
"""Of so many rounds one has blocks in which no stage is timed, to tell what the timing costs."""


@dataclass(frozen=True)
class RunConfig:
    """How long, and in which steps.

    Raises:
        ConfigError: a value out of range.
    """

    duration_s: float
    """Seconds that each model is measured for, without warm-up and blocks in which nothing is timed."""
    block_s: float
    warmup_decisions: int = 20
    """Full windows that each stream decides on before anything counts."""

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
    """Without what the profile's own notes take."""
    device_bytes: tuple[int | None, ...]
    """Of the GPU, all processes together, by model; None where the runner cannot tell."""


@dataclass
class Measured:
    """What a run noted, before it is summed up."""

    begin_ns: int
    """When the first block began: times in reports count from there."""
    timed: list[StreamBenchmark] = field(default_factory=list)
    """A lane for each model, stages timed."""
    plain: list[StreamBenchmark] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    """`lane` is the model's place; blocks without probes are those without `stages_ns`."""
    memory: list[MemoryPoint] = field(default_factory=list)
    n_warmup: list[int] = field(default_factory=list)
    """Decisions before the measurement, by model."""
    idle: PowerReport | None = None
    power: PowerReport | None = None
    mark_us: float = 0.0
    """What one mark of the probe takes."""


def turns(n_models: int, n_round: int) -> list[tuple[int, bool]]:
    """Return the order of a round as pairs of a model's place and whether stages are timed.

    Who begins moves on by one from round to round, so that nobody always runs after the same one.
    """
    kinds = (True, False) if n_round % PLAIN_EVERY == 0 else (True,)
    order = [(model, timed) for model in range(n_models) for timed in kinds]
    begin = (n_round + n_round // PLAIN_EVERY) % len(order)
    return order[begin:] + order[:begin]


def measure(
    runners: Sequence[Runner],
    feed: Callable[[], Feed],
    detector: Callable[[], VoiceDetector | None],
    plan: RunConfig,
    clock: Clock,
    *,
    warm_feed: Callable[[], Feed] | None = None,
    meter: EnergyMeter | None = None,
    idle_s: float = 5.0,
    baseline: str | None = None,
    progress: OnShare = lambda _: None,
) -> Measured:
    """Measure models in rounds of blocks until each had its time.

    Args:
        runners: the open models.
        feed: makes the audio of one stream.
        detector: makes the voice detector of one stream.
        plan: how long.
        clock: by which all is timed.
        warm_feed: makes audio for warming up that need not be waited for; None for `feed`'s.
        meter: None where nothing measures power.
        idle_s: seconds at rest that power is compared with.
        baseline: as for `Recognizer`, of all models.
        progress: is told the share that is done, in [0, 1].

    Raises:
        AudioError: a live source broke.
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
                lane.warm_up(plan.warmup_decisions, warm_feed() if warm_feed else None)
                for lane in (timed, plain)
            ]
            measured.n_warmup.append(sum(warm))
        if meter is not None:
            measured.idle = meter.measure_idle(idle_s)
        measured.mark_us = mark_us(clock)
        measured.begin_ns = clock.now_ns()
        load: Any = nullcontext() if meter is None else meter
        with load:
            _rounds(measured, runners, plan, clock, progress)
        if meter is not None:
            measured.power = meter.report
    return measured


def _rounds(
    measured: Measured,
    runners: Sequence[Runner],
    plan: RunConfig,
    clock: Clock,
    progress: OnShare,
) -> None:
    n_rounds = max(1, round(plan.duration_s / plan.block_s))
    for n_round in range(n_rounds):
        order = turns(len(runners), n_round)
        for place, (model, timed) in enumerate(order):
            lane = (measured.timed if timed else measured.plain)[model]
            measured.blocks.append(lane.run(model, n_round, round(1e9 * plan.block_s)))
            measured.memory.append(_memory(measured, runners, clock))
            progress((n_round + (place + 1) / len(order)) / n_rounds)


def _memory(measured: Measured, runners: Sequence[Runner], clock: Clock) -> MemoryPoint:
    notes = sum(lane.recording.n_bytes for lane in (*measured.timed, *measured.plain))
    used = [
        runner.device_memory().used if hasattr(runner, "device_memory") else None
        for runner in runners
    ]
    return MemoryPoint(clock.now_ns(), memory().rss_bytes - notes, tuple(used))


@contextmanager
def _sink() -> Iterator[int]:
    """Yield a descriptor whose writes cost a system call, as those to a pipe or a log do."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
