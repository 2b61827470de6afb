"""Result of `edge-ser profile`, as records that are stored as JSON (docs/profile.md)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_ser._util.files import read_json, write_text
from edge_ser._util.records import build, require
from edge_ser.machine.facts import MachineFacts
from edge_ser.machine.thermal import Thermal
from edge_ser.profiling.cold_start import ColdStart
from edge_ser.profiling.energy import Energy
from edge_ser.profiling.overhead import Overhead
from edge_ser.profiling.statistics import Growth, Spread

KIND = "edge-ser profile"
SCHEMA = 1


@dataclass(frozen=True)
class SoundFacts:
    """Facts about the audio."""

    name: str
    sample_rate: int
    """Hz, before resampling."""
    length_s: float | None
    """Seconds until it repeats; None for live audio."""
    level_dbfs: float | None
    speech: float | None
    """Share classified as speech by the voice detector; None without a detector, or for live audio."""


@dataclass(frozen=True)
class Setting:
    """Conditions of the measurement."""

    arrival: str
    """`closed`, `paced`, `bursty` or `live`."""
    chunk_ms: float
    """Length of a piece of audio, in ms."""
    duration_s: float
    """Seconds for each model, without warm-up and without the blocks without timed stages."""
    block_s: float
    """Length of the turns that the models took, in seconds."""
    warmup_decisions: int
    """Complete windows that each stream processed first, uncounted."""
    detector: str
    """Name of the voice detector, `none` without one."""
    gated: bool
    """Whether windows were classified only while the detector found speech."""
    threads: int
    sound: SoundFacts
    baseline: str = "none"
    """`none`, `running` or a file, as requested; `default` for that of each model's card."""


@dataclass(frozen=True)
class Point:
    """Decision on the timeline."""

    at_s: float
    """Seconds since the measurement began."""
    end_to_end_ms: float
    computed_ms: float
    """Without the stage `capture`."""


@dataclass(frozen=True)
class Outlier:
    """One of the slowest decisions, with the time of each stage."""

    at_s: float
    end_to_end_ms: float
    stages_ms: Mapping[str, float]


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of a model relative to the one it would replace, and its basis."""

    basis: str
    """`reference`, `record` (measured when the file was made), `agreement` (with the first model, on
    the audio of this profile), or `unknown`."""
    value: float | None
    """Share of the labels that agree, in [0, 1]."""
    n: int | None
    """Windows that were compared here; None for a record."""
    passes: bool | None
    """None if nothing is known."""
    card_uar: float | None
    """First UAR of the model's card, of the weights that it was made from; for information."""


@dataclass(frozen=True)
class ModelProfile:
    """One model on one runner."""

    name: str
    file: str
    sha256: str
    size_bytes: int
    precision: str
    """Precision that the file records; `fp32` without a record."""
    device: str
    """Requested device."""
    backend: str
    """Runtime that computed, with its version."""
    window_s: float
    hop_s: float
    n_decisions: int
    """Decisions that the percentiles cover: the first of each block is left out."""
    n_silent: int
    """Windows below the silence threshold, which do not count."""
    n_warmup: int
    end_to_end: Spread
    """From the window's last sample to the written event."""
    computed: Spread
    """End-to-end time without `capture`: processing after the last piece of audio arrived."""
    stages: Mapping[str, Spread]
    """Time of each stage; together they add up to `end_to_end`."""
    per_hop_ms: Mapping[str, float]
    """Mean time of each stage over all pieces of a hop, including those that completed no window."""
    rtf: float
    """Real-time factor: processing time over audio time."""
    windows_per_s: float
    """Decisions per second of processing."""
    cpu_ms_per_window: float
    """Processor time of all threads, in the program and in the kernel."""
    preempted_per_s: float
    """Involuntary context switches per second during this model's turns: more than a few mean that
    other programs affected the latencies."""
    loaded_bytes: int
    """Memory that the profiling process took to load it; for the first model including libraries."""
    device_memory: Growth | None
    overhead: Overhead | None
    """None if the run was too short to compare."""
    cold: tuple[ColdStart, ...]
    accuracy: Accuracy
    energy: Energy | None
    timeline: tuple[Point, ...]
    """Decisions over the run, subsampled if there are many; the slowest are always included."""
    slowest: tuple[Outlier, ...]
    front_end: str = "unknown"
    """Kernel of the features: `compiled` for a processor, NumPy, or nodes `in the graph`."""


@dataclass(frozen=True)
class ProcessMemory:
    """Memory of the profiling process, with all models loaded."""

    curve: tuple[tuple[float, float], ...]
    """Seconds since the measurement began, MiB in RAM without the profile's own records."""
    growth: Growth | None
    """None if the run was too short."""
    peak_bytes: int
    """Since the process started."""


@dataclass(frozen=True)
class Power:
    """Power measured over the run."""

    covers: str
    """Description of the measured rails; empty without a total."""
    whole_board: bool
    curve: tuple[tuple[float, float], ...]
    """Seconds since the measurement began, watts."""
    idle_w: float | None
    doubts: tuple[str, ...]
    missing: tuple[str, ...]
    """Reasons for missing sensors."""


@dataclass(frozen=True)
class Recommendation:
    """Recommended model."""

    model: str
    by: str
    """Deciding figure, e.g. `computed p99`."""
    value_ms: float
    reason: str


@dataclass(frozen=True)
class Budget:
    """Latency budget, and whether it was kept."""

    budget_ms: float
    percentile: float
    over: tuple[str, ...]
    """Models that missed it, or had too few decisions."""


@dataclass(frozen=True)
class Profile:
    """Results of a profile."""

    created: str
    """ISO 8601, UTC."""
    setting: Setting
    machine: MachineFacts
    """Facts about the machine before the measurement."""
    thermal_after: Thermal
    slowed: tuple[str, ...]
    """Causes of throttling before or after the run; empty if none was detected."""
    models: tuple[ModelProfile, ...]
    memory: ProcessMemory
    power: Power
    recommendation: Recommendation | None
    """None for a single model, or if none can be recommended."""
    budget: Budget | None
    kind: str = KIND
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require(self.kind == KIND, "kind", self.kind, KIND)
        require(self.schema == SCHEMA, "schema", self.schema, f"{SCHEMA}, of this version")
        require(len(self.models) > 0, "models", self.models, "one or more")

    def to_json(self) -> str:
        """Return the profile as JSON, indented by one."""
        return json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n"

    def save(self, path: Path) -> None:
        """Write JSON.

        Raises:
            ConfigError: the file cannot be written.
        """
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Read a file written by `save`.

        Raises:
            ConfigError: a file that is missing, not JSON, not a profile, or of another version.
        """
        return build(cls, read_json(path), str(path))
