"""Result of `edge-ser evaluate`: a record stored as JSON, and bounds that it can be checked against."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_ser._util.files import read_json, write_text
from edge_ser._util.records import build, require
from edge_ser.corpora import Clip
from edge_ser.errors import ConfigError
from edge_ser.evaluation.answers import MODES, ClipAnswer
from edge_ser.evaluation.distribution import NEUTRAL, NO_SPEECH, Distribution
from edge_ser.evaluation.figures import Figures
from edge_ser.evaluation.selection import MEANINGS, SCOPES, TITLES, TRAINED, LeftOut

KIND = "edge-ser evaluation"
SCHEMA = 3
"""1 had one set of figures over all corpora, no precision, no distributions and no live mode; 2 had
another digest of the data."""

ALL = "all"
"""Name of the figures over several corpora."""

TRAINED_CAVEAT = "includes speakers of the training data"
"""Caveat of every figure that is not of new speakers alone."""


@dataclass(frozen=True)
class MeasuredModel:
    """Measured model file."""

    name: str
    """From its card."""
    file: str
    """Name of the file, without its folder."""
    sha256: str
    """Digest of the file; empty for a runner without a file."""
    labels: tuple[str, ...]
    n_parameters: int
    window_s: float
    hop_s: float
    abstain_below: float
    """From its card: the probability below which no label should be accepted."""
    prior: Mapping[str, float] = field(default_factory=dict)
    """Label → ratio that the prior odds were multiplied by; empty: none."""


@dataclass(frozen=True)
class MeasuredCorpus:
    """Measured part of a corpus."""

    name: str
    scope: str
    """Relation to the training data, one of `selection.SCOPES`."""
    n_clips: int
    speakers: tuple[str, ...]
    """Known speakers."""
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
    """Figures of labelled corpora with the same relation to the training data; blocks are never mixed.

    Raises:
        ConfigError: an unknown scope, or no figures.
    """

    scope: str
    """One of `selection.SCOPES`."""
    figures: tuple[Figures, ...]
    """Figures of each corpus and, if there are several, of all corpora of the block."""
    noisy: tuple[NoisyFigures, ...]
    """From the highest signal-to-noise ratio to the lowest."""

    def __post_init__(self) -> None:
        require(self.scope in SCOPES, "scope", self.scope, ", ".join(SCOPES))
        require(len(self.figures) > 0, "figures", self.figures, "those of one corpus at least")

    @property
    def overall(self) -> Figures:
        """Figures over all clips of the block."""
        return self.figures[-1]

    @property
    def corpora(self) -> tuple[Figures, ...]:
        """Figures of each corpus."""
        return self.figures if len(self.figures) == 1 else self.figures[:-1]

    @property
    def title(self) -> str:
        """Title of the block."""
        return TITLES[self.scope]

    @property
    def meaning(self) -> str:
        """Interpretation of its figures, and their limits."""
        return MEANINGS[self.scope]

    @property
    def caveat(self) -> str:
        """Caveat that accompanies each of its figures; mostly empty."""
        return TRAINED_CAVEAT if self.scope == TRAINED else ""


@dataclass(frozen=True)
class Evaluation:
    """Results of an evaluation, and how they were obtained.

    Raises:
        ConfigError: an unknown mode, or neither figures nor a distribution.
    """

    model: MeasuredModel
    mode: str
    """`clip` or `live`, see `answers`."""
    detector: str
    """Name of the voice detector; empty in mode `clip`."""
    protocol: str
    """Description of the speakers."""
    corpora: tuple[MeasuredCorpus, ...]
    left_out: tuple[LeftOut, ...]
    trained_speakers: tuple[str, ...]
    """Measured speakers that the model was trained on; empty in a fair evaluation."""
    validation_speakers: tuple[str, ...]
    """Measured speakers that were used to choose the epoch: slightly optimistic."""
    blocks: tuple[Block, ...]
    """In the order of `selection.SCOPES`: reports show the first one first."""
    distributions: tuple[Distribution, ...]
    """Distributions of corpora with one label or none, which are not part of the figures."""
    n_draws: int
    """Of the bootstrap."""
    seed: int
    """Of the bootstrap and of the noise."""
    data_sha256: str
    """Digest of the names, labels and files of the clips."""
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
            ConfigError: the file cannot be written.
        """
        write_text(path, json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Evaluation:
        """Read a file written by `save`.

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


@dataclass(frozen=True)
class Gates:
    """Bounds on an evaluation, in percent; None for a bound that does not apply."""

    min_uar: float | None = None
    """Lower bound of the UAR of each block."""
    min_neutral: float | None = None
    """Lower bound of the share of neutral or abstained in each neutral corpus."""
    max_false: float | None = None
    """Upper bound of the share of other labels in each neutral corpus."""
    max_noise_labels: float | None = None
    """Upper bound of the share of files without speech that get any label, in each folder."""

    def check_data(self, labelled: Collection[Clip], plain: Collection[Clip]) -> None:
        """Check, before the measurement, that there are clips for each bound.

        Raises:
            ConfigError: a bound without clips of its kind.
        """
        kinds = {clip.emotion for clip in plain}
        for option, bound, there, remedy in (
            ("--min-uar", self.min_uar, bool(labelled), "labelled speech by --corpus NAME=DIR"),
            ("--min-neutral", self.min_neutral, NEUTRAL in kinds, _NEUTRAL),
            ("--max-false", self.max_false, NEUTRAL in kinds, _NEUTRAL),
            ("--max-noise-labels", self.max_noise_labels, NO_SPEECH in kinds, "--noise-only DIR"),
        ):
            if bound is not None and not there:
                raise ConfigError(f"{option} expected {remedy}, got none; add it")

    def failures(self, evaluation: Evaluation) -> tuple[str, ...]:
        """Return one line for each bound that is not met; empty if all are met."""
        return (*self._blocks(evaluation), *self._distributions(evaluation))

    def _blocks(self, evaluation: Evaluation) -> list[str]:
        bound = self.min_uar
        return [
            f"expected a UAR of {bound:g}% or more, got {100 * block.overall.uar.value:.1f}% "
            f"({block.scope})"
            for block in evaluation.blocks
            if bound is not None and 100 * block.overall.uar.value < bound
        ]

    def _distributions(self, evaluation: Evaluation) -> list[str]:
        failures = []
        for d in evaluation.distributions:
            neutral, other = 100 * d.expected_or_abstained.value, 100 * d.something_else.value
            labels = 100 * d.any_label.value
            if d.kind == NEUTRAL and self.min_neutral is not None and neutral < self.min_neutral:
                failures.append(
                    f"expected {self.min_neutral:g}% or more neutral or abstained, got "
                    f"{neutral:.1f}% ({d.of})"
                )
            if d.kind == NEUTRAL and self.max_false is not None and other > self.max_false:
                failures.append(
                    f"expected {self.max_false:g}% or less of something else, got {other:.1f}% ({d.of})"
                )
            bound = self.max_noise_labels
            if d.kind == NO_SPEECH and bound is not None and labels > bound:
                failures.append(
                    f"expected a label for {bound:g}% or less of the files without speech, got "
                    f"{labels:.1f}% ({d.of})"
                )
        return failures


_NEUTRAL = "a neutral corpus by --corpus neutral:NAME=DIR"
