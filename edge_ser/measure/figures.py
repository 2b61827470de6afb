"""Figures over clips, each with its confidence interval by bootstrap over speakers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.metrics import (
    ECE_BINS,
    Counts,
    Float64,
    bootstrap_weights,
    brier_scores,
    calibration_bins,
    calibration_errors,
    log_losses,
    percentile_interval,
    recalls,
    unweighted_average_recalls,
    weighted_accuracies,
)

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Probabilities of the label below which no answer is taken, to see what that would change."""


@dataclass(frozen=True)
class ClipAnswer:
    """What a model said of one clip."""

    clip: str
    """Name of the clip within its corpus, the same on every machine."""
    corpus: str
    speaker: str
    truth: str
    predicted: str
    """Empty where the model gave no answer."""
    probs: tuple[float, ...] = ()
    """Probability of each label, in the order of the labels; empty where there is no answer."""
    no_answer: str = ""
    """Why there is none: `silent` or `too short`."""


@dataclass(frozen=True)
class Figure:
    """A value and its 95% confidence interval."""

    value: float
    interval: tuple[float, ...] = ()
    """Lowest and highest; empty where a single speaker gives none."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Clips whose confidence lies in (low, high]."""

    low: float
    high: float
    n_clips: int
    confidence: float
    """Mean probability of their labels."""
    accuracy: float
    """Share of their labels that are true."""


@dataclass(frozen=True)
class Abstention:
    """What is left when only labels with at least this probability are taken."""

    threshold: float
    n_answered: int
    n_correct: int


@dataclass(frozen=True)
class SpeakerAccuracy:
    """How well one speaker is recognised."""

    speaker: str
    n_clips: int
    wa: float


@dataclass(frozen=True)
class Figures:
    """All figures of one set of clips. Clips without an answer are errors in WA, UAR and recall."""

    of: str
    """A corpus, or `all`."""
    n_clips: int
    no_answer: Mapping[str, int]
    """Clips that the model gave no answer to, by reason: `silent`, `too short`."""
    wa: Figure
    uar: Figure
    recall: Mapping[str, Figure]
    """Of each class that occurs."""
    ece: Figure
    """Expected calibration error, 15 bins, of the clips with an answer, as are Brier and NLL."""
    brier: Figure
    nll: Figure
    """Mean negative log likelihood, in nats."""
    speakers: tuple[SpeakerAccuracy, ...]
    """From the worst recognised to the best."""
    confusion: tuple[tuple[int, ...], ...]
    """A row for each label that is true, a column for each that was given, then one for no answer."""
    reliability: tuple[ReliabilityBin, ...]
    abstention: tuple[Abstention, ...]


@dataclass(frozen=True)
class _Sums:
    """What all figures are made of, as sums over the clips of each speaker (first axis)."""

    confusion: NDArray[np.int64]
    """[n_speakers, n_classes, n_classes + 1]."""
    bins: Float64
    """[n_speakers, ECE_BINS, 3], see `metrics.calibration_bins`."""
    brier: Float64
    nll: Float64


