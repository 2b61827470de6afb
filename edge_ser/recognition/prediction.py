"""Predictions of windows, and of clips as the mean of their windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import AudioError

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Prediction:
    """Prediction of one window, or of a complete clip if `final`.

    `label` is None and `probs` is empty if the window is silent, or the clip has no speech to recognise.
    """

    source: str
    start_s: float
    end_s: float
    label: str | None
    probs: Mapping[str, float]
    """Probability of each class, by label; sums to 1."""
    level_dbfs: float
    """RMS level of the window, in dB of full scale; for a clip, of its loudest window."""
    clipped: float
    """Share of the samples at full scale, in [0, 1]; for a clip, the largest of its windows."""
    compute_ms: float
    """Time spent on features and inference since the previous window; for a clip, in total."""
    final: bool = False
    arousal: float | None = None
    """Probability of high arousal, in [0, 1], as acted in the training corpora; for a clip, the mean
    of its windows. None for silence, and for models without it."""
    outputs: tuple[float, ...] = ()
    """Outputs of the model before a baseline is subtracted [n_outputs]: logits, and last the arousal's
    logit. Empty for silence, for a clip, and for a model that supports no baseline."""

    @property
    def confidence(self) -> float | None:
        """Probability of the label; None for silence."""
        return None if self.label is None else self.probs[self.label]


class MeanProbs:
    """Mean probabilities of windows, in constant memory; silent windows do not count."""

    def __init__(self) -> None:
        self.n = 0
        """Number of windows that count."""
        self._sums: dict[str, float] = {}
        self._arousal: float | None = None

    def add(self, window: Prediction) -> None:
        """Add a window."""
        self.n += window.label is not None
        if window.arousal is not None:
            self._arousal = (self._arousal or 0.0) + window.arousal
        for label, p in window.probs.items():
            self._sums[label] = self._sums.get(label, 0.0) + p

    def probs(self) -> dict[str, float]:
        """Return the mean probability of each class, by label; empty if no window counts."""
        return {label: total / self.n for label, total in self._sums.items()}

    def arousal(self) -> float | None:
        """Return the mean arousal; None if no window has one."""
        return None if self._arousal is None else self._arousal / self.n


class ClipTally:
    """Sum of the windows of one clip, in constant memory, for its final prediction."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._mean = MeanProbs()
        self._end_s = 0.0
        self._level = -np.inf
        self._clipped = 0.0
        self._compute_ms = 0.0

    def add(self, window: Prediction) -> None:
        """Add a window; silent ones count for the length only."""
        self._end_s = window.end_s
        self._level = max(self._level, window.level_dbfs)
        self._clipped = max(self._clipped, window.clipped)
        self._compute_ms += window.compute_ms
        self._mean.add(window)

    def final(self) -> Prediction:
        """Return the prediction of the clip: the mean probabilities of its audible windows.

        Raises:
            AudioError: no window was audible.
        """
        if self._mean.n == 0:
            raise AudioError(
                f"{self._source} is silent (loudest window {self._level:.0f} dB of full scale); "
                "check the microphone and its level"
            )
        probs = self._mean.probs()
        return Prediction(
            source=self._source,
            start_s=0.0,
            end_s=self._end_s,
            label=likeliest(probs),
            probs=probs,
            level_dbfs=self._level,
            clipped=self._clipped,
            compute_ms=self._compute_ms,
            final=True,
            arousal=self._mean.arousal(),
        )


@dataclass(frozen=True)
class Verdict:
    """Label of an utterance or a clip by its mean probabilities."""

    likeliest: str | None
    """Most probable label, sure or not; None without probabilities."""
    confidence: float | None
    """Its probability."""
    label: str | None
    """Most probable label if it is sure; None if the model abstains, or without probabilities."""

    @property
    def abstained(self) -> bool:
        """Whether there are probabilities, but none is sure."""
        return self.likeliest is not None and self.label is None


def decide(probs: Mapping[str, float], abstain_below: float = 0.0) -> Verdict:
    """Return the label of mean probabilities, by the abstain rule.

    Args:
        probs: probability of each class, by label; empty for silence.
        abstain_below: probability below which no label is given, in [0, 1].
    """
    best = likeliest(probs)
    if best is None:
        return Verdict(None, None, None)
    return Verdict(best, probs[best], best if is_sure(probs[best], abstain_below) else None)


def is_sure(confidence: float, abstain_below: float) -> bool:
    """Return whether a label of this probability is given; the only place of the abstain rule."""
    return confidence >= abstain_below


def likeliest(probs: Mapping[str, float]) -> str | None:
    """Return the most probable class; None without probabilities."""
    return max(probs, key=probs.__getitem__) if probs else None


def mean_class(logits: Iterable[Float32]) -> int | None:
    """Return the class of a clip: the most probable by the mean over its windows.

    Args:
        logits: logits [n_classes] of each audible window.

    Returns:
        Index of the class, or None without windows.
    """
    probs = [softmax(row) for row in logits]
    return int(np.mean(probs, axis=0).argmax()) if probs else None


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return probabilities of logits [n_classes], in double precision so that they sum to 1."""
    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    return np.asarray(shifted / shifted.sum())
