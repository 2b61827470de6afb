"""Figures on left-out corpora, with temperature and threshold fitted on other left-out corpora.

A fold of the protocol cross-corpus leaves one corpus out. Temperature and threshold for its answers
are fitted on the left-out clips of all other folds, each corpus with the same weight. The figures
therefore hold for unseen corpora, not for the speakers that a threshold was fitted on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_ser.evaluation.arousal import HIGH_AROUSAL
from edge_ser.metrics import Float64, aucs, unweighted_average_recall
from edge_ser.scores import Scores, fit_threshold

_NEWTON_STEPS, _LEAST_STEP = 50, 1e-8
_ENROLLED_CLIPS, _PRIOR_CLIPS = 5, 3

OFFSET_SHARE = 0.65
"""Share of the fitted offsets that is applied: offsets of a few corpora hold only in part for the next.
Of 0.5, 0.65, 0.8 and 1, this is the largest with which each network called 98% of the neutral speech
of strangers neutral or gave no answer; see `left_out` in results/looks.json."""


@dataclass(frozen=True)
class Decisions:
    """Parameters fitted on left-out clips; outputs become (logits + offsets) / temperature."""

    temperature: float
    """Divisor of the logits, after the offsets."""
    abstain_below: float
    """Probability of the label, in [0, 1), below which no answer is given."""
    n_clips: int
    """Clips used for the fit."""
    offsets: tuple[float, ...] = ()
    """Added to the logit of each class; empty for zeros."""
    arousal_slope: float = 1.0
    """Factor of the arousal's logit."""
    arousal_offset: float = 0.0
    """Term added to the arousal's logit after the factor."""
    usual: tuple[float, ...] = ()
    """Mean logits for neutral speech, after offsets and temperature, then the arousal's logit if the
    model has that output: the reference for the baseline of a voice or site."""

    def with_prior(self, log_ratios: Float64) -> Decisions:
        """Return decisions whose prior odds of the classes are multiplied by ratios.

        Args:
            log_ratios: natural logarithms of the ratios [n_classes].
        """
        offsets = np.zeros(len(log_ratios)) + (self.offsets or 0.0)
        usual = np.array(self.usual)
        usual[: len(log_ratios)] += log_ratios[: len(usual)]
        return dataclasses.replace(
            self,
            offsets=tuple((offsets + self.temperature * log_ratios).tolist()),
            usual=tuple(usual.tolist()),
        )

    def apply(self, scores: Scores) -> Scores:
        """Return scores with the offsets and the temperature in their logits, the arousal calibrated.

        Args:
            scores: with temperature 1.
        """
        offsets = np.array(self.offsets or 0.0)
        arousal = scores.arousal
        if arousal is not None:
            arousal = self.arousal_slope * arousal + self.arousal_offset
        return Scores(
            tuple((one + offsets) / self.temperature for one in scores.logits),
            scores.truth,
            arousal=arousal,
        )


@dataclass(frozen=True)
class GateFigures:
    """Answers to neutral speech of unknown speakers; shares of the audible clips, in [0, 1]."""

    n_clips: int
    neutral: float
    """Share classified as neutral, with or without an answer."""
    passed: float
    """Share classified as neutral, or without an answer."""
    false: float
    """Share answered with another label."""


@dataclass(frozen=True)
class BaselineFigures:
    """Figures of the same clips with baselines of their speakers."""

    uar: float
    arousal_auc: float
    ece: float
    answered: float
    right: float


@dataclass(frozen=True)
class LeftOutFigures:
    """Figures of one fold's network on the left-out corpus."""

    decisions: Decisions
    """Fitted on the other folds."""
    uar: float
    """Mean recall of the classes that occur, with the offsets, in [0, 1]."""
    ece: float
    """Expected calibration error, in [0, 1]."""
    answered: float
    """Share of the clips with an answer, in [0, 1]."""
    right: float
    """Share of the answers that are right, in [0, 1]; 0 without answers."""
    arousal_auc: float
    """Area under the ROC of the probabilities of the labels of high arousal."""
    output_auc: float | None
    """Of the network's own arousal output; None without one."""
    gates: Mapping[str, GateFigures]
    with_baseline: Mapping[str, BaselineFigures] = field(default_factory=dict)
    """Kind of baseline → figures; see `voice_baselines`."""


