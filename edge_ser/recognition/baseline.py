"""Baselines of a voice or a site: none, enrolled in a file, or a running mean of earlier speech.

A baseline is the mean of a model's outputs over windows of speech, [n_outputs]; see
`inference.outputs`. Its excess over the usual outputs for neutral speech is subtracted from later
outputs. It contains no speech, and speech cannot be reconstructed from it. docs/baseline.md compares
the kinds.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.files import read_json, write_text
from edge_ser._util.hashing import json_digest
from edge_ser._util.records import build, require
from edge_ser.card import ModelCard
from edge_ser.errors import BaselineError, ConfigError

Float64 = NDArray[np.float64]

KIND = "edge-ser baseline"
FORMAT = 1
NONE, RUNNING = "none", "running"

LEAST_SPEECH_S, ENOUGH_SPEECH_S = 5.0, 15.0
"""Seconds of speech below which an enrolment is rejected, and below which it is uncertain."""


@dataclass(frozen=True)
class Baseline:
    """Enrolled baseline, as stored in its file.

    Raises:
        ConfigError: a value out of range.
    """

    name: str
    """Name of the voice or the site, used in events."""
    mean: tuple[float, ...]
    """Mean of each output over the windows of speech: a logit of each label, and last the arousal's
    logit if the model has one."""
    labels: tuple[str, ...]
    """Classes in the order of the logits."""
    speech_s: float
    """Seconds of enrolled speech."""
    n_utterances: int
    model: str
    """Name of the enrolled model."""
    outputs_sha256: str
    """Digest by `outputs_digest`; the baseline fits models with the same digest only."""
    created: str
    """Date, ISO 8601."""
    kind: str = KIND
    format: int = FORMAT

    def __post_init__(self) -> None:
        require(self.kind == KIND, "kind", self.kind, KIND)
        require(self.format == FORMAT, "format", self.format, f"{FORMAT}, of this version")
        require(bool(self.name.strip()), "name", self.name, "a name")
        finite = bool(self.mean) and all(math.isfinite(value) for value in self.mean)
        require(finite, "mean", "values", "finite means, one an output")
        require(0 < self.speech_s < math.inf, "speech_s", self.speech_s, "above 0, in seconds")
        require(self.n_utterances > 0, "n_utterances", self.n_utterances, "1 or more")

    def save(self, path: Path) -> None:
        """Write the file.

        Raises:
            ConfigError: it cannot be written.
        """
        write_text(path, json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read a file that `edge-ser enroll` wrote.

        Raises:
            BaselineError: missing, unreadable, or not a baseline.
        """
        again = "make one with `edge-ser enroll --out FILE`"
        if not path.exists():
            raise BaselineError(f"there is no baseline {path}; {again}")
        try:
            data = read_json(path)
        except ConfigError as error:
            raise BaselineError(f"{path} cannot be read as a baseline ({error}); {again}") from None
        if not isinstance(data, dict) or data.get("kind") != KIND:
            raise BaselineError(f"{path} is not a baseline: expected kind {KIND!r}; {again}")
        try:
            return build(cls, data, str(path))
        except ConfigError as error:
            raise BaselineError(f"{error}; {again}") from None

    def require_fit(self, card: ModelCard) -> None:
        """Check that the baseline was enrolled for this model, in any precision.

        Raises:
            BaselineError: it was enrolled for another model, which the message names.
        """
        if self.outputs_sha256 != outputs_digest(card) or self.labels != card.labels:
            raise BaselineError(
                f"expected a baseline for {card.name}, got {self.name}, enrolled for {self.model}, "
                "whose outputs mean something else; enroll again: edge-ser enroll --model MODEL "
                "--out FILE"
            )
        if len(self.mean) != card.n_outputs:
            raise BaselineError(
                f"the baseline {self.name}: expected {card.n_outputs} means for {card.name}, got "
                f"{len(self.mean)}; enroll again: edge-ser enroll --model MODEL --out FILE"
            )


class BaselineState(Protocol):
    """Baseline of one stream, possibly updated by its utterances."""

    @property
    def name(self) -> str:
        """`none`, `running`, or the name of an enrolled baseline."""

    @property
    def learns(self) -> bool:
        """Whether utterances update it, so that their outputs must be averaged."""

    @property
    def speech_s(self) -> float | None:
        """Seconds of speech in the baseline; None without a baseline."""

    def excess(self) -> Float64 | None:
        """Return the values to subtract from the outputs of the next utterance [n_outputs], or None."""

    def learn(self, outputs: Sequence[float], speech_s: float) -> None:
        """Update the baseline with an utterance that has ended.

        Args:
            outputs: mean over its windows [n_outputs], before subtraction of a baseline.
            speech_s: seconds of its speech.
        """


class NoBaseline:
    """No baseline: outputs of the model stay unchanged."""

    name = NONE
    learns = False
    speech_s: float | None = None

    def excess(self) -> Float64 | None:
        """Return None."""
        return None

    def learn(self, outputs: Sequence[float], speech_s: float) -> None:
        """Do nothing."""


