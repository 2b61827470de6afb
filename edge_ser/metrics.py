"""Figures of merit over clips: accuracy, recall, confusion, calibration, and their uncertainty.

Counts may have leading axes [..., n_classes, n_answers]: the bootstrap scores thousands at once.
A confusion matrix may have one more column than rows, for clips without an answer, which count as
errors in all figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Counts = NDArray[Any]
"""Integers or, for weighted sums, floats."""

ECE_BINS = 15
"""Bins of the expected calibration error, as in Guo et al. 2017, arXiv 1706.04599."""

_LEAST_PROBABILITY = 1e-12


def confusion(truth: Sequence[int], predicted: Sequence[int], n_classes: int) -> NDArray[np.int64]:
    """Return counts [n_classes, n_classes]: rows are the truth, columns the predictions.

    A prediction of `n_classes` means no answer; if there is one, the counts have a last column for it.
    """
    n_answers = n_classes + (n_classes in predicted)
    counts = np.zeros((n_classes, n_answers), dtype=np.int64)
    np.add.at(counts, (np.asarray(truth, dtype=int), np.asarray(predicted, dtype=int)), 1)
    return counts


def weighted_accuracies(counts: Counts) -> Float64:
    """Return correct / all, in [0, 1], of confusions [..., n_classes, n_answers]; 0 when empty."""
    hits, totals = _diagonal(counts).sum(axis=-1), counts.sum(axis=(-2, -1))
    return np.asarray(hits / np.maximum(1, totals), dtype=np.float64)


def weighted_accuracy(counts: Counts) -> float:
    """Return correct / all, in [0, 1], of a confusion matrix; 0 when it is empty."""
    return float(weighted_accuracies(counts))


def recalls(counts: Counts) -> Float64:
    """Return the recall of each class [..., n_classes], in [0, 1]; NaN for those that never occur."""
    hits, totals = _diagonal(counts), counts.sum(axis=-1)
    values: Float64 = np.divide(hits, totals, out=np.full(hits.shape, np.nan), where=totals > 0)
    return values


def precisions(counts: Counts) -> Float64:
    """Return the precision of each class [..., n_classes], in [0, 1]: of the calls, the right ones.

    NaN for classes that are never called.
    """
    n_classes = counts.shape[-2]
    hits, calls = _diagonal(counts), counts[..., :n_classes].sum(axis=-2)
    values: Float64 = np.divide(hits, calls, out=np.full(hits.shape, np.nan), where=calls > 0)
    return values


def aucs(scores: Float64, positive: NDArray[np.bool_], weights: Counts) -> Float64:
    """Return areas under the ROC [...]: the chance that a positive scores above a negative.

    Ties count one half: the Mann-Whitney statistic (Hanley & McNeil 1982,
    doi:10.1148/radiology.143.1.7063747). NaN where one side has no weight.

    Args:
        scores: [n_clips].
        positive: [n_clips].
        weights: how often each clip counts, [..., n_clips].
    """
    order = np.argsort(scores, kind="stable")
    _, starts = np.unique(scores[order], return_index=True)
    ordered = weights[..., order].astype(np.float64)
    high = np.add.reduceat(ordered * positive[order], starts, axis=-1)
    low = np.add.reduceat(ordered * ~positive[order], starts, axis=-1)
    below = np.cumsum(low, axis=-1) - low / 2
    wins, pairs = (high * below).sum(axis=-1), high.sum(axis=-1) * low.sum(axis=-1)
    areas: Float64 = np.divide(wins, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)
    return areas


def unweighted_average_recalls(counts: Counts) -> Float64:
    """Return the mean recall [...] over the classes that occur, in [0, 1]; 0 when there are none."""
    values = recalls(counts)
    occurs = np.isfinite(values)
    total = np.where(occurs, values, 0.0).sum(axis=-1)
    return np.asarray(total / np.maximum(1, occurs.sum(axis=-1)), dtype=np.float64)


def unweighted_average_recall(counts: Counts) -> float:
    """Return the mean recall over the classes that occur, in [0, 1]; 0 when there are none."""
    return float(unweighted_average_recalls(counts))


def calibration_bins(
    confidence: Float64, correct: NDArray[np.bool_], n_bins: int = ECE_BINS
) -> Float64:
    """Return sums over clips [n_bins, 3]: how many, of their confidences, how many were correct.

    Args:
        confidence: probability of the label that was given, [n_clips], in [0, 1].
        correct: whether that label is true, [n_clips].
        n_bins: of equal width; bin m holds confidences in (m / n_bins, (m + 1) / n_bins].
    """
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    columns = (np.ones_like(confidence), confidence, correct.astype(np.float64))
    return np.stack([np.bincount(bins, column, minlength=n_bins) for column in columns], axis=1)


def calibration_errors(bins: Float64) -> Float64:
    """Return the expected calibration error [...] of sums [..., n_bins, 3]; 0 without clips.

    ECE = sum over bins of (n_bin / n) |accuracy_bin - confidence_bin|, in [0, 1]: by how much
    confidence and accuracy differ (Guo et al. 2017, arXiv 1706.04599, equation 3). Few clips bias it
    upwards.
    """
    gaps = np.abs(bins[..., 2] - bins[..., 1]).sum(axis=-1)
    return np.asarray(gaps / np.maximum(1, bins[..., 0].sum(axis=-1)), dtype=np.float64)


def expected_calibration_error(
    confidence: Float64, correct: NDArray[np.bool_], n_bins: int = ECE_BINS
) -> float:
    """Return the expected calibration error of clips; see `calibration_errors`."""
    return float(calibration_errors(calibration_bins(confidence, correct, n_bins)))


def brier_scores(probs: Float64, truth: NDArray[np.int64]) -> Float64:
    """Return sum over classes of (p - 1[true])^2 of each clip, in [0, 2] (Brier 1950).

    Args:
        probs: [n_clips, n_classes], rows sum to 1.
        truth: classes [n_clips].
    """
    one_hot = np.eye(probs.shape[1])[truth]
    return np.asarray(((probs - one_hot) ** 2).sum(axis=1))


def log_losses(probs: Float64, truth: NDArray[np.int64]) -> Float64:
    """Return the negative log likelihood of each clip, in nats; p counts as 1e-12 at least."""
    picked = probs[np.arange(len(truth)), truth]
    return np.asarray(-np.log(np.maximum(picked, _LEAST_PROBABILITY)))


def bootstrap_weights(n_speakers: int, n_draws: int, seed: int) -> NDArray[np.int64]:
    """Draw speakers with replacement; return how often each was drawn, [n_draws, n_speakers].

    Clips of one speaker are alike, so it is speakers that are drawn, with all their clips (Bisani &
    Ney 2004, ICASSP, doi:10.1109/ICASSP.2004.1326009): an interval over clips would be too narrow.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_speakers, np.full(n_speakers, 1 / n_speakers), size=n_draws)


