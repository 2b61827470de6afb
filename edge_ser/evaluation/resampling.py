"""Bootstrap of the confidence intervals: its units, its draws, and a figure with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.evaluation.answers import ClipAnswer
from edge_ser.metrics import Counts, Float64, bootstrap_weights, percentile_interval

OVER_SPEAKERS = "speakers"
"""Each speaker is drawn with all clips."""

OVER_CLIPS = "clips"
"""Each clip is drawn by itself, because no speaker is known: such an interval is too narrow."""

OVER_FILES = "files"
"""Nothing is drawn: Wilson's interval, for files whose dependence on each other is unknown."""

OVER_BOTH = "speakers, and single clips where the speaker is unknown"

Interval = Callable[[float, Float64], tuple[float, float]]


@dataclass(frozen=True)
class Figure:
    """A value and its 95% confidence interval."""

    value: float
    interval: tuple[float, ...] = ()
    """Lower and upper bound; empty for a single speaker."""


@dataclass(frozen=True)
class Resampling:
    """Units of the bootstrap over a set of answers, and its draws."""

    over: str
    """One of the `OVER_…` names; empty for a single unit, which gives no interval."""
    speakers: tuple[str, ...]
    """Known speakers, sorted; they are the first units."""
    owner: NDArray[np.int64]
    """Unit of each answer [n_answers]."""
    n_units: int
    weights: NDArray[np.int64] | None
    """Number of times each unit was drawn [n_draws, n_units]; None for one unit."""

    @classmethod
    def of(cls, answers: Sequence[ClipAnswer], n_draws: int, seed: int) -> Resampling:
        """Return the units of answers: known speakers, and clips of unknown speakers one by one."""
        names = tuple(sorted({a.speaker for a in answers if a.speaker_known}))
        number = {name: unit for unit, name in enumerate(names)}
        n_units, owner = len(names), []
        for answer in answers:
            if answer.speaker_known:
                owner.append(number[answer.speaker])
            else:
                owner.append(n_units)
                n_units += 1
        enough = n_units > 1
        return cls(
            over=_over(len(names), n_units) if enough else "",
            speakers=names,
            owner=np.array(owner, dtype=np.int64),
            n_units=n_units,
            weights=bootstrap_weights(n_units, n_draws, seed) if enough else None,
        )

    def sums(self, columns: Float64) -> Float64:
        """Return sums over the answers of each unit [n_units, ...] of columns [n_answers, ...]."""
        total = np.zeros((self.n_units, *columns.shape[1:]), dtype=np.float64)
        np.add.at(total, self.owner, columns)
        return total

    def figure(
        self,
        of_sums: Callable[[Counts], Float64],
        per_unit: Counts,
        interval: Interval = lambda _, draws: percentile_interval(draws),
    ) -> Figure:
        """Return a figure of sums.

        Args:
            of_sums: the figure [...] of sums [..., *shape].
            per_unit: the sums of each unit [n_units, *shape].
            interval: the interval of the value and its draws [n_draws].
        """
        value = float(of_sums(per_unit.sum(axis=0)))
        if self.weights is None:
            return Figure(value)
        drawn = np.tensordot(self.weights.astype(np.float64), per_unit.astype(np.float64), axes=1)
        return Figure(value, interval(value, of_sums(drawn)))

    def share(self, hits: Sequence[bool], among: Sequence[bool] | None = None) -> Figure | None:
        """Return the share of the answers that are hits; None if no answer counts.

        Args:
            hits: of each answer.
            among: whether each answer counts; None: all count.
        """
        counted = np.ones(len(hits)) if among is None else np.asarray(among, dtype=np.float64)
        columns = np.stack([counted, counted * np.asarray(hits, dtype=np.float64)], axis=1)
        if not counted.any():
            return None
        return self.figure(_shares, self.sums(columns))


def _over(n_speakers: int, n_units: int) -> str:
    if n_speakers == n_units:
        return OVER_SPEAKERS
    return OVER_BOTH if n_speakers else OVER_CLIPS


def _shares(sums: Counts) -> Float64:
    """Return hits / counted [...] of sums [..., 2]; NaN where nothing was counted."""
    counted, hits = sums[..., 0], sums[..., 1]
    shares: Float64 = np.divide(
        hits, counted, out=np.full(counted.shape, np.nan), where=counted > 0
    )
    return shares