class EnrolledBaseline:
    """Enrolled baseline, which stays constant."""

    learns = False

    def __init__(self, card: ModelCard, baseline: Baseline) -> None:
        self.name = baseline.name
        self.speech_s: float | None = baseline.speech_s
        self._excess: Float64 = np.array(baseline.mean) - np.array(card.usual_outputs)

    def excess(self) -> Float64 | None:
        """Return the enrolled mean minus the usual outputs [n_outputs]."""
        return self._excess

    def learn(self, outputs: Sequence[float], speech_s: float) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class RunningConfig:
    """Parameters of a running baseline.

    Raises:
        ConfigError: a value out of range.
    """

    prior_s: float = 10.0
    """Weight of the usual outputs, in seconds of speech; damps the first utterances."""
    memory_s: float = 120.0
    """Seconds of speech after which an utterance counts 1/e; also the largest total weight."""

    def __post_init__(self) -> None:
        require(0 <= self.prior_s <= 3600, "prior_s", self.prior_s, "0 to 3600 seconds")
        require(1 <= self.memory_s <= 86_400, "memory_s", self.memory_s, "1 to 86400 seconds")


class RunningBaseline:
    """Mean over the speech of earlier utterances, with the usual outputs as a prior.

    The utterance in progress does not count, so that anger does not become its own baseline. Earlier
    speech is forgotten exponentially, by seconds of speech.
    """

    name = RUNNING
    learns = True

    def __init__(self, card: ModelCard, config: RunningConfig | None = None) -> None:
        self._config = config or RunningConfig()
        self._usual = np.array(card.usual_outputs)
        self._sum = np.zeros_like(self._usual)
        """Sum of the excess of speech over the usual outputs, times seconds."""
        self._weight_s = 0.0

    @property
    def speech_s(self) -> float | None:
        """Weight of earlier speech in seconds, at most `memory_s`."""
        return self._weight_s

    def excess(self) -> Float64 | None:
        """Return the mean of prior and speech minus the usual outputs [n_outputs], or None."""
        if not self._weight_s:
            return None
        return np.asarray(self._sum / (self._config.prior_s + self._weight_s))

    def learn(self, outputs: Sequence[float], speech_s: float) -> None:
        """Add an utterance; earlier speech loses weight by its length."""
        memory_s = self._config.memory_s
        decay = math.exp(-speech_s / memory_s)
        new_s = memory_s * (1 - decay)
        self._sum = decay * self._sum + new_s * (np.asarray(outputs) - self._usual)
        self._weight_s = decay * self._weight_s + new_s


class Enrolment:
    """Mean over all speech, each second with the same weight."""

    name = "enrolment"
    learns = True

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._sum = np.zeros(card.n_outputs)
        self.n_utterances = 0
        self.total_s = 0.0

    @property
    def speech_s(self) -> float | None:
        """Seconds of speech so far."""
        return self.total_s

    def excess(self) -> Float64 | None:
        """Return None: unchanged outputs of the model are enrolled."""
        return None

    def learn(self, outputs: Sequence[float], speech_s: float) -> None:
        """Add an utterance."""
        self._sum += speech_s * np.asarray(outputs)
        self.total_s += speech_s
        self.n_utterances += 1

    def baseline(self, name: str, created: str) -> Baseline:
        """Return the baseline of all speech so far.

        Args:
            name: name of the voice or the site.
            created: date, ISO 8601.

        Raises:
            BaselineError: less than `LEAST_SPEECH_S` of speech.
        """
        if self.total_s < LEAST_SPEECH_S:
            raise BaselineError(
                f"expected at least {LEAST_SPEECH_S:g} s of speech, got {self.total_s:.1f} s in "
                f"{self.n_utterances} utterances; talk plainly for 20 s, closer to the microphone"
            )
        return Baseline(
            name=name,
            mean=tuple(round(float(value), 6) for value in self._sum / self.total_s),
            speech_s=round(self.total_s, 2),
            n_utterances=self.n_utterances,
            labels=self._card.labels,
            model=self._card.name,
            outputs_sha256=outputs_digest(self._card),
            created=created,
        )


def require_baseline(card: ModelCard) -> None:
    """Check that a model supports a baseline.

    Raises:
        BaselineError: it does not.
    """
    if not card.takes_baseline:
        raise BaselineError(
            f"{card.name} takes no baseline; omit --baseline, or use a model that does "
            "(`edge-ser inspect MODEL` names it)"
        )


def open_baseline(card: ModelCard, choice: str | Path | Baseline | None = None) -> BaselineState:
    """Return the baseline of a new stream.

    Args:
        card: card of the model.
        choice: `none`, `running`, a file of `edge-ser enroll` or its `Baseline`; None for the default
            of the card.

    Raises:
        BaselineError: the model supports none, or the file is unusable or of another model.
    """
    choice = card.baseline_default if choice is None else choice
    if choice == NONE:
        return NoBaseline()
    require_baseline(card)
    if choice == RUNNING:
        return RunningBaseline(card)
    enrolled = choice if isinstance(choice, Baseline) else Baseline.load(Path(choice))
    enrolled.require_fit(card)
    return EnrolledBaseline(card, enrolled)


def outputs_digest(card: ModelCard) -> str:
    """Return the SHA-256, in hexadecimal, of labels, usual outputs and front end.

    These are equal in all precisions and forms of one model, and differ between models.
    """
    parts = [card.labels, card.usual_outputs, dataclasses.asdict(card.frontend)]
    return json_digest(parts)
