"""Complete profile: reads the machine, makes the sound, measures the models, assembles the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from edge_ser._util.callbacks import OnProgress
from edge_ser._util.hashing import file_digest
from edge_ser._util.records import require
from edge_ser.audio.sources.base import Source
from edge_ser.card import ModelCard
from edge_ser.errors import AudioError
from edge_ser.frontend import kernel_for
from edge_ser.machine.facts import MachineFacts, read_facts
from edge_ser.machine.power.meter import EnergyMeter
from edge_ser.machine.power.sensors import Sensors, open_sensors
from edge_ser.machine.process import memory
from edge_ser.profiling.arrival import Feed, LiveFeed, SoundFeed
from edge_ser.profiling.clock import Clock, MonotonicClock
from edge_ser.profiling.cold_start import ColdStart, cold_starts
from edge_ser.profiling.energy import Energy, energy_of
from edge_ser.profiling.models import ProfiledModel
from edge_ser.profiling.overhead import Overhead, overhead_of
from edge_ser.profiling.recommendation import accuracy_of, budget_of, recommend
from edge_ser.profiling.report import (
    ModelProfile,
    Outlier,
    Point,
    Power,
    ProcessMemory,
    Profile,
    Setting,
    SoundFacts,
)
from edge_ser.profiling.run import BLOCK_S, Measured, RunConfig, measure
from edge_ser.profiling.sound import Sound, level_dbfs, speech_share
from edge_ser.profiling.stages import CAPTURE, STAGES, AlwaysSpeech
from edge_ser.profiling.statistics import Growth, Nanoseconds, Spread, growth_of, spread_of
from edge_ser.profiling.stream_bench import Block, StreamBenchmark
from edge_ser.vad.base import VoiceDetector
from edge_ser.vad.detectors import open_detector

_POINTS = 1500
"""Largest number of decisions in a model's timeline; the slowest are always included."""

_SLOWEST = 5
_MIB = 1 << 20


@dataclass(frozen=True)
class Surroundings:
    """Facts about the machine before and after a run."""

    before: MachineFacts
    after: MachineFacts
    sensors_missing: tuple[str, ...]


@dataclass(frozen=True)
class ProfileConfig:
    """Budget and percentile of a report."""

    budget_ms: float | None
    percentile: float


def assemble(
    measured: Measured,
    profiled: Sequence[ProfiledModel],
    setting: Setting,
    cold: Sequence[tuple[ColdStart, ...]],
    around: Surroundings,
    config: ProfileConfig,
) -> Profile:
    """Return the report of a run.

    Raises:
        AudioError: a model made no decision.
    """
    models = tuple(
        _model(measured, profiled, index, setting, cold[index]) for index in range(len(profiled))
    )
    budget = None
    if config.budget_ms is not None:
        budget = budget_of(models, config.budget_ms, config.percentile)
    return Profile(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        setting=setting,
        machine=around.before,
        thermal_after=around.after.thermal,
        slowed=_slowed(around),
        models=models,
        memory=_process_memory(measured),
        power=_power(measured, around.sensors_missing),
        recommendation=recommend(models, config.percentile),
        budget=budget,
    )


def _model(
    measured: Measured,
    profiled: Sequence[ProfiledModel],
    index: int,
    setting: Setting,
    cold: tuple[ColdStart, ...],
) -> ModelProfile:
    model, lane = profiled[index], measured.timed[index]
    if not len(lane.recording):
        raise AudioError(
            f"{model.name} decided on nothing: {lane.n_silent} windows were silent; "
            "give a longer --duration, or audio with speech in it"
        )
    timed = lane.recording
    model_blocks = [block for block in measured.blocks if block.lane == index]
    blocks = [block for block in model_blocks if block.stages_ns]
    n, busy_s = sum(b.n_decisions for b in blocks), sum(b.busy_ns for b in blocks) / 1e9
    precision = model.precision
    return ModelProfile(
        name=model.name,
        file=str(model.path),
        sha256=file_digest(model.path),
        size_bytes=model.path.stat().st_size,
        precision="fp32" if precision is None else precision.kind,
        device=model.device,
        backend=model.runner.backend,
        window_s=lane.recognizer.window_s,
        hop_s=lane.recognizer.hop_s,
        n_decisions=len(timed),
        n_silent=lane.n_silent,
        n_warmup=measured.n_warmup[index],
        end_to_end=spread_of(timed.latency_ns),
        computed=spread_of(_computed_ns(lane)),
        stages=_stages(lane),
        per_hop_ms=_per_hop(blocks, n),
        rtf=busy_s / sum(b.audio_s for b in blocks),
        windows_per_s=n / busy_s if busy_s else 0.0,
        cpu_ms_per_window=1e3 * sum(b.cpu.cpu_s for b in blocks) / n,
        preempted_per_s=sum(b.cpu.involuntary_switches for b in blocks)
        / sum(b.cpu.wall_s for b in blocks),
        loaded_bytes=model.loaded_bytes,
        device_memory=_device_memory(measured, index),
        overhead=_overhead(measured, index),
        cold=cold,
        accuracy=accuracy_of(
            index,
            precision,
            [c.runner.card for c in profiled],
            [lane.recording.labels for lane in measured.timed],
            same_audio=setting.arrival != "live" and not setting.gated,
        ),
        energy=_energy(measured, model_blocks),
        timeline=_timeline(lane, measured.begin_ns),
        slowest=_slowest(lane, measured.begin_ns),
        front_end=_front_end(model.runner.card),
    )