def figures(
    of: str,
    answers: Sequence[ClipAnswer],
    labels: tuple[str, ...],
    *,
    n_draws: int,
    seed: int,
    thresholds: Sequence[float] = THRESHOLDS,
) -> Figures:
    """Return the figures of clips.

    Args:
        of: what the clips are, for reports.
        answers: at least one.
        labels: the model's, in the order of the probabilities.
        n_draws: of the bootstrap over speakers.
        seed: of the bootstrap.
        thresholds: probabilities to abstain below.
    """
    names = sorted({answer.speaker for answer in answers})
    sums = _sums(answers, labels, names)
    draws = bootstrap_weights(len(names), n_draws, seed) if len(names) > 1 else None

    def figure(of_sums: Callable[[Counts], Float64], per_speaker: Counts) -> Figure:
        value = float(of_sums(per_speaker.sum(axis=0)))
        if draws is None:
            return Figure(value)
        drawn = np.tensordot(draws, per_speaker.astype(np.float64), axes=1)
        return Figure(value, percentile_interval(of_sums(drawn)))

    def recall(k: int) -> Figure:
        return figure(lambda counts: recalls(counts)[..., k], sums.confusion)

    reasons = [answer.no_answer for answer in answers if not answer.predicted]
    return Figures(
        of=of,
        n_clips=len(answers),
        no_answer={reason: reasons.count(reason) for reason in sorted(set(reasons))},
        wa=figure(weighted_accuracies, sums.confusion),
        uar=figure(unweighted_average_recalls, sums.confusion),
        recall={label: recall(k) for k, label in enumerate(labels) if sums.confusion[:, k].any()},
        ece=figure(calibration_errors, sums.bins),
        brier=figure(_mean, sums.brier),
        nll=figure(_mean, sums.nll),
        speakers=_by_speaker(names, sums.confusion),
        confusion=tuple(tuple(row) for row in sums.confusion.sum(axis=0).tolist()),
        reliability=_reliability(sums.bins.sum(axis=0)),
        abstention=tuple(_abstention(answers, threshold) for threshold in sorted(set(thresholds))),
    )


def _sums(answers: Sequence[ClipAnswer], labels: tuple[str, ...], names: list[str]) -> _Sums:
    n_classes, n_speakers = len(labels), len(names)
    number = {label: k for k, label in enumerate(labels)} | {"": n_classes}
    owner = {name: s for s, name in enumerate(names)}
    speaker = np.array([owner[a.speaker] for a in answers])
    truth = np.array([number[a.truth] for a in answers])
    predicted = np.array([number[a.predicted] for a in answers])
    counts = np.zeros((n_speakers, n_classes, n_classes + 1), dtype=np.int64)
    np.add.at(counts, (speaker, truth, predicted), 1)

    answered = predicted < n_classes
    speaker, truth, predicted = speaker[answered], truth[answered], predicted[answered]
    probs = np.array([a.probs for a in answers if a.predicted]).reshape(-1, n_classes)
    confidence = probs[np.arange(len(probs)), predicted]
    correct = predicted == truth
    bins = np.zeros((n_speakers, ECE_BINS, 3))
    brier, nll = np.zeros((n_speakers, 2)), np.zeros((n_speakers, 2))
    for s in range(n_speakers):
        own = speaker == s
        bins[s] = calibration_bins(confidence[own], correct[own])
        brier[s] = own.sum(), brier_scores(probs[own], truth[own]).sum()
        nll[s] = own.sum(), log_losses(probs[own], truth[own]).sum()
    return _Sums(counts, bins, brier, nll)


def _by_speaker(names: list[str], counts: NDArray[np.int64]) -> tuple[SpeakerAccuracy, ...]:
    rows = zip(names, counts.sum(axis=(1, 2)).tolist(), weighted_accuracies(counts), strict=True)
    found = [SpeakerAccuracy(name, n_clips, float(wa)) for name, n_clips, wa in rows]
    return tuple(sorted(found, key=lambda speaker: (speaker.wa, speaker.speaker)))


def _mean(sums: Counts) -> Float64:
    """Return means [...] of counts and sums [..., 2]; 0 where nothing was counted."""
    return np.asarray(sums[..., 1] / np.maximum(1, sums[..., 0]), dtype=np.float64)


def _reliability(bins: Float64) -> tuple[ReliabilityBin, ...]:
    return tuple(
        ReliabilityBin(
            low=m / len(bins),
            high=(m + 1) / len(bins),
            n_clips=int(n),
            confidence=float(confidences / n),
            accuracy=float(correct / n),
        )
        for m, (n, confidences, correct) in enumerate(bins)
        if n
    )


def _abstention(answers: Sequence[ClipAnswer], threshold: float) -> Abstention:
    taken = [a for a in answers if a.predicted and max(a.probs) >= threshold]
    return Abstention(threshold, len(taken), sum(a.predicted == a.truth for a in taken))