def fit_decisions(scores: Sequence[Scores], labels: Sequence[str]) -> Decisions:
    """Fit temperature, offsets, threshold and the arousal's calibration on left-out clips.

    Temperature and offsets have the greatest likelihood of the clips' mean logits (bias-corrected
    temperature scaling, Alexandari et al. 2020, arXiv 1901.06852); `OFFSET_SHARE` of the offsets
    is kept.

    Args:
        scores: of several corpora, each of which weighs the same, and in each of them each class.
        labels: the classes.
    """
    audible = [_audible(subset) for subset in scores]
    truth = np.concatenate([subset.truth for subset in audible])
    by_class = np.concatenate([_class_weights(subset.truth) for subset in audible])
    means = np.concatenate([_clip_means(subset) for subset in audible])
    scale, offsets = fit_softmax(means, truth, by_class)
    high = _is_high(truth, labels)
    slope, offset = 1.0, 0.0
    levels = [subset.arousal for subset in audible if subset.arousal is not None]
    if len(levels) == len(audible):
        slope, offset = fit_logistic(np.concatenate(levels), high, by_class)
    fitted = Decisions(
        temperature=round(1 / scale, 4),
        abstain_below=0.0,
        n_clips=len(truth),
        offsets=tuple(round(OFFSET_SHARE * float(value) / scale, 4) for value in offsets),
        arousal_slope=slope,
        arousal_offset=offset,
    )
    applied = [fitted.apply(subset) for subset in audible]
    joined = Scores(tuple(one for subset in applied for one in subset.logits), truth)
    by_corpus = np.concatenate(
        [np.full(len(subset.truth), 1 / len(subset.truth)) for subset in audible]
    )
    return dataclasses.replace(
        fitted,
        abstain_below=fit_threshold(joined, by_corpus),
        usual=tuple(round(float(value), 4) for value in _usual(applied, labels)),
    )


def fit_softmax(
    logits: Float64, truth: NDArray[np.int64], weights: Float64
) -> tuple[float, Float64]:
    """Return scale and offsets [n_classes] of softmax(scale * logits + offsets) of greatest likelihood.

    By Newton's method; the problem is convex. The offsets of classes that do not occur are zero, and
    those of the others have the mean zero.

    Args:
        logits: [n, n_classes].
        truth: classes [n].
        weights: [n].
    """
    n_classes = logits.shape[1]
    occurs = np.bincount(truth, minlength=n_classes) > 0
    weights = weights / weights.sum()
    one_hot = np.eye(n_classes)[truth]
    scale, offsets = 1.0, np.zeros(n_classes)

    def probs(scale: float, offsets: Float64) -> Float64:
        values = scale * logits + offsets
        powers: Float64 = np.exp(values - values.max(axis=1, keepdims=True))
        shares: Float64 = powers / powers.sum(axis=1, keepdims=True)
        return shares

    def loss(scale: float, offsets: Float64) -> float:
        subset = probs(scale, offsets)[np.arange(len(truth)), truth]
        return float(-weights @ np.log(np.maximum(subset, np.finfo(np.float64).tiny)))

    for _ in range(_NEWTON_STEPS):
        p = probs(scale, offsets)
        # Derivatives by scale, then by the offsets of the classes that occur.
        columns = np.eye(n_classes)[occurs]
        shape = (len(p), *columns.shape)
        design = np.concatenate([logits[:, None, :], np.broadcast_to(columns, shape)], axis=1)
        centred = design - (design * p[:, None, :]).sum(axis=2, keepdims=True)
        gradient = np.einsum("n,nik,nk->i", weights, design, p - one_hot)
        curvature = np.einsum("n,nik,njk,nk->ij", weights, centred, centred, p)
        step = np.linalg.solve(curvature + 1e-6 * np.eye(len(curvature)), gradient)
        moved = np.zeros(n_classes)
        moved[occurs] = step[1:]
        size = 1.0
        while size > _LEAST_STEP and (
            scale <= size * step[0]
            or loss(scale - size * step[0], offsets - size * moved) > loss(scale, offsets)
        ):
            size /= 2
        scale, offsets = scale - size * float(step[0]), offsets - size * moved
        if size * np.abs(step).max() < _LEAST_STEP:
            break
    offsets[occurs] -= offsets[occurs].mean()
    return scale, offsets