def _front_end(card: ModelCard) -> str:
    return "in the graph" if card.input == "waveform" else kernel_for(card.frontend).name


def _stages(lane: StreamBenchmark) -> dict[str, Spread]:
    """Return the stages that took time."""
    columns = {stage: lane.recording.stage_ns(stage) for stage in STAGES}
    return {stage: spread_of(times) for stage, times in columns.items() if times.any()}


def _computed_ns(lane: StreamBenchmark) -> Nanoseconds:
    return lane.recording.latency_ns - lane.recording.stage_ns(CAPTURE)


def _overhead(measured: Measured, index: int) -> Overhead | None:
    medians: dict[bool, dict[int, float]] = {True: {}, False: {}}
    for block in measured.blocks:
        is_timed = bool(block.stages_ns)
        first, after = block.rows
        if block.lane == index and after > first:
            lane = (measured.timed if is_timed else measured.plain)[index]
            medians[is_timed][block.n_round] = (
                float(np.median(_computed_ns(lane)[first:after])) / 1e6
            )
    return overhead_of(medians[True], medians[False], measured.mark_us)


def _per_hop(blocks: Sequence[Block], n: int) -> dict[str, float]:
    totals = {stage: sum(b.stages_ns[stage] for b in blocks) for stage in STAGES}
    return {stage: total / n / 1e6 for stage, total in totals.items() if total}


def _device_memory(measured: Measured, index: int) -> Growth | None:
    values = [point.device_bytes[index] for point in measured.memory]
    known = [value for value in values if value is not None]
    return growth_of(known) if known else None


def _energy(measured: Measured, blocks: Sequence[Block]) -> Energy | None:
    report = measured.power
    if report is None or report.total is None:
        return None
    begin_ns = measured.begin_ns
    spans = [((b.start_ns - begin_ns) / 1e9, (b.end_ns - begin_ns) / 1e9) for b in blocks]
    n = sum(block.n_decisions for block in blocks)
    return energy_of(report.total.timeline, spans, n, report.total.idle_w)


