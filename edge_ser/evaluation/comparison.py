"""The result of `edge-ser compare`, as records that are written to JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_ser._util.files import write_text
from edge_ser.evaluation.selection import LeftOut

KIND = "edge-ser comparison"
SCHEMA = 2
"""1 had another digest of the data."""

DIVERGES = 0.01
"""Relative error above which a layer diverges, by default: above the rounding of half precision
(2^-11 a number), and where that of eight bits begins to add up."""


@dataclass(frozen=True)
class ComparedModel:
    """One of the files that are compared."""

    file: str
    """As it was given."""
    name: str
    """From its card."""
    sha256: str
    size_bytes: int
    precision: str
    """`int8` or the like as the file says, else what its layers are; empty where neither is known."""
    labels: tuple[str, ...]
    window_s: float
    hop_s: float


@dataclass(frozen=True)
class LogitDifference:
    """Absolute differences of all logits of all windows."""

    max: float
    mean: float
    clip: str
    """Where the largest is."""
    start_s: float
    """Start of that window within the clip."""


@dataclass(frozen=True)
class Agreement:
    """How often two models give the same label."""

    n: int
    n_same: int

    @property
    def share(self) -> float:
        """In [0, 1]; 1 where there is nothing to differ on."""
        return self.n_same / self.n if self.n else 1.0


@dataclass(frozen=True)
class LayerDifference:
    """How far one tensor of a graph is from that of the same name in the first model's graph."""

    tensor: str
    node: str
    """Which node of the first model's graph writes it."""
    operator: str
    place: int
    """In the order in which the first model's graph computes its tensors."""
    error: float | None
    """Root mean square of the difference over that of the first model's values, over all windows;
    None where a value is not finite."""
    max_difference: float | None
    """Largest absolute difference; None where a value is not finite."""


@dataclass(frozen=True)
class LayerDifferences:
    """Two graphs of one origin, tensor by tensor."""

    threshold: float
    """A layer diverges when its error is above this."""
    n_windows: int
    n_other_shape: int
    """Tensors of the same name that could not be compared because their shapes differ."""
    first: LayerDifference | None
    """The first that diverges; None where none does."""
    layers: tuple[LayerDifference, ...]
    """All that were compared, from the largest error to the smallest."""


@dataclass(frozen=True)
class Difference:
    """How one model differs from the first, on the same audio."""

    model: int
    """Place among the models, from 1 on."""
    logits: LogitDifference | None
    windows: Agreement | None
    clips: Agreement
    layers: LayerDifferences | None
    refused: Mapping[str, str]
    """What was not compared, `logits`, `windows` or `layers`, and why."""


@dataclass(frozen=True)
class Score:
    """Accuracy of one model on one labelled corpus. Clips without an answer are errors."""

    model: int
    """Place among the models, from 0 on."""
    corpus: str
    n_clips: int
    n_speakers: int
    n_no_answer: int
    """Clips that are silent or too short."""
    wa: float
    uar: float


@dataclass(frozen=True)
class Comparison:
    """All that was compared, and how."""

    protocol: str
    """Which clips, in words."""
    models: tuple[ComparedModel, ...]
    """The first is what the others are compared with."""
    labels: tuple[str, ...]
    """Those that all models know: answers are the most probable of these."""
    n_clips: int
    n_no_answer: int
    """Clips that the first model finds silent or too short."""
    left_out: tuple[LeftOut, ...]
    trained_speakers: tuple[str, ...]
    """Speakers heard here that one of the models was trained on."""
    differences: tuple[Difference, ...]
    """Of all models but the first."""
    scores: tuple[Score, ...]
    """Of all models, the first too, on each corpus and, where there are several, on all."""
    data_sha256: str
    versions: Mapping[str, str]
    kind: str = KIND
    schema: int = SCHEMA

    def save(self, path: Path) -> None:
        """Write JSON.

        Raises:
            ConfigError: the place cannot be written.
        """
        write_text(path, json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n")
