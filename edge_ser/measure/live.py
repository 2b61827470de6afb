"""Figures of clips that were played as a live source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_ser.measure.answers import ClipAnswer


@dataclass(frozen=True)
class LiveFigures:
    """What the voice detector and the smoothing made of a set of clips."""

    n_without_speech: int
    """Clips in which the voice detector found no speech."""
    n_utterances: int
    speech_s: float
    """Seconds of speech that it found."""
    n_changes: int
    """Changes of the smoothed label within utterances, to and from abstention included."""
    n_abstention_changes: int
    """Those of them that begin or end an abstention."""

    @property
    def changes_per_min(self) -> float | None:
        """Changes for each minute of speech; None without speech."""
        return 60 * self.n_changes / self.speech_s if self.speech_s else None


def live_figures(answers: Sequence[ClipAnswer]) -> LiveFigures | None:
    """Sum up clips; None where one was not played as a live source."""
    found = [answer.live for answer in answers]
    live = [facts for facts in found if facts is not None]
    if len(live) < len(found) or not live:
        return None
    return LiveFigures(
        n_without_speech=sum(facts.n_utterances == 0 for facts in live),
        n_utterances=sum(facts.n_utterances for facts in live),
        speech_s=sum(facts.speech_s for facts in live),
        n_changes=sum(facts.n_changes for facts in live),
        n_abstention_changes=sum(facts.n_abstention_changes for facts in live),
    )
