"""The result of `edge-ser evaluate`, as a record that is written to JSON and read back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_ser.files import write_text
from edge_ser.measure.figures import ClipAnswer, Figures
from edge_ser.measure.results import read_json
from edge_ser.measure.selection import LeftOut
from edge_ser.records import build, require

KIND = "edge-ser evaluation"
SCHEMA = 1

ALL = "all"
"""What the figures over several corpora are of."""

TRAINED_CAVEAT = "includes speakers heard in training"
"""Stands at every figure that is not of unheard speakers alone."""


@dataclass(frozen=True)
class MeasuredModel:
    """Which model file was measured."""

    name: str
    """From its card."""
    file: str
    """Name of the file, without its folder."""
    sha256: str
    """Of the file; empty for a runner that was made from no file."""
    labels: tuple[str, ...]
    n_parameters: int
    window_s: float
    hop_s: float
    abstain_below: float
    """From its card: the probability below which its makers advise to take no label."""
    prior: Mapping[str, float] = field(default_factory=dict)
    """Ratios by label that its probabilities were corrected with; empty: none."""


@dataclass(frozen=True)
class MeasuredCorpus:
    """What of a corpus was measured on."""

    name: str
    n_clips: int
    speakers: tuple[str, ...]
    missing_labels: tuple[str, ...]
    """Labels of the model that no clip here has; the model may still answer with them."""


@dataclass(frozen=True)
class NoisyFigures:
    """The same clips with noise added at one signal-to-noise ratio."""

    noise: str
    """`white`, `pink` or the name of a recording."""
    snr_db: float
    figures: tuple[Figures, ...]
    """As `Evaluation.figures`."""


@dataclass(frozen=True)
class Evaluation:
    """All that was measured, and how."""

    model: MeasuredModel
    protocol: str
    """Which speakers, in words."""
    corpora: tuple[MeasuredCorpus, ...]
    left_out: tuple[LeftOut, ...]
    trained_speakers: tuple[str, ...]
    """Speakers measured on that the model was trained on; empty in an honest evaluation."""
    validation_speakers: tuple[str, ...]
    """Speakers measured on by whom the training chose its epoch: slightly flattering."""
    n_speaker_unknown: int
    """Clips of which it is not known who speaks; of a corpus they count as one speaker."""
    figures: tuple[Figures, ...]
    """Of each corpus and, when there are several, of all."""
    noisy: tuple[NoisyFigures, ...]
    """From the highest signal-to-noise ratio to the lowest."""
    n_draws: int
    """Of the bootstrap over speakers."""
    seed: int
    """Of the bootstrap and of the noise."""
    data_sha256: str
    """Of names, truths and files of the clips: the same digest, the same data."""
    clips: tuple[ClipAnswer, ...]
    """The answers to the clips without noise; probabilities rounded to six digits."""
    versions: Mapping[str, str]
    kind: str = KIND
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require(self.kind == KIND, "kind", self.kind, KIND)
        require(self.schema == SCHEMA, "schema", self.schema, f"{SCHEMA}, of this version")
        require(len(self.figures) > 0, "figures", self.figures, "those of one corpus at least")

    @property
    def overall(self) -> Figures:
        """The figures over all clips."""
        return self.figures[-1]

    def caveat(self, of: str) -> str:
        """Return what has to stand at the figures of a corpus, or of `all`; mostly nothing."""
        own = (s for s in self.trained_speakers if of == ALL or s.startswith(f"{of}/"))
        return TRAINED_CAVEAT if any(own) else ""

    def save(self, path: Path) -> None:
        """Write JSON.

        Raises:
            ConfigError: the place cannot be written.
        """
        write_text(path, json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Evaluation:
        """Read what `save` wrote.

        Raises:
            ConfigError: no such file, not an evaluation, or one of another version.
        """
        return build(cls, read_json(path), str(path))
