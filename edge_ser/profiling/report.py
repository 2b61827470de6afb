"""The result of `edge-ser profile`, as records that are written to JSON (docs/profile.md)."""

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
    """What was listened to."""

    name: str
    sample_rate: int
    """Hz, before resampling."""
    length_s: float | None
    """Seconds until it began again; None for live audio."""
    level_dbfs: float | None
    speech: float | None
    """Share that the voice detector takes for speech; None without a detector, or live."""


@dataclass(frozen=True)
class Setting:
    """How it was measured."""

    arrival: str
    """closed, paced, bursty or live."""
    chunk_ms: float
    """Audio that is handed over at once."""
    duration_s: float
    """Seconds for each model, without warm-up and without the blocks in which nothing was timed."""
    block_s: float
    """Models took turns of so many seconds."""
    warmup_decisions: int
    """Whole windows that each stream decided on first, uncounted."""
    detector: str
    """Name of the voice detector, `none` without one."""
    gated: bool
    """Whether windows were classified only while the detector heard speech."""
    threads: int
    sound: SoundFacts
    baseline: str = "none"
    """`none`, `running` or a file, as asked for; `default` for that of each model's card."""


@dataclass(frozen=True)
class Point:
    """A decision on the timeline."""

    at_s: float
    """Seconds since the measurement began."""
    end_to_end_ms: float
    computed_ms: float
    """Without the stage `capture`."""


@dataclass(frozen=True)
class Outlier:
    """One of the slowest decisions, and where its time went."""

    at_s: float
    end_to_end_ms: float
    stages_ms: Mapping[str, float]


@dataclass(frozen=True)
class Accuracy:
    """Whether a model is as good as the one it would replace, and by what this is known."""

    basis: str
    """`reference`, `record` (measured when the file was made), `agreement` (with the first model, on
    the audio of this profile), or `unknown`."""
    value: float | None
    """Share of the labels that agree, in [0, 1]."""
    n: int | None
    """Windows that were compared here; None for a record."""
    passes: bool | None
    """None where nothing is known."""
    card_uar: float | None
    """What the model's card says first, of the weights that it was made from; for the reader."""


@dataclass(frozen=True)
class ModelProfile:
    """One model on one runner."""

    name: str
    file: str
    sha256: str
    size_bytes: int
    precision: str
    """What the file says of itself; fp32 where it says nothing."""
    device: str
    """What was asked for."""
    backend: str
    """What computed, with its version."""
    window_s: float
    hop_s: float
    n_decisions: int
    """That the percentiles are of: the first of each block is left out."""
    n_silent: int
    """Windows that were too soft for the network, and do not count."""
    n_warmup: int
    end_to_end: Spread
    """From the window's last sample to the written event."""
    computed: Spread
    """The same without `capture`: what the processor does after the last piece of audio came."""
    stages: Mapping[str, Spread]
    """What of `end_to_end` each stage took; together they are all of it."""
    per_hop_ms: Mapping[str, float]
    """Mean time of each stage over all the pieces of a hop, also those that completed no window."""
    rtf: float
    """Real-time factor: processing time over audio time."""
    windows_per_s: float
    """Decisions a second of processing."""
    cpu_ms_per_window: float
    """Processor time of all threads, in the program and in the kernel."""
    preempted_per_s: float
    """How often a second the process was put aside for another while this model had its turns: where it
    is more than a few, the latencies are those of a machine that had other things to do."""
    loaded_bytes: int
    """How much memory the profiling process took for it, libraries of the first one included."""
    device_memory: Growth | None
    overhead: Overhead | None
    """None where the run was too short to compare."""
    cold: tuple[ColdStart, ...]
    accuracy: Accuracy
    energy: Energy | None
    timeline: tuple[Point, ...]
    """Thinned out where there are many, never of the slowest."""
    slowest: tuple[Outlier, ...]
    front_end: str = "unknown"
    """What computed the features: `compiled` for some processor, NumPy, or nodes `in the graph`."""


@dataclass(frozen=True)
class ProcessMemory:
    """Memory of the profiling process, with all models loaded."""

    curve: tuple[tuple[float, float], ...]
    """Seconds since the measurement began, MiB in RAM without the profile's own notes."""
    growth: Growth | None
    """None where the run was too short to tell."""
    peak_bytes: int
    """Since the process started."""


@dataclass(frozen=True)
class Power:
    """What the sensors measured over the run."""

    covers: str
    """What they measure; empty without a total."""
    whole_board: bool
    curve: tuple[tuple[float, float], ...]
    """Seconds since the measurement began, watts."""
    idle_w: float | None
    doubts: tuple[str, ...]
    missing: tuple[str, ...]
    """Why sensors are missing."""


@dataclass(frozen=True)
class Recommendation:
    """Which model to take."""

    model: str
    by: str
    """The figure that decided, e.g. `computed p99`."""
    value_ms: float
    reason: str


@dataclass(frozen=True)
class Budget:
    """What was asked of a device, and whether it was kept."""

    budget_ms: float
    percentile: float
    over: tuple[str, ...]
    """Models that missed it, or had too few decisions to tell."""


@dataclass(frozen=True)
class Profile:
    """All of it."""

    created: str
    """ISO 8601, UTC."""
    setting: Setting
    machine: MachineFacts
    """Before the measurement."""
    thermal_after: Thermal
    slowed: tuple[str, ...]
    """What slowed the machine down, before or after; empty where nothing was seen."""
    models: tuple[ModelProfile, ...]
    memory: ProcessMemory
    power: Power
    recommendation: Recommendation | None
    """None for one model alone, or where none may be recommended."""
    budget: Budget | None
    kind: str = KIND
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require(self.kind == KIND, "kind", self.kind, KIND)
        require(self.schema == SCHEMA, "schema", self.schema, f"{SCHEMA}, of this version")
        require(len(self.models) > 0, "models", self.models, "one or more")

    def to_json(self) -> str:
        """Return it as JSON, indented by one."""
        return json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n"

    def save(self, path: Path) -> None:
        """Write JSON.

        Raises:
            ConfigError: the place cannot be written.
        """
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Read what `save` wrote.

        Raises:
            ConfigError: no such file, no JSON, no profile, or one of another version.
        """
        return build(cls, read_json(path), str(path))
