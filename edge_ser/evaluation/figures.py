"""Figures over labelled clips, each with its confidence interval by bootstrap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.evaluation.answers import ClipAnswer, LiveFigures, live_figures
from edge_ser.evaluation.arousal import ArousalFigures, arousal_figures
from edge_ser.evaluation.resampling import Figure, Interval, Resampling
from edge_ser.metrics import (
    ECE_BINS,
    Counts,
    Float64,
    brier_scores,
    calibration_bins,
    calibration_errors,
    calibration_interval,
    log_losses,
    precisions,
    recalls,
    unweighted_average_recalls,
    weighted_accuracies,
)

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Probabilities of the label below which answers are rejected, for the coverage table."""

CONFIDENT = 0.8
"""Probability from which an error counts as confident, independent of the card's threshold."""

MIN_RANKED_CLIPS = 20
"""Fewest clips of a speaker that is ranked: with fewer, chance produces the extremes."""

_N_PAIRS = 5


@dataclass(frozen=True)
class ClassCalls:
    """Number of predictions of a label, and number of clips with that label."""

    label: str
    n_true: int
    n_called: int
    precision: Figure | None
    """Share of the predictions that are right; None for a label that is never predicted."""

    @property
    def ratio(self) -> float | None:
        """Predictions for each clip of the label, above 1 if predicted too often; None without clips."""
        return self.n_called / self.n_true if self.n_true else None


@dataclass(frozen=True)
class ConfusedPair:
    """Errors of one kind."""

    truth: str
    called: str
    n_clips: int


@dataclass(frozen=True)
class ConfidentErrors:
    """Errors among the answers with at least a given probability."""

    threshold: float
    n_answered: int
    n_errors: int
    pairs: tuple[ConfusedPair, ...]
    """The five most frequent pairs, from the most to the fewest clips."""


@dataclass(frozen=True)
class Answered:
    """Coverage and accuracy at the threshold of the card."""

    threshold: float
    """`abstain_below` of the card; 0 for a card without a threshold."""
    share: Figure
    """Share of all clips that get a label."""
    right: Figure | None
    """Share of those labels that are right; None without labels."""


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
    """Coverage and accuracy if only labels with at least this probability are accepted."""

    threshold: float
    n_answered: int
    n_correct: int


@dataclass(frozen=True)
class SpeakerAccuracy:
    """Accuracy on the clips of one speaker."""

    speaker: str
    n_clips: int
    wa: float


@dataclass(frozen=True)
class Figures:
    """All figures of one set of clips. Clips without an answer are errors in WA, UAR and recall."""

    of: str
    """A corpus, or `all`."""
    n_clips: int
    n_speakers: int
    """Known speakers."""
    n_speaker_unknown: int
    """Clips of unknown speakers."""
    intervals_over: str
    """Units that the bootstrap draws, see `resampling`; empty if there are no intervals."""
    no_answer: Mapping[str, int]
    """Clips without an answer, by reason: `silent`, `too short`, `no speech`."""
    wa: Figure
    uar: Figure
    recall: Mapping[str, Figure]
    """Recall of each class that occurs."""
    calls: tuple[ClassCalls, ...]
    """Counts of each label of the model."""
    answered: Answered
    confident_errors: tuple[ConfidentErrors, ...]
    """From the lowest threshold to the highest."""
    arousal: ArousalFigures | None
    """None if all clips are of high arousal, or all of low arousal."""
    live: LiveFigures | None
    """Statistics of live mode; None in mode `clip`."""
    ece: Figure
    """Expected calibration error, 15 bins, of the clips with an answer, as are Brier and NLL; its
    interval is not one of percentiles, see `metrics.calibration_interval`."""
    brier: Figure
    nll: Figure
    """Mean negative log likelihood, in nats."""
    speakers: tuple[SpeakerAccuracy, ...]
    """Known speakers, from the lowest accuracy to the highest."""
    confusion: tuple[tuple[int, ...], ...]
    """A row for each true label, a column for each predicted label, then one for no answer."""
    reliability: tuple[ReliabilityBin, ...]
    abstention: tuple[Abstention, ...]

    @property
    def ranked_speakers(self) -> tuple[SpeakerAccuracy, ...]:
        """Speakers with at least `MIN_RANKED_CLIPS` clips, worst first; empty if fewer than two."""
        ranked = tuple(s for s in self.speakers if s.n_clips >= MIN_RANKED_CLIPS)
        return ranked if len(ranked) > 1 else ()


@dataclass(frozen=True)
class _Sums:
    """Sums over the clips of each unit of the bootstrap (first axis)."""

    confusion: NDArray[np.int64]
    """[n_units, n_classes, n_classes + 1]."""
    bins: Float64
    """[n_units, ECE_BINS, 3], see `metrics.calibration_bins`."""
    brier: Float64
    nll: Float64


