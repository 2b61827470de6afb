"""Figures as people read them: the same in the terminal, on the page and in the model card."""

from __future__ import annotations

from edge_ser.measure.figures import Abstention, Figure

MISSING = "–"
"""Stands where there is no figure."""


def percent(share: float) -> str:
    """Return a share in [0, 1] as `66.4%`."""
    return f"{100 * share:.1f}%"


def percent_interval(figure: Figure) -> str:
    """Return the interval of a share as `58.1–72.0`."""
    return "–".join(f"{100 * bound:.1f}" for bound in figure.interval) or MISSING


def decimal(value: float) -> str:
    """Return a value as `0.089`."""
    return f"{value:.3f}"


def decimal_interval(figure: Figure) -> str:
    """Return an interval as `0.065–0.145`."""
    return "–".join(decimal(bound) for bound in figure.interval) or MISSING


def points(difference: float) -> str:
    """Return a difference of shares in percentage points, as `-4.2`."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def coverage(row: Abstention, n_clips: int) -> str:
    """Return the share of the clips that get an answer."""
    return percent(row.n_answered / n_clips)


def accuracy(row: Abstention) -> str:
    """Return the accuracy of the answers that are given."""
    return percent(row.n_correct / row.n_answered) if row.n_answered else MISSING


def decibels(value: float) -> str:
    """Return a ratio as `10 dB`."""
    return f"{value:g} dB"