def _class_weights(truth: NDArray[np.int64]) -> Float64:
    counts = np.bincount(truth)
    weights: Float64 = 1 / (counts[truth] * (counts > 0).sum())
    return weights


def _clip_means(scores: Scores) -> Float64:
    return np.stack([one.mean(axis=0) for one in scores.logits])


def _outputs(scores: Scores) -> Float64:
    """Return the mean logits of clips, followed by the arousal's [n_clips, n_outputs]."""
    means = _clip_means(scores)
    return means if scores.arousal is None else np.column_stack([means, scores.arousal])


def _usual(scores: Sequence[Scores], labels: Sequence[str]) -> Float64:
    """Return the mean outputs for neutral speech, each corpus with the same weight."""
    if "neutral" not in labels:
        return np.empty(0)
    neutral = list(labels).index("neutral")
    means = [_outputs(subset)[subset.truth == neutral] for subset in scores]
    mean: Float64 = np.mean([subset.mean(axis=0) for subset in means if len(subset)], axis=0)
    return mean


def fit_logistic(x: Float64, positive: NDArray[np.bool_], weights: Float64) -> tuple[float, float]:
    """Return slope and offset of the logistic regression of a truth on one value (Platt 1999).

    Args:
        x: [n].
        positive: bool [n].
        weights: [n].
    """
    signs = np.where(positive, 1.0, -1.0)
    design = np.stack([x, np.ones_like(x)])
    values = np.zeros(2)

    def loss(at: Float64) -> float:
        return float(np.average(np.logaddexp(0, -signs * (at @ design)), weights=weights))

    for _ in range(_NEWTON_STEPS):
        p = np.exp(-np.logaddexp(0, -(values @ design)))
        gradient = design @ (weights * (p - positive))
        curvature = (design * (weights * p * (1 - p))) @ design.T + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # Halve the step until the loss falls: a full step may overshoot the minimum.
        while loss(values - step) > loss(values) and np.abs(step).max() > _LEAST_STEP:
            step = step / 2
        values = values - step
        if np.abs(step).max() < _LEAST_STEP:
            break
    slope, offset = (float(value) for value in values)
    return round(slope, 4), round(offset, 4)


def left_out_figures(
    scores: Scores,
    decisions: Decisions,
    labels: Sequence[str],
    gates: Mapping[str, Scores],
    speakers: Sequence[str] = (),
) -> LeftOutFigures:
    """Return the figures of one fold.

    Args:
        scores: of its test clips, with temperature 1.
        decisions: fitted on other folds.
        labels: the classes, which include neutral if there are gates or speakers.
        gates: of neutral clips, by name.
        speakers: of each clip, for figures with baselines; empty to leave those out.
    """
    audible = [index for index, one in enumerate(scores.logits) if len(one)]
    subset = decisions.apply(_audible(scores))
    plain = _figures(subset, decisions, labels, len(scores.truth))
    with_baseline = {}
    if speakers and decisions.usual:
        names = [speakers[index] for index in audible]
        ways = voice_baselines(subset, names, list(labels).index("neutral"), decisions.usual)
        for way, baselines in ways.items():
            relative = relative_to(subset, baselines, decisions.usual)
            with_baseline[way] = _figures(relative, decisions, labels, len(scores.truth))
    high = _is_high(subset.truth, labels)
    return LeftOutFigures(
        decisions=decisions,
        **dataclasses.asdict(plain),
        output_auc=None
        if subset.arousal is None
        else float(aucs(subset.arousal, high, np.ones(len(high)))),
        gates={name: gate_figures(gate, decisions, labels) for name, gate in gates.items()},
        with_baseline=with_baseline,
    )