def figures(
    of: str,
    answers: Sequence[ClipAnswer],
    labels: tuple[str, ...],
    *,
    n_draws: int,
    seed: int,
    abstain_below: float = 0.0,
    thresholds: Sequence[float] = THRESHOLDS,
) -> Figures:
    """Return the figures of clips.

    Args:
        of: name of the set of clips, for reports.
        answers: at least one.
        labels: the model's, in the order of the probabilities.
        n_draws: of the bootstrap.
        seed: of the bootstrap.
        abstain_below: the card's threshold, 0 for none.
        thresholds: probabilities below which to abstain.
    """
    resampling = Resampling.of(answers, n_draws, seed)
    sums = _sums(answers, labels, resampling)

    def recall(k: int) -> Figure:
        return resampling.figure(lambda counts: recalls(counts)[..., k], sums.confusion)

    return Figures(
        of=of,
        n_clips=len(answers),
        n_speakers=len(resampling.speakers),
        n_speaker_unknown=sum(not answer.speaker_known for answer in answers),
        intervals_over=resampling.over,
        no_answer=reasons(answers),
        wa=resampling.figure(weighted_accuracies, sums.confusion),
        uar=resampling.figure(unweighted_average_recalls, sums.confusion),
        recall={label: recall(k) for k, label in enumerate(labels) if sums.confusion[:, k].any()},
        calls=_calls(labels, sums.confusion, resampling),
        answered=_answered(answers, abstain_below, resampling),
        confident_errors=tuple(
            _confident_errors(answers, threshold)
            for threshold in sorted({CONFIDENT, *([abstain_below] if abstain_below else [])})
        ),
        arousal=arousal_figures(answers, labels, resampling),
        live=live_figures(answers),
        ece=resampling.figure(calibration_errors, sums.bins, _calibration_interval(sums.bins)),
        brier=resampling.figure(_mean, sums.brier),
        nll=resampling.figure(_mean, sums.nll),
        speakers=_by_speaker(resampling.speakers, sums.confusion),
        confusion=tuple(tuple(row) for row in sums.confusion.sum(axis=0).tolist()),
        reliability=_reliability(sums.bins.sum(axis=0)),
        abstention=tuple(_abstention(answers, threshold) for threshold in sorted(set(thresholds))),
    )


def reasons(answers: Sequence[ClipAnswer]) -> dict[str, int]:
    """Return how many clips have no answer, by reason."""
    counts = Counter(answer.no_answer for answer in answers if not answer.predicted)
    return {reason: counts[reason] for reason in sorted(counts)}


def _sums(answers: Sequence[ClipAnswer], labels: tuple[str, ...], resampling: Resampling) -> _Sums:
    n_classes, n_units = len(labels), resampling.n_units
    number = {label: k for k, label in enumerate(labels)} | {"": n_classes}
    truth = np.array([number[a.truth] for a in answers])
    predicted = np.array([number[a.predicted] for a in answers])
    counts = np.zeros((n_units, n_classes, n_classes + 1), dtype=np.int64)
    np.add.at(counts, (resampling.owner, truth, predicted), 1)

    answered = predicted < n_classes
    unit, truth, predicted = resampling.owner[answered], truth[answered], predicted[answered]
    probs = np.array([a.probs for a in answers if a.predicted]).reshape(-1, n_classes)
    confidence = probs[np.arange(len(probs)), predicted]
    correct = predicted == truth
    bins = np.zeros((n_units, ECE_BINS, 3))
    brier, nll = np.zeros((n_units, 2)), np.zeros((n_units, 2))
    for number_of_unit in range(n_units):
        subset = unit == number_of_unit
        bins[number_of_unit] = calibration_bins(confidence[subset], correct[subset])
    ones = np.ones(len(probs))
    np.add.at(brier, unit, np.stack([ones, brier_scores(probs, truth)], axis=1))
    np.add.at(nll, unit, np.stack([ones, log_losses(probs, truth)], axis=1))
    return _Sums(counts, bins, brier, nll)


def _calls(
    labels: tuple[str, ...], confusion: NDArray[np.int64], resampling: Resampling
) -> tuple[ClassCalls, ...]:
    total = confusion.sum(axis=0)

    def precision(k: int) -> Figure:
        return resampling.figure(lambda counts: precisions(counts)[..., k], confusion)

    return tuple(
        ClassCalls(
            label=label,
            n_true=int(total[k].sum()),
            n_called=int(total[:, k].sum()),
            precision=precision(k) if total[:, k].any() else None,
        )
        for k, label in enumerate(labels)
    )


def _answered(answers: Sequence[ClipAnswer], threshold: float, resampling: Resampling) -> Answered:
    taken = [answer.answered(threshold) for answer in answers]
    right = [answer.predicted == answer.truth for answer in answers]
    return Answered(
        threshold=threshold,
        share=resampling.share(taken) or Figure(0.0),
        right=resampling.share(right, among=taken),
    )


def _confident_errors(answers: Sequence[ClipAnswer], threshold: float) -> ConfidentErrors:
    taken = [answer for answer in answers if answer.answered(threshold)]
    wrong = Counter((a.truth, a.predicted) for a in taken if a.predicted != a.truth)
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))
    return ConfidentErrors(
        threshold=threshold,
        n_answered=len(taken),
        n_errors=sum(wrong.values()),
        pairs=tuple(ConfusedPair(*pair, n) for pair, n in ranked[:_N_PAIRS]),
    )


def _by_speaker(names: Sequence[str], counts: NDArray[np.int64]) -> tuple[SpeakerAccuracy, ...]:
    counts = counts[: len(names)]
    rows = zip(names, counts.sum(axis=(1, 2)).tolist(), weighted_accuracies(counts), strict=True)
    accuracies = [SpeakerAccuracy(name, n_clips, float(wa)) for name, n_clips, wa in rows]
    return tuple(sorted(accuracies, key=lambda speaker: (speaker.wa, speaker.speaker)))


def _calibration_interval(bins: Float64) -> Interval:
    """Return the interval of the calibration error of sums [n_units, ECE_BINS, 3]."""
    total = bins.sum(axis=0)
    return lambda value, draws: calibration_interval(total, value, draws)


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
    taken = [answer for answer in answers if answer.answered(threshold)]
    return Abstention(threshold, len(taken), sum(a.predicted == a.truth for a in taken))
