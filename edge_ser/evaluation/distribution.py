"""Distribution of the answers to clips of one label, without labels, or without speech."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_ser.evaluation.answers import ClipAnswer, LiveFigures, live_figures
from edge_ser.evaluation.figures import CONFIDENT, reasons
from edge_ser.evaluation.resampling import OVER_FILES, Figure, Resampling
from edge_ser.metrics import wilson_interval

NEUTRAL = "neutral"

NO_SPEECH = "no speech"
"""Emotion of files without speech."""


@dataclass(frozen=True)
class Distribution:
    """Answers to the clips of one corpus. All shares are of all its clips."""

    of: str
    kind: str
    """`unlabelled`, `no speech`, or the one label of all clips, mostly `neutral`."""
    expected: str
    """Label that is no false alarm: that of all clips, `neutral` for unlabelled speech, empty for
    files without speech."""
    threshold: float
    """`abstain_below` of the card; below it the model abstains."""
    n_clips: int
    n_speakers: int
    """Known speakers."""
    n_speaker_unknown: int
    """Clips of unknown speakers."""
    intervals_over: str
    """Units that the bootstrap draws, or `files` if no speaker is known, see `resampling`; empty if
    there are no intervals."""
    likeliest: Mapping[str, int]
    """Clips by their likeliest label, whatever its probability."""
    called: Mapping[str, int]
    """Clips by label, for labels with at least the threshold's probability."""
    n_abstained: int
    """Clips with an answer below the threshold."""
    no_answer: Mapping[str, int]
    """Clips without an answer, by reason: `silent`, `too short`, `no speech`."""
    expected_or_abstained: Figure
    """Share that gets the expected label, or an abstention."""
    something_else: Figure
    """Share that gets another label with at least the threshold's probability: a false alarm."""
    sure_else: Figure
    """Share that gets another label with a probability of at least 0.8."""
    any_label: Figure
    """Share that gets any label. In live mode a label that is emitted once counts as well."""
    confidence: float | None
    """Mean probability of the likeliest label; None without answers."""
    live: LiveFigures | None
    """Statistics of live mode; None in mode `clip`."""


def distribution(
    of: str,
    answers: Sequence[ClipAnswer],
    labels: tuple[str, ...],
    *,
    kind: str,
    abstain_below: float,
    n_draws: int,
    seed: int,
) -> Distribution:
    """Return the distribution of the answers to clips of one corpus.

    Args:
        of: name of the corpus.
        answers: at least one.
        labels: the model's.
        kind: see `Distribution.kind`.
        abstain_below: the card's threshold, 0 for none.
        n_draws: of the bootstrap.
        seed: of the bootstrap.
    """
    resampling = Resampling.of(answers, n_draws, seed)
    expected = _expected(kind)
    taken = [answer for answer in answers if answer.answered(abstain_below)]

    # Without a known speaker every clip is drawn by itself, and a share of none or of all would get
    # an interval of no width.
    by_file = not resampling.speakers

    def share(hits: Sequence[bool]) -> Figure:
        if by_file:
            n_hits = sum(hits)
            return Figure(n_hits / len(hits), wilson_interval(n_hits, len(hits)))
        return resampling.share(hits) or Figure(0.0)

    def others(threshold: float) -> Figure:
        return share([a.answered(threshold) and a.predicted != expected for a in answers])

    answered = [a.confidence for a in answers if a.predicted]
    return Distribution(
        of=of,
        kind=kind,
        expected=expected,
        threshold=abstain_below,
        n_clips=len(answers),
        n_speakers=len(resampling.speakers),
        n_speaker_unknown=sum(not answer.speaker_known for answer in answers),
        intervals_over=OVER_FILES if by_file else resampling.over,
        likeliest=_count([a.predicted for a in answers if a.predicted], labels),
        called=_count([a.predicted for a in taken], labels),
        n_abstained=len(answered) - len(taken),
        no_answer=reasons(answers),
        expected_or_abstained=share(
            [
                bool(a.predicted) and (a.predicted == expected or not a.answered(abstain_below))
                for a in answers
            ]
        ),
        something_else=others(abstain_below),
        sure_else=others(max(CONFIDENT, abstain_below)),
        any_label=share([_labelled(a, abstain_below) for a in answers]),
        confidence=float(np.mean(answered)) if answered else None,
        live=live_figures(answers),
    )


def _expected(kind: str) -> str:
    if kind == NO_SPEECH:
        return ""
    return NEUTRAL if kind == "unlabelled" else kind


def _labelled(answer: ClipAnswer, threshold: float) -> bool:
    shown = answer.live is not None and answer.live.n_labels > 0
    return shown or answer.answered(threshold)


def _count(found: Sequence[str], labels: tuple[str, ...]) -> dict[str, int]:
    counts = Counter(found)
    return {label: counts[label] for label in labels if counts[label]}
