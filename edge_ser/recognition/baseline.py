"""Baselines of a voice or a site: none, enrolled in a file, or a running mean of earlier speech.

A baseline is the mean of a model's outputs over windows of speech, [n_outputs]; see
`runtime.outputs`. What it has beyond the outputs that are usual for neutral speech is subtracted from
later outputs. It holds no speech and nothing that speech could be made of again. docs/baseline.md says
when which one is of use.
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
"""Seconds of speech below which an enrolment is refused, and below which it is doubtful."""


@dataclass(frozen=True)
class Baseline:
    """An enrolled baseline, as it stands in its file.

    Raises:
        ConfigError: a value out of range.
    """

    name: str
    """Of the voice or the site; events name it."""
    mean: tuple[float, ...]
    """Mean of each output over the windows of speech: a logit of each label, and last the arousal's
    logit where the model has one."""
    labels: tuple[str, ...]
    """Classes in the order of the logits."""
    speech_s: float
    """Seconds of speech in it."""
    n_utterances: int
    model: str
    """Name of the model that it was enrolled for."""
    outputs_sha256: str
    """See `outputs_digest`; a model with another one cannot use the baseline."""
    created: str
    """ISO 8601 date."""
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
        """Refuse another model than the one it was enrolled for; its other precisions fit.

        Raises:
            BaselineError: says of which model the baseline is.
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
    """The baseline of one stream: what outputs are compared with, and what utterances teach it."""

    @property
    def name(self) -> str:
        """`none`, `running`, or the name of an enrolled baseline."""

    @property
    def learns(self) -> bool:
        """Whether utterances change it, so that their outputs have to be averaged."""

    @property
    def speech_s(self) -> float | None:
        """Seconds of speech in it; None where there is no baseline."""

    def excess(self) -> Float64 | None:
        """Return what to subtract from outputs in the next utterance [n_outputs]; None for nothing."""

    def learn(self, outputs: Sequence[float], speech_s: float) -> None:
        """Take an utterance that has ended.

        Args:
            outputs: mean over its windows, before anything is subtracted [n_outputs].
            speech_s: seconds of its speech.
        """


class NoBaseline:
    """Nothing to compare with: outputs stay as the model gives them."""

    name = NONE
    learns = False
    speech_s: float | None = None

    def excess(self) -> Float64 | None:
        """Return None."""
        return None

    def learn(self, outputs: Sequence[float], speech_s: float) -> None:
        """Learn nothing."""


class EnrolledBaseline:
    """The same enrolled baseline, always."""

    learns = False

    def __init__(self, card: ModelCard, baseline: Baseline) -> None:
        self.name = baseline.name
        self.speech_s: float | None = baseline.speech_s
        self._excess: Float64 = np.array(baseline.mean) - np.array(card.usual_outputs)

    def excess(self) -> Float64 | None:
        """Return the enrolled mean less the usual outputs [n_outputs]."""
        return self._excess

    def learn(self, outputs: Sequence[float], speech_s: float) -> None:
        """Learn nothing."""


@dataclass(frozen=True)
class RunningConfig:
    """How a running baseline follows the speech.

    Raises:
        ConfigError: a value out of range.
    """

    prior_s: float = 10.0
    """Seconds of speech that the usual outputs count as: the first utterances move little."""
    memory_s: float = 120.0
    """Seconds of speech after which an utterance counts 1/e, and the most that all may count."""

    def __post_init__(self) -> None:
        require(0 <= self.prior_s <= 3600, "prior_s", self.prior_s, "0 to 3600 seconds")
        require(1 <= self.memory_s <= 86_400, "memory_s", self.memory_s, "1 to 86400 seconds")


class RunningBaseline:
    """Mean over the speech of earlier utterances, with the usual outputs as a prior.

    The utterance that is going on is never in it: nobody's anger becomes their own baseline while it
    lasts. Memory is bounded by exponential forgetting, counted in seconds of speech.
    """

    name = RUNNING
    learns = True

    def __init__(self, card: ModelCard, config: RunningConfig | None = None) -> None:
        self._config = config or RunningConfig()
        self._usual = np.array(card.usual_outputs)
        self._sum = np.zeros_like(self._usual)
        """Of the speech's outputs beyond the usual, times seconds."""
        self._weight_s = 0.0

    @property
    def speech_s(self) -> float | None:
        """Seconds that earlier speech counts as, at most `memory_s`."""
        return self._weight_s

    def excess(self) -> Float64 | None:
        """Return the mean of prior and speech less the usual outputs [n_outputs]; None before speech."""
        if not self._weight_s:
            return None
        return np.asarray(self._sum / (self._config.prior_s + self._weight_s))

    def learn(self, outputs: Sequence[float], speech_s: float) -> None:
        """Take an utterance; what was there before counts less by its length."""
        memory_s = self._config.memory_s
        kept = math.exp(-speech_s / memory_s)
        new_s = memory_s * (1 - kept)
        self._sum = kept * self._sum + new_s * (np.asarray(outputs) - self._usual)
        self._weight_s = kept * self._weight_s + new_s


class Enrolment:
    """Mean over all speech that comes, each second counting alike."""

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
        """Return None: what is enrolled are the outputs as the model gives them."""
        return None

    def learn(self, outputs: Sequence[float], speech_s: float) -> None:
        """Take an utterance."""
        self._sum += speech_s * np.asarray(outputs)
        self.total_s += speech_s
        self.n_utterances += 1

    def baseline(self, name: str, created: str) -> Baseline:
        """Return the baseline of all that came.

        Args:
            name: of the voice or the site.
            created: ISO 8601 date.

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
    """Refuse a model that takes no baseline.

    Raises:
        BaselineError: it takes none.
    """
    if not card.takes_baseline:
        raise BaselineError(
            f"{card.name} takes no baseline; leave --baseline out, or use a model that does "
            "(`edge-ser inspect MODEL` names it)"
        )


def open_baseline(card: ModelCard, choice: str | Path | Baseline | None = None) -> BaselineState:
    """Return the baseline of a new stream.

    Args:
        card: of the model.
        choice: `none`, `running`, a file of `edge-ser enroll` or what it holds; None for the default
            of the card.

    Raises:
        BaselineError: a model that takes none, a file that cannot be used, or one of another
            model.
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
    """Return the SHA-256, in hexadecimal, of what the outputs of a model mean.

    Labels, usual outputs and front end: they are alike in all precisions and forms of one model, and
    differ between models.
    """
    parts = [card.labels, card.usual_outputs, dataclasses.asdict(card.frontend)]
    return json_digest(parts)