def _figures(
    subset: Scores, decisions: Decisions, labels: Sequence[str], n_clips: int
) -> BaselineFigures:
    confidence, right = subset.probs.max(axis=1), subset.predicted == subset.truth
    answered = confidence >= decisions.abstain_below
    columns = [k for k, label in enumerate(labels) if label in HIGH_AROUSAL]
    high = _is_high(subset.truth, labels)
    return BaselineFigures(
        uar=unweighted_average_recall(subset.confusion),
        arousal_auc=float(aucs(subset.probs[:, columns].sum(axis=1), high, np.ones(len(high)))),
        ece=subset.ece,
        answered=float(answered.sum() / n_clips),
        right=float(right[answered].mean()) if answered.any() else 0.0,
    )


def voice_baselines(
    scores: Scores, speakers: Sequence[str], neutral: int, usual: Sequence[float]
) -> dict[str, Float64]:
    """Return kind → baselines of each clip [n_clips, n_outputs], computed as on a device.

    enrolled: the mean outputs for five neutral clips of the same speaker, without the clip itself.
    running: the mean outputs for the speaker's earlier clips of any emotion, in a random order; `usual`
    counts as `_PRIOR_CLIPS` clips.

    Args:
        scores: of audible clips, decisions applied.
        speakers: of each clip.
        neutral: the class.
        usual: see `Decisions`.
    """
    outputs, names = _outputs(scores), np.array(speakers)
    rng = np.random.default_rng(0)
    enrolled, running = outputs * 0 + np.array(usual), outputs * 0
    for name in sorted(set(speakers)):
        subset = np.flatnonzero(names == name)
        plain = subset[scores.truth[subset] == neutral]
        for clip in subset:
            others = plain[plain != clip]
            if len(others):
                chosen = rng.choice(others, min(_ENROLLED_CLIPS, len(others)), replace=False)
                enrolled[clip] = outputs[chosen].mean(axis=0)
        total, count = _PRIOR_CLIPS * np.array(usual), _PRIOR_CLIPS
        for clip in rng.permutation(subset):
            running[clip] = total / count
            total, count = total + outputs[clip], count + 1
    return {"enrolled": enrolled, "running": running}


def relative_to(scores: Scores, baselines: Float64, usual: Sequence[float]) -> Scores:
    """Return scores minus the excess of a voice's baseline over the usual outputs.

    Args:
        scores: of audible clips, decisions applied.
        baselines: [n_clips, n_outputs].
        usual: see `Decisions`.
    """
    n_classes = scores.logits[0].shape[1]
    excess = baselines - np.array(usual)
    arousal = scores.arousal
    if arousal is not None:
        arousal = arousal - excess[:, n_classes]
    return Scores(
        tuple(one - subset[:n_classes] for one, subset in zip(scores.logits, excess, strict=True)),
        scores.truth,
        arousal=arousal,
    )


def gate_figures(scores: Scores, decisions: Decisions, labels: Sequence[str]) -> GateFigures:
    """Return the figures of clips that are all neutral."""
    subset = decisions.apply(_audible(scores))
    neutral = subset.predicted == list(labels).index("neutral")
    answered = subset.probs.max(axis=1) >= decisions.abstain_below
    return GateFigures(
        n_clips=len(subset.truth),
        neutral=float(neutral.mean()),
        passed=float((neutral | ~answered).mean()),
        false=float((answered & ~neutral).mean()),
    )


def _audible(scores: Scores) -> Scores:
    indices = [index for index, subset in enumerate(scores.logits) if len(subset)]
    return Scores(
        tuple(scores.logits[index] for index in indices),
        scores.truth[indices],
        arousal=None if scores.arousal is None else scores.arousal[indices],
    )


def _is_high(truth: NDArray[np.int64], labels: Sequence[str]) -> NDArray[np.bool_]:
    return np.isin(truth, [k for k, label in enumerate(labels) if label in HIGH_AROUSAL])
