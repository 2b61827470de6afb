"""Formatting of figures, the same in the terminal, on the page and in the model card."""

from __future__ import annotations

from collections.abc import Mapping

from edge_ser.evaluation.answers import LiveFigures
from edge_ser.evaluation.figures import Abstention, ClassCalls, ConfidentErrors
from edge_ser.evaluation.resampling import OVER_FILES, OVER_SPEAKERS, Figure

MISSING = "–"
"""Placeholder for a missing figure."""

_FEW_SPEAKERS = 10
"""With fewer speakers bootstrap intervals are too narrow (Cameron, Gelbach & Miller 2008)."""


def percent(share: float) -> str:
    """Return a share in [0, 1] as `66.4%`."""
    return f"{100 * share:.1f}%"


def percent_interval(figure: Figure) -> str:
    """Return the interval of a share as `58.1–72.0`."""
    return "–".join(f"{100 * bound:.1f}" for bound in figure.interval) or MISSING


def share(n: int, n_all: int) -> str:
    """Return n / n_all as a share, `66.4%`; `MISSING` if `n_all` is 0."""
    return percent(n / n_all) if n_all else MISSING


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


def speakers(n_known: int, n_unknown: int) -> str:
    """Return the number of speakers: `7`, `unknown`, or `3, unknown in 20 clips`.

    Args:
        n_known: known speakers.
        n_unknown: clips of unknown speakers.
    """
    if not n_unknown:
        return str(n_known)
    return f"{n_known}, unknown in {n_unknown} clips" if n_known else "unknown"


def ratio(calls: ClassCalls) -> str:
    """Return the predictions of a label for each clip of that label, as `2.1×`."""
    return MISSING if calls.ratio is None else f"{calls.ratio:.2g}×"


def confident_errors(errors: ConfidentErrors) -> str:
    """Return the number of confident errors, as `12 of 90 (13.3%)`."""
    if not errors.n_answered:
        return "no such answer"
    return f"{errors.n_errors} of {errors.n_answered} ({share(errors.n_errors, errors.n_answered)})"


def pairs(errors: ConfidentErrors) -> str:
    """Return the most frequent confident errors, as `sad → disgust 7, happy → angry 2`."""
    return ", ".join(f"{p.truth} → {p.called} {p.n_clips}" for p in errors.pairs) or MISSING


def counts(found: Mapping[str, int], n_all: int) -> str:
    """Return counts by label as shares, the most frequent first: `neutral 40%, sad 7%`."""
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    shares = [(label, 100 * n / n_all) for label, n in ranked]
    return ", ".join(f"{x} {f'{p:.0f}' if p >= 1 else '<1'}%" for x, p in shares) or MISSING


def no_answer(found: Mapping[str, int]) -> str:
    """Return the number of clips without an answer, by reason: `1 silent, 2 too short`."""
    return ", ".join(f"{n} {reason}" for reason, n in found.items()) or "0"


def changes(live: LiveFigures) -> str:
    """Return the label changes for each minute of speech, as `17.8`."""
    rate = live.changes_per_min
    return MISSING if rate is None else f"{rate:.1f}"


def mode(detector: str) -> str:
    """Return a description of the mode, i.e. of the prediction that a clip is scored on.

    Args:
        detector: name of the voice detector; empty in mode `clip`.
    """
    if not detector:
        return "each clip as one recording; its answer is the mean of its windows"
    return (
        f"live, each clip through the voice detector {detector}; its answer is that of the utterance "
        "with most speech"
    )


def intervals(over: str, n_draws: int, n_speakers: int) -> str:
    """Return a description of the method of the intervals.

    Args:
        over: units of the bootstrap, see `resampling`.
        n_draws: of the bootstrap.
        n_speakers: known speakers.
    """
    if not over:
        return "one speaker, so no intervals"
    if over == OVER_FILES:
        return "95% intervals of a share of independent files (Wilson)"
    description = f"95% intervals by bootstrap over {over}, {n_draws} draws"
    if over != OVER_SPEAKERS:
        return f"{description}; too narrow, since clips of one speaker are alike"
    few = n_speakers < _FEW_SPEAKERS
    return description + (f"; too narrow with so few speakers ({n_speakers})" if few else "")
