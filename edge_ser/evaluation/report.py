"""The result of `edge-ser evaluate`, as a record that is written to JSON and read back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_ser._util.files import read_json, write_text
from edge_ser._util.records import build, require
from edge_ser.errors import ConfigError
from edge_ser.evaluation.answers import MODES, ClipAnswer
from edge_ser.evaluation.distribution import Distribution
from edge_ser.evaluation.figures import Figures
from edge_ser.evaluation.scope import MEANINGS, SCOPES, TITLES, TRAINED
from edge_ser.evaluation.selection import LeftOut

KIND = "edge-ser evaluation"
SCHEMA = 3
"""1 had one set of figures over all corpora, no precision, no distributions and no live mode; 2 had
another digest of the data."""

ALL = "all"
"""What the figures over several corpora are of."""

TRAINED_CAVEAT = "includes speakers of the training data"
"""Stands at every figure that is not of new speakers alone."""


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
    scope: str
    """What training knew of it, one of `scope.SCOPES`."""
    n_clips: int
    speakers: tuple[str, ...]
    """Known ones."""
    n_speaker_unknown: int
    """Clips of unknown speakers."""
    missing_labels: tuple[str, ...]
    """Labels of the model that no clip here has; the model may still answer with them."""


@dataclass(frozen=True)
class NoisyFigures:
    """The same clips with noise added at one signal-to-noise ratio."""

    noise: str
    """`white`, `pink` or the name of a recording."""
    snr_db: float
    figures: tuple[Figures, ...]
    """As `Block.figures`."""


@dataclass(frozen=True)
class Block:
    """Figures of labelled corpora of which training knew equally much; blocks are never mixed.

    Raises:
        ConfigError: an unknown scope, or no figures.
    """

    scope: str
    """One of `scope.SCOPES`."""
    figures: tuple[Figures, ...]
    """Of each corpus and, when there are several, of all of the block."""
    noisy: tuple[NoisyFigures, ...]
    """From the highest signal-to-noise ratio to the lowest."""

    def __post_init__(self) -> None:
        require(self.scope in SCOPES, "scope", self.scope, ", ".join(SCOPES))
        require(len(self.figures) > 0, "figures", self.figures, "those of one corpus at least")

    @property
    def overall(self) -> Figures:
        """The figures over all clips of the block."""
        return self.figures[-1]

    @property
    def corpora(self) -> tuple[Figures, ...]:
        """The figures of each corpus."""
        return self.figures if len(self.figures) == 1 else self.figures[:-1]

    @property
    def title(self) -> str:
        """What the block is of."""
        return TITLES[self.scope]

    @property
    def meaning(self) -> str:
        """What its figures can tell, and what not."""
        return MEANINGS[self.scope]

    @property
    def caveat(self) -> str:
        """What has to stand at each of its figures; mostly nothing."""
        return TRAINED_CAVEAT if self.scope == TRAINED else ""


@dataclass(frozen=True)
class Evaluation:
    """All that was measured, and how.

    Raises:
        ConfigError: an unknown mode, or neither figures nor a distribution.
    """

    model: MeasuredModel
    mode: str
    """`clip` or `live`, see `answers`: what a clip is scored on."""
    detector: str
    """Name of the voice detector; empty in mode `clip`."""
    protocol: str
    """Which speakers, in words."""
    corpora: tuple[MeasuredCorpus, ...]
    left_out: tuple[LeftOut, ...]
    trained_speakers: tuple[str, ...]
    """Speakers measured on that the model was trained on; empty in an honest evaluation."""
    validation_speakers: tuple[str, ...]
    """Speakers measured on by whom the training chose its epoch: slightly flattering."""
    blocks: tuple[Block, ...]
    """In the order of `scope.SCOPES`: the first is the one that reports lead with."""
    distributions: tuple[Distribution, ...]
    """Of each corpus with one label or none; they take no part in the figures."""
    n_draws: int
    """Of the bootstrap."""
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
        require(self.mode in MODES, "mode", self.mode, " or ".join(MODES))
        some = bool(self.blocks or self.distributions)
        require(some, "blocks and distributions", "empty", "one of either at least")

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
        data = read_json(path)
        if isinstance(data, dict) and data.get("kind") == KIND and data.get("schema") != SCHEMA:
            raise ConfigError(
                f"{path}: expected an evaluation of schema {SCHEMA}, got schema "
                f"{data.get('schema')!r}; measure again with `edge-ser evaluate MODEL --corpus "
                "NAME=DIR --json FILE`"
            )
        return build(cls, data, str(path))
