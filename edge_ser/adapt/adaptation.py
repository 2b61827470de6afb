"""A head fitted to a site, with figures of clips that it was not fitted on.

Folds within folds: for each held-out fold the strength, the temperature and the threshold are chosen
on the other folds alone, so that the figures are those of a head that has never met the clips. The head
that is kept is then fitted on all clips, with the strength that all folds choose.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnItem
from edge_ser.adapt.embed import SiteClips
from edge_ser.adapt.fit import Windows, fit_head
from edge_ser.adapt.folds import MOST_FOLDS, Grouping, group_clips
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
"""Pulls towards the old head that are tried, the strongest first: of equals it is kept."""

LEAST_CLIPS = 5
"""Clips that each of two classes needs at least."""
LEAST_CLASSES = 2
LEAST_S = 120.0
"""Seconds of audio in all that are needed at least."""

N_DRAWS = 2000
"""Draws of speakers, or recordings, for the intervals."""

Places = NDArray[np.int64]


@dataclass(frozen=True)
class AdaptConfig:
    """How a head is fitted."""

    balanced: bool = False
    """Let every class count alike, whatever its number of clips."""
    known_speakers: bool = False
    """Hold out clips, not speakers."""
    seed: int = 0
    """Of the folds and of the bootstrap."""


@dataclass(frozen=True)
class Answered:
    """Answers that are taken, at the threshold that the other folds advise."""

    n_answered: int
    n_correct: int


@dataclass(frozen=True)
class Gain:
    """The difference that the adaptation makes on held-out clips; intervals of 95%, paired."""

    log_loss: float
    """After minus before, in nats; below 0 is better."""
    log_loss_interval: tuple[float, ...]
    """Empty where a single speaker or recording gives none."""
    uar: float
    """After minus before; above 0 is better."""
    uar_interval: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A head fitted to a site, and what is known of it."""

    head: Head
    """Temperature included."""
    strength: float
    temperature: float
    """Divisor of the fitted logits."""
    abstain_below: float
    n_folds: int
    by: str
    """What is held out: `speaker` or `clip`."""
    before: HeldOut
    after: HeldOut
    answered_before: Answered
    answered_after: Answered
    gain: Gain
    prior: dict[str, float]
    """Share of each label among the clips."""

    @property
    def refusal(self) -> str:
        """Why the head must not be used; empty where it passes the gate."""
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
        """How clips were held out, in words."""
        return f"{self.n_folds} folds by {self.by}, all choices made on the other folds"


def require_enough(site: SiteClips, labels: tuple[str, ...]) -> None:
    """Refuse recordings that are too few to fit and judge a head.

    Raises:
        ConfigError: names what is there and what is needed.
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
    """Return how often `fit_site` reports progress, at most."""
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
        config: how.
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
    old = Scores(tuple(head.logits(own) for own in site.embeddings), site.truth)
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
    """Choices by cross-validation within some of the clips."""

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

    def folds(self, places: Places) -> list[NDArray[np.bool_]]:
        return self._grouping.folds(places, self._config.seed)

    def fit(self, places: Places, strength: float) -> Head:
        """Return the head fitted on some clips, without a temperature."""
        embeddings = [self._site.embeddings[place] for place in places]
        sizes = np.array([len(own) for own in embeddings])
        windows = Windows(
            np.concatenate(embeddings).astype(np.float64),
            np.repeat(self._site.truth[places], sizes),
            np.repeat(self._weights(places) / sizes, sizes),
        )
        return fit_head(self._head, windows, strength)

    def choose(self, places: Places) -> _Choice:
        """Return what the clips' own cross-validation prefers."""
        weights = self._weights(places)
        found = []
        for strength, scores in zip(STRENGTHS, self._scores(places), strict=True):
            temperature = fit_temperature(scores, weights)
            at = dataclasses.replace(scores, temperature=temperature)
            loss = float(np.average(log_losses(at.probs, at.truth), weights=weights))
            found.append((loss, strength, at))
        # Of equals the first, which is the strongest pull.
        _, strength, scores = min(found, key=lambda one: one[0])
        return _Choice(strength, scores.temperature, fit_threshold(scores))

    def held_out(self) -> tuple[list[Float64], NDArray[np.bool_]]:
        """Return logits of every clip by a head that has not met it, and whether it is answered."""
        everything = np.arange(len(self._site.clips))
        logits: list[Float64] = [np.empty(0)] * len(everything)
        answered = np.zeros(len(everything), dtype=bool)
        for held in self.folds(everything):
            choice = self.choose(everything[~held])
            head = self.fit(everything[~held], choice.strength).scaled(choice.temperature)
            for place in everything[held]:
                logits[place] = head.logits(self._site.embeddings[place])
                probs = Scores((logits[place],), self._site.truth[[place]]).probs
                answered[place] = probs.max() >= choice.abstain_below
        return logits, answered

    def _scores(self, places: Places) -> list[Scores]:
        """Return held-out scores of some clips, for each of STRENGTHS."""
        folds = self.folds(places)
        found = []
        for strength in STRENGTHS:
            logits: list[Float64] = [np.empty(0)] * len(places)
            for held in folds:
                head = self.fit(places[~held], strength)
                for at in np.flatnonzero(held):
                    logits[at] = head.logits(self._site.embeddings[places[at]])
                self._progress()
            found.append(Scores(tuple(logits), self._site.truth[places]))
        return found

    def _weights(self, places: Places) -> Float64:
        """Return the weight of each clip; they sum to the number of clips."""
        if not self._config.balanced:
            return np.ones(len(places))
        truth = self._site.truth[places]
        counts = np.bincount(truth)
        share: Float64 = len(places) / np.count_nonzero(counts) / counts[truth]
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


def _gain(old: Scores, new: Scores, unit: Places, config: AdaptConfig, n_classes: int) -> Gain:
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


def _confusions(scores: Scores, index: Places, n_classes: int) -> Float64:
    """Return the confusion matrix of each unit [n_units, n_classes, n_classes]."""
    counts = np.zeros((index.max() + 1, n_classes, n_classes))
    np.add.at(counts, (index, scores.truth, scores.predicted), 1)
    return counts


def _prior(truth: Places, labels: tuple[str, ...]) -> dict[str, float]:
    counts = np.bincount(truth, minlength=len(labels))
    return {label: float(n) / len(truth) for label, n in zip(labels, counts, strict=True)}
