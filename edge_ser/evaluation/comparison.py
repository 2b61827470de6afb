"""Result of `edge-ser compare`, as records that are stored as JSON."""

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
    """Facts about one of the compared files."""

    file: str
    """As it was given."""
    name: str
    """From its card."""
    sha256: str
    size_bytes: int
    precision: str
    """Precision that the file records, e.g. `int8`, else that of its layers; empty if unknown."""
    labels: tuple[str, ...]
    window_s: float
    hop_s: float


@dataclass(frozen=True)
class LogitDifference:
    """Absolute differences of all logits of all windows."""

    max: float
    mean: float
    clip: str
    """Clip with the largest difference."""
    start_s: float
    """Start of that window within the clip."""


@dataclass(frozen=True)
class Agreement:
    """Number of equal labels of two models."""

    n: int
    n_same: int

    @property
    def share(self) -> float:
        """Share of equal labels, in [0, 1]; 1 if nothing was compared."""
        return self.n_same / self.n if self.n else 1.0


@dataclass(frozen=True)
class LayerDifference:
    """Difference between a tensor of a graph and the same tensor of the first model's graph."""

    tensor: str
    node: str
    """Node of the first model's graph that writes the tensor."""
    operator: str
    place: int
    """Index in the order in which the first model's graph computes its tensors."""
    error: float | None
    """Root mean square of the difference over that of the first model's values, over all windows;
    None if a value is not finite."""
    max_difference: float | None
    """Largest absolute difference; None if a value is not finite."""


@dataclass(frozen=True)
class LayerDifferences:
    """Two graphs of one origin, tensor by tensor."""

    threshold: float
    """A layer diverges when its error is above this."""
    n_windows: int
    n_other_shape: int
    """Tensors of the same name that could not be compared because their shapes differ."""
    first: LayerDifference | None
    """First layer that diverges; None if none does."""
    layers: tuple[LayerDifference, ...]
    """All compared layers, from the largest error to the smallest."""


@dataclass(frozen=True)
class Difference:
    """Differences between one model and the first, on the same audio."""

    model: int
    """Index among the models, from 1."""
    logits: LogitDifference | None
    windows: Agreement | None
    clips: Agreement
    layers: LayerDifferences | None
    refused: Mapping[str, str]
    """Parts that were not compared (`logits`, `windows` or `layers`) → reason."""


@dataclass(frozen=True)
class Score:
    """Accuracy of one model on one labelled corpus. Clips without an answer are errors."""

    model: int
    """Index among the models, from 0."""
    corpus: str
    n_clips: int
    n_speakers: int
    n_no_answer: int
    """Clips that are silent or too short."""
    wa: float
    uar: float


@dataclass(frozen=True)
class Comparison:
    """Results of a comparison, and how they were obtained."""

    protocol: str
    """Description of the clips."""
    models: tuple[ComparedModel, ...]
    """Compared models; the first is the reference."""
    labels: tuple[str, ...]
    """Labels that all models have: answers are the most probable of these."""
    n_clips: int
    n_no_answer: int
    """Clips that are silent or too short for the first model."""
    left_out: tuple[LeftOut, ...]
    trained_speakers: tuple[str, ...]
    """Speakers of these clips that one of the models was trained on."""
    differences: tuple[Difference, ...]
    """Differences of all models but the first."""
    scores: tuple[Score, ...]
    """Scores of all models, on each corpus and, if there are several, on all together."""
    data_sha256: str
    versions: Mapping[str, str]
    kind: str = KIND
    schema: int = SCHEMA

    def save(self, path: Path) -> None:
        """Write JSON.

        Raises:
            ConfigError: the file cannot be written.
        """
        write_text(path, json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n")