def _timeline(lane: StreamBenchmark, begin_ns: int) -> tuple[Point, ...]:
    at_ns, latency_ns = lane.recording.at_ns, lane.recording.latency_ns
    computed_ns = _computed_ns(lane)
    n = len(at_ns)
    if n <= _POINTS:
        chosen = np.arange(n)
    else:
        even = np.linspace(0, n - 1, _POINTS // 2).astype(int)
        slow = np.argsort(latency_ns)[-_POINTS // 4 :]
        busy = np.argsort(computed_ns)[-_POINTS // 4 :]
        chosen = np.unique(np.concatenate([even, slow, busy]))
    return tuple(
        Point((int(at_ns[i]) - begin_ns) / 1e9, int(latency_ns[i]) / 1e6, int(computed_ns[i]) / 1e6)
        for i in chosen
    )


def _slowest(lane: StreamBenchmark, begin_ns: int) -> tuple[Outlier, ...]:
    recording = lane.recording
    at_ns, latency_ns = recording.at_ns, recording.latency_ns
    columns = {stage: recording.stage_ns(stage) for stage in STAGES}
    order = np.argsort(_computed_ns(lane))[::-1][:_SLOWEST]
    return tuple(
        Outlier(
            (int(at_ns[i]) - begin_ns) / 1e9,
            int(latency_ns[i]) / 1e6,
            {stage: int(times[i]) / 1e6 for stage, times in columns.items() if times[i]},
        )
        for i in order
    )


def _process_memory(measured: Measured) -> ProcessMemory:
    curve = tuple(
        ((point.at_ns - measured.begin_ns) / 1e9, point.rss_bytes / _MIB)
        for point in measured.memory
    )
    growth = growth_of([point.rss_bytes for point in measured.memory])
    return ProcessMemory(curve, growth, memory().peak_rss_bytes)


def _power(measured: Measured, missing: tuple[str, ...]) -> Power:
    report = measured.power
    if report is None:
        return Power("", whole_board=False, curve=(), idle_w=None, doubts=(), missing=missing)
    total = report.total
    return Power(
        report.covers,
        report.whole_board,
        () if total is None else total.timeline,
        None if total is None else total.idle_w,
        report.caveats,
        report.unavailable,
    )


def _slowed(around: Surroundings) -> tuple[str, ...]:
    causes = []
    for when, facts in (("before", around.before), ("after", around.after)):
        reasons = list(facts.thermal.slowed_by)
        if facts.gpu and facts.gpu.state:
            reasons += facts.gpu.state.slowed_by
        causes += [f"{reason} ({when})" for reason in reasons]
    counts = [facts.thermal.over_current_events for facts in (around.before, around.after)]
    if counts[0] is not None and counts[1] is not None and counts[1] > counts[0]:
        causes.append(f"{counts[1] - counts[0]} over-current events during the run")
    return tuple(causes)


LIVE = "live"


@dataclass(frozen=True)
class SessionConfig:
    """Configuration of a profile.

    Raises:
        ConfigError: a value out of range.
    """

    arrival: str = "closed"
    duration_s: float = 15.0
    chunk_s: float = 0.02
    warmup_decisions: int = 20
    detector: str | None = "auto"
    """A name for `open_detector`; None for none."""
    gated: bool = False
    """Whether windows are classified only while the detector finds speech."""
    threads: int = 1
    n_cold_starts: int = 5
    idle_s: float = 5.0
    budget_ms: float | None = None
    percentile: float = 99.0
    baseline: str | None = None
    """As for `Recognizer`."""

    def __post_init__(self) -> None:
        require(0.001 <= self.chunk_s <= 1, "chunk_s", self.chunk_s, "0.001 to 1 s")
        alone = self.gated and self.detector is None
        require(not alone, "gated", self.gated, "False where there is no voice detector")


def profile(
    models: Sequence[ProfiledModel],
    source: Sound | Source,
    config: SessionConfig,
    on_progress: OnProgress = lambda _what, _share: None,
    clock: Clock | None = None,
    sensors: Callable[[], Sensors] = open_sensors,
) -> Profile:
    """Measure open models.

    Args:
        models: the models, which are measured in turns.
        source: a sound, or a live source that is not yet entered.
        config: the configuration.
        on_progress: called with a description and the finished share.
        clock: None for the system's.
        sensors: opens the power sensors.

    Raises:
        AudioError: the source cannot be used, or no window of it could be classified.
        ModelError, EngineError: inference failed.
        MissingDependency: the voice detector is not installed.
    """
    clock = clock or MonotonicClock()
    arrival = config.arrival if isinstance(source, Sound) else LIVE
    block_s = min(BLOCK_S[arrival], config.duration_s)
    run_config = RunConfig(config.duration_s, block_s, config.warmup_decisions)
    on_progress("reading the machine", 0.0)
    before = read_facts()
    with ExitStack() as stack:
        feed, warm_feed = _feeds(stack, source, config, clock)
        opened = stack.enter_context(sensors())
        measured = measure(
            [model.runner for model in models],
            feed,
            lambda: _detector(config),
            run_config,
            clock,
            warm_feed=warm_feed,
            meter=EnergyMeter(opened) if opened.sensors else None,
            idle_s=config.idle_s,
            baseline=config.baseline,
            progress=lambda share: on_progress("measuring", share),
        )
        missing = opened.unavailable
    around = Surroundings(before, read_facts(), missing)
    cold = []
    for index, model in enumerate(models):
        on_progress("starting anew", index / len(models))
        cold.append(
            cold_starts(
                model.path,
                model.device,
                config.threads,
                config.detector,
                config.n_cold_starts,
            )
        )
    setting = _setting(source, arrival, config, run_config)
    profile_config = ProfileConfig(config.budget_ms, config.percentile)
    return assemble(measured, models, setting, cold, around, profile_config)


def _feeds(
    stack: ExitStack, source: Sound | Source, config: SessionConfig, clock: Clock
) -> tuple[Callable[[], Feed], Callable[[], Feed] | None]:
    if isinstance(source, Sound):
        sound = source
        return (
            lambda: SoundFeed(sound, config.arrival, clock, config.chunk_s),
            lambda: SoundFeed(sound, "closed", clock, config.chunk_s),
        )
    signals = iter(stack.enter_context(source))
    return (lambda: LiveFeed(signals.__next__)), None


def _detector(config: SessionConfig) -> VoiceDetector | None:
    if config.detector is None:
        return None
    detector = open_detector(config.detector)
    return detector if config.gated else AlwaysSpeech(detector)


def _setting(
    source: Sound | Source, arrival: str, config: SessionConfig, run_config: RunConfig
) -> Setting:
    detector = None if config.detector is None else open_detector(config.detector)
    if isinstance(source, Sound):
        share = None if detector is None else speech_share(source, detector)
        facts = SoundFacts(
            source.name, source.sample_rate, source.length_s, level_dbfs(source), share
        )
    else:
        rate = getattr(getattr(source, "device", None), "sample_rate", 0)
        facts = SoundFacts(source.name, rate, None, None, None)
    return Setting(
        arrival=arrival,
        chunk_ms=1e3 * config.chunk_s,
        duration_s=run_config.duration_s,
        block_s=run_config.block_s,
        warmup_decisions=run_config.warmup_decisions,
        detector="none" if detector is None else detector.name,
        gated=config.gated,
        threads=config.threads,
        sound=facts,
        baseline=config.baseline or "default",
    )


def bundled_or(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the given models, or the bundled one if there are none."""
    from edge_ser.inference.loader import bundled_model

    return tuple(paths) or (bundled_model(),)