def percentile_interval(draws: Float64, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of bootstrap draws [n_draws] (Efron 1979); NaN are left out.

    With fewer than about ten speakers it is too narrow (Cameron, Gelbach & Miller 2008,
    doi:10.1162/rest.90.3.414).
    """
    tail = (1 - level) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def wilson_interval(n_hits: int, n_all: int) -> tuple[float, float]:
    """Return the 95% interval of a share of independent trials (Wilson 1927, doi:10.2307/2276774).

    It has a width also where all are hits, or none. Where trials depend on each other, as clips of one
    speaker do, it is too narrow.
    """
    z, share = 1.959964, n_hits / n_all
    centre = (share + z**2 / (2 * n_all)) / (1 + z**2 / n_all)
    half = z / (1 + z**2 / n_all) * (share * (1 - share) / n_all + (z / (2 * n_all)) ** 2) ** 0.5
    low = 0.0 if n_hits == 0 else centre - half
    return low, 1.0 if n_hits == n_all else centre + half


def calibration_interval(
    bins: Float64, value: float, draws: Float64, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return an interval of the expected calibration error, which few clips bias upwards.

    Drawing again adds the bias of the estimator once more (Roelofs et al. 2022, arXiv 2012.08668), so
    percentiles of the draws lie too high and may not hold the value. The basic bootstrap interval,
    [2 value - q_high, 2 value - q_low], reflects them and so takes the bias off (Davison & Hinkley 1997,
    Bootstrap Methods and their Application, section 5.2). It fails where the true error is 0, the end of
    its range: where a perfectly calibrated model would give a value as large in more than 1 - level of
    the cases, by consistency resampling (Broecker & Smith 2007, doi:10.1175/WAF993.1), the interval
    begins at 0. It is widened to hold the value.

    Args:
        bins: sums over all clips [n_bins, 3], see `calibration_bins`.
        value: their error.
        draws: of the bootstrap [n_draws]; NaN are left out.
        level: of confidence.
        seed: of the consistency resampling.
    """
    low, high = percentile_interval(draws, level)
    basic_low, basic_high = max(0.0, min(2 * value - high, value)), max(2 * value - low, value)
    calibrated = float(np.quantile(_calibrated_errors(bins, len(draws), seed), level))
    return (0.0 if value <= calibrated else basic_low), basic_high


def _calibrated_errors(bins: Float64, n_draws: int, seed: int) -> Float64:
    """Return errors [n_draws] of a perfectly calibrated model with these confidences."""
    counts = bins[:, 0]
    chance = np.clip(bins[:, 1] / np.maximum(1, counts), 0.0, 1.0)
    drawn = np.repeat(bins[None], n_draws, axis=0)
    shape = (n_draws, len(bins))
    drawn[..., 2] = np.random.default_rng(seed).binomial(counts.astype(int), chance, size=shape)
    return calibration_errors(drawn)


def _diagonal(counts: Counts) -> Counts:
    return np.diagonal(counts, axis1=-2, axis2=-1)
