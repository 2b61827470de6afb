"""Fit a head to a site and evaluate it on held-out clips.

Nested cross-validation: for each held-out fold, strength, temperature and threshold are selected on
the other folds, so that the figures are those of a head that was not fitted to the clips. The final
head is fitted to all clips, with the strength selected by cross-validation over all of them.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnItem
from edge_ser.adapt.embed import SiteClips
from edge_ser.adapt.fitting import MOST_FOLDS, Grouping, Windows, fit_head, group_clips
from edge_ser.adapt.head import Head
from edge_ser.card import HeldOut
from edge_ser.errors import ConfigError
from edge_ser.metrics import (
    Float64,
    bootstrap_weights,
    log_losses,
    percentile_interval,
    recalls,
    unweighted_average_recall,
    unweighted_average_recalls,
    weighted_accuracy,
)
from edge_ser.scores import Scores, fit_temperature, fit_threshold

STRENGTHS = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Regularisation strengths towards the old head, in descending order; ties go to the first."""

LEAST_CLIPS = 5
"""Minimum number of clips in each of two classes."""
LEAST_CLASSES = 2
LEAST_S = 120.0
"""Minimum total length of the audio, in seconds."""

N_DRAWS = 2000
"""Bootstrap draws of speakers, or recordings, for the intervals."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class AdaptConfig:
    """Options of the adaptation."""

    balanced: bool = False
    """Weight all classes equally, regardless of their number of clips."""
    known_speakers: bool = False
    """Hold out clips instead of speakers."""
    seed: int = 0
    """Seed of the folds and of the bootstrap."""


@dataclass(frozen=True)
class Answered:
    """Predictions above the abstention threshold, which is selected on the other folds."""

    n_answered: int
    n_correct: int


@dataclass(frozen=True)
class Gain:
    """Change by the adaptation on held-out clips, with paired 95% intervals."""

    log_loss: float
    """After minus before, in nats; below 0 is better."""
    log_loss_interval: tuple[float, ...]
    """Empty for a single speaker or recording."""
    uar: float
    """After minus before; above 0 is better."""
    uar_interval: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Fitted:
    """Head fitted to a site, with its figures."""

    head: Head
    """Fitted head, including the temperature."""
    strength: float
    temperature: float
    """Divisor of the fitted logits."""
    abstain_below: float
    n_folds: int
    by: str
    """Unit that is held out: `speaker` or `clip`."""
    before: HeldOut
    after: HeldOut
    answered_before: Answered
    answered_after: Answered
    gain: Gain
    prior: dict[str, float]
    """Share of each label among the clips."""

    @property
    def refusal(self) -> str:
        """Reasons why the head must not be used; empty if it passes the gate."""
        reasons = []
        if not self.gain.log_loss < 0:
            reasons.append(
                f"log loss is {self.after.log_loss:.3f} after, {self.before.log_loss:.3f} before"
            )
        if self.gain.uar < -1e-9:
            reasons.append(f"UAR is {self.after.uar:.1%} after, {self.before.uar:.1%} before")
        return "; ".join(reasons)

    @property
    def protocol(self) -> str:
        """Description of the evaluation protocol."""
        return f"{self.n_folds} folds by {self.by}, all choices made on the other folds"


def require_enough(site: SiteClips, labels: tuple[str, ...]) -> None:
    """Raise if there are too few recordings to fit and evaluate a head.

    Raises:
        ConfigError: names the available and the required recordings.
    """
    counts = Counter(labels[label] for label in site.truth.tolist())
    total_s = sum(site.seconds)
    enough = sum(n >= LEAST_CLIPS for n in counts.values()) >= LEAST_CLASSES
    if enough and total_s >= LEAST_S:
        return
    held = ", ".join(f"{label} {counts[label]}" for label in labels if counts[label]) or "none"
    left = "".join(f"; {n} left out: {reason}" for reason, n in site.left_out.items())
    raise ConfigError(
        f"expected at least {LEAST_CLIPS} clips in each of {LEAST_CLASSES} classes and {LEAST_S:g} s of "
        f"audio, got {total_s:.0f} s of {len(site.clips)} clips ({held}){left}; record and label more, "
        "with `edge-ser run --record DIR` and `edge-ser label DIR`"
    )


def n_steps(n_clips: int) -> int:
    """Return the largest number of progress calls of `fit_site`."""
    folds = min(MOST_FOLDS, n_clips)
    return (folds + 1) * folds * len(STRENGTHS)


def fit_site(
    head: Head,
    site: SiteClips,
    labels: tuple[str, ...],
    abstain_below: float,
    config: AdaptConfig | None = None,
    progress: OnItem = lambda: None,
) -> Fitted:
    """Fit a head to a site's clips.

    Args:
        head: the old head.
        site: the clips.
        labels: the model's classes.
        abstain_below: the old threshold.
        config: the options.
        progress: called after each fit of the cross-validation.

    Raises:
        ConfigError: too few clips.
        CorpusError: a file that cannot be read.
    """
    config = config or AdaptConfig()
    require_enough(site, labels)
    grouping = group_clips(site.clips, site.truth, known_speakers=config.known_speakers)
    search = _Search(head, site, grouping, config, progress)
    everything = np.arange(len(site.clips))
    chosen = search.choose(everything)
    held_out, answered = search.held_out()
    old = Scores(tuple(head.logits(windows) for windows in site.embeddings), site.truth)
    new = Scores(tuple(held_out), site.truth)
    taken = old.probs.max(axis=1) >= abstain_below
    return Fitted(
        head=search.fit(everything, chosen.strength).scaled(chosen.temperature),
        strength=chosen.strength,
        temperature=round(chosen.temperature, 4),
        abstain_below=chosen.abstain_below,
        n_folds=len(search.folds(everything)),
        by=grouping.by,
        before=_figures(old, labels),
        after=_figures(new, labels),
        answered_before=_answered(old, taken),
        answered_after=_answered(new, answered),
        gain=_gain(old, new, grouping.unit, config, len(labels)),
        prior=_prior(site.truth, labels),
    )


@dataclass(frozen=True)
class _Choice:
    strength: float
    temperature: float
    abstain_below: float


class _Search:
    """Selection of the parameters by cross-validation."""

    def __init__(
        self,
        head: Head,
        site: SiteClips,
        grouping: Grouping,
        config: AdaptConfig,
        progress: OnItem,
    ) -> None:
        self._head = head
        self._site = site
        self._grouping = grouping
        self._config = config
        self._progress = progress

    def folds(self, indices: Indices) -> list[NDArray[np.bool_]]:
        return self._grouping.folds(indices, self._config.seed)

    def fit(self, indices: Indices, strength: float) -> Head:
        """Return the head fitted to the clips of `indices`, without a temperature."""
        embeddings = [self._site.embeddings[index] for index in indices]
        sizes = np.array([len(one) for one in embeddings])
        windows = Windows(
            np.concatenate(embeddings).astype(np.float64),
            np.repeat(self._site.truth[indices], sizes),
            np.repeat(self._weights(indices) / sizes, sizes),
        )
        return fit_head(self._head, windows, strength)

    def choose(self, indices: Indices) -> _Choice:
        """Return the parameters selected by cross-validation over the clips of `indices`."""
        weights = self._weights(indices)
        found = []
        for strength, scores in zip(STRENGTHS, self._scores(indices), strict=True):
            temperature = fit_temperature(scores, weights)
            at = dataclasses.replace(scores, temperature=temperature)
            loss = float(np.average(log_losses(at.probs, at.truth), weights=weights))
            found.append((loss, strength, at))
        # min() resolves ties to the first, which is the strongest regularisation.
        _, strength, scores = min(found, key=lambda one: one[0])
        return _Choice(strength, scores.temperature, fit_threshold(scores))

    def held_out(self) -> tuple[list[Float64], NDArray[np.bool_]]:
        """Return held-out logits of every clip, and whether each is above the threshold."""
        everything = np.arange(len(self._site.clips))
        logits: list[Float64] = [np.empty(0)] * len(everything)
        answered = np.zeros(len(everything), dtype=bool)
        for held in self.folds(everything):
            choice = self.choose(everything[~held])
            head = self.fit(everything[~held], choice.strength).scaled(choice.temperature)
            for index in everything[held]:
                logits[index] = head.logits(self._site.embeddings[index])
                probs = Scores((logits[index],), self._site.truth[[index]]).probs
                answered[index] = probs.max() >= choice.abstain_below
        return logits, answered

    def _scores(self, indices: Indices) -> list[Scores]:
        """Return held-out scores of the clips of `indices`, for each of STRENGTHS."""
        folds = self.folds(indices)
        found = []
        for strength in STRENGTHS:
            logits: list[Float64] = [np.empty(0)] * len(indices)
            for held in folds:
                head = self.fit(indices[~held], strength)
                for at in np.flatnonzero(held):
                    logits[at] = head.logits(self._site.embeddings[indices[at]])
                self._progress()
            found.append(Scores(tuple(logits), self._site.truth[indices]))
        return found

    def _weights(self, indices: Indices) -> Float64:
        """Return the weight of each clip; the weights sum to the number of clips."""
        if not self._config.balanced:
            return np.ones(len(indices))
        truth = self._site.truth[indices]
        counts = np.bincount(truth)
        share: Float64 = len(indices) / np.count_nonzero(counts) / counts[truth]
        return share


def _figures(scores: Scores, labels: tuple[str, ...]) -> HeldOut:
    counts = scores.confusion
    recall = recalls(counts)
    return HeldOut(
        wa=weighted_accuracy(counts),
        uar=unweighted_average_recall(counts),
        log_loss=scores.loss,
        ece=scores.ece,
        recall={label: float(r) for label, r in zip(labels, recall, strict=True) if np.isfinite(r)},
    )


def _answered(scores: Scores, taken: NDArray[np.bool_]) -> Answered:
    right = scores.predicted == scores.truth
    return Answered(int(taken.sum()), int((right & taken).sum()))


def _gain(old: Scores, new: Scores, unit: Indices, config: AdaptConfig, n_classes: int) -> Gain:
    losses = log_losses(new.probs, new.truth) - log_losses(old.probs, old.truth)
    uar = unweighted_average_recall(new.confusion) - unweighted_average_recall(old.confusion)
    units = sorted(set(unit.tolist()))
    loss_interval: tuple[float, ...] = ()
    uar_interval: tuple[float, ...] = ()
    if len(units) > 1:
        draws = bootstrap_weights(len(units), N_DRAWS, config.seed).astype(np.float64)
        index = np.searchsorted(units, unit)
        sums = np.bincount(index, losses)
        sizes = np.bincount(index).astype(np.float64)
        loss_interval = percentile_interval((draws @ sums) / np.maximum(1, draws @ sizes))
        differences = [
            unweighted_average_recalls(np.tensordot(draws, _confusions(s, index, n_classes), 1))
            for s in (new, old)
        ]
        uar_interval = percentile_interval(differences[0] - differences[1])
    return Gain(float(losses.mean()), loss_interval, uar, uar_interval)


def _confusions(scores: Scores, index: Indices, n_classes: int) -> Float64:
    """Return the confusion matrix of each unit [n_units, n_classes, n_classes]."""
    counts = np.zeros((index.max() + 1, n_classes, n_classes))
    np.add.at(counts, (index, scores.truth, scores.predicted), 1)
    return counts


def _prior(truth: Indices, labels: tuple[str, ...]) -> dict[str, float]:
    counts = np.bincount(truth, minlength=len(labels))
    return {label: float(n) / len(truth) for label, n in zip(labels, counts, strict=True)}
