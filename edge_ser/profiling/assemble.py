"""From what a run noted to the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from edge_ser._util.hashing import file_digest
from edge_ser.card import ModelCard
from edge_ser.errors import AudioError
from edge_ser.frontend import kernel_for
from edge_ser.machine.facts import MachineFacts
from edge_ser.machine.process import memory
from edge_ser.profiling.cold_start import ColdStart
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
)
from edge_ser.profiling.run import Measured
from edge_ser.profiling.stages import CAPTURE, STAGES
from edge_ser.profiling.statistics import Growth, Nanoseconds, Spread, growth_of, spread_of
from edge_ser.profiling.stream_bench import Block, StreamBenchmark

_POINTS = 1500
"""Decisions of a model that its timeline shows at most; the slowest are always among them."""

_SLOWEST = 5
_MIB = 1 << 20


@dataclass(frozen=True)
class Surroundings:
    """What was read off the machine around a run."""

    before: MachineFacts
    after: MachineFacts
    sensors_missing: tuple[str, ...]


@dataclass(frozen=True)
class ProfileConfig:
    """What is asked of the figures."""

    budget_ms: float | None
    percentile: float


def assemble(
    measured: Measured,
    contestants: Sequence[ProfiledModel],
    setting: Setting,
    cold: Sequence[tuple[ColdStart, ...]],
    around: Surroundings,
    wish: ProfileConfig,
) -> Profile:
    """Sum up a run.

    Raises:
        AudioError: a model decided on nothing.
    """
    models = tuple(
        _model(measured, contestants, place, setting, cold[place])
        for place in range(len(contestants))
    )
    budget = None
    if wish.budget_ms is not None:
        budget = budget_of(models, wish.budget_ms, wish.percentile)
    return Profile(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        setting=setting,
        machine=around.before,
        thermal_after=around.after.thermal,
        slowed=_slowed(around),
        models=models,
        memory=_process_memory(measured),
        power=_power(measured, around.sensors_missing),
        recommendation=recommend(models, wish.percentile),
        budget=budget,
    )


def _model(
    measured: Measured,
    contestants: Sequence[ProfiledModel],
    place: int,
    setting: Setting,
    cold: tuple[ColdStart, ...],
) -> ModelProfile:
    contestant, lane = contestants[place], measured.timed[place]
    if not len(lane.recording):
        raise AudioError(
            f"{contestant.name} decided on nothing: {lane.n_silent} windows were silent; give a longer "
            "--duration, or audio with speech in it"
        )
    timed = lane.recording
    own = [block for block in measured.blocks if block.lane == place]
    blocks = [block for block in own if block.stages_ns]
    n, busy_s = sum(b.n_decisions for b in blocks), sum(b.busy_ns for b in blocks) / 1e9
    precision = contestant.precision
    return ModelProfile(
        name=contestant.name,
        file=str(contestant.path),
        sha256=file_digest(contestant.path),
        size_bytes=contestant.path.stat().st_size,
        precision="fp32" if precision is None else precision.kind,
        device=contestant.device,
        backend=contestant.runner.backend,
        window_s=lane.recognizer.window_s,
        hop_s=lane.recognizer.hop_s,
        n_decisions=len(timed),
        n_silent=lane.n_silent,
        n_warmup=measured.n_warmup[place],
        end_to_end=spread_of(timed.latency_ns),
        computed=spread_of(_computed_ns(lane)),
        stages=_stages(lane),
        per_hop_ms=_per_hop(blocks, n),
        rtf=busy_s / sum(b.audio_s for b in blocks),
        windows_per_s=n / busy_s if busy_s else 0.0,
        cpu_ms_per_window=1e3 * sum(b.cpu.cpu_s for b in blocks) / n,
        preempted_per_s=sum(b.cpu.involuntary_switches for b in blocks)
        / sum(b.cpu.wall_s for b in blocks),
        loaded_bytes=contestant.loaded_bytes,
        device_memory=_device_memory(measured, place),
        overhead=_overhead(measured, place),
        cold=cold,
        accuracy=accuracy_of(
            place,
            precision,
            [c.runner.card for c in contestants],
            [lane.recording.labels for lane in measured.timed],
            same_audio=setting.arrival != "live" and not setting.gated,
        ),
        energy=_energy(measured, own),
        timeline=_timeline(lane, measured.begin_ns),
        slowest=_slowest(lane, measured.begin_ns),
        front_end=_front_end(contestant.runner.card),
    )


def _front_end(card: ModelCard) -> str:
    return "in the graph" if card.input == "waveform" else kernel_for(card.frontend).name


def _stages(lane: StreamBenchmark) -> dict[str, Spread]:
    """Return the stages that took any time at all."""
    columns = {stage: lane.recording.stage_ns(stage) for stage in STAGES}
    return {stage: spread_of(times) for stage, times in columns.items() if times.any()}


def _computed_ns(lane: StreamBenchmark) -> Nanoseconds:
    return lane.recording.latency_ns - lane.recording.stage_ns(CAPTURE)


def _overhead(measured: Measured, place: int) -> Overhead | None:
    medians: dict[bool, dict[int, float]] = {True: {}, False: {}}
    for block in measured.blocks:
        is_timed = bool(block.stages_ns)
        first, after = block.rows
        if block.lane == place and after > first:
            lane = (measured.timed if is_timed else measured.plain)[place]
            medians[is_timed][block.n_round] = (
                float(np.median(_computed_ns(lane)[first:after])) / 1e6
            )
    return overhead_of(medians[True], medians[False], measured.mark_us)


def _per_hop(blocks: Sequence[Block], n: int) -> dict[str, float]:
    totals = {stage: sum(b.stages_ns[stage] for b in blocks) for stage in STAGES}
    return {stage: total / n / 1e6 for stage, total in totals.items() if total}


def _device_memory(measured: Measured, place: int) -> Growth | None:
    values = [point.device_bytes[place] for point in measured.memory]
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
    said = []
    for when, facts in (("before", around.before), ("after", around.after)):
        reasons = list(facts.thermal.slowed_by)
        if facts.gpu and facts.gpu.state:
            reasons += facts.gpu.state.slowed_by
        said += [f"{reason} ({when})" for reason in reasons]
    counts = [facts.thermal.over_current_events for facts in (around.before, around.after)]
    if counts[0] is not None and counts[1] is not None and counts[1] > counts[0]:
        said.append(f"{counts[1] - counts[0]} over-current events during the run")
    return tuple(said)
