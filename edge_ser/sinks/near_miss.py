"""Utterances whose answer was close to another: those that a label by a person teaches most about."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from edge_ser.runtime.events import Emotion, Event, Recorded, SpeechEnd, SpeechStart

MARGIN = 0.15
"""Difference of the two largest probabilities below which an answer is close."""

QUICK_S = 1.5
"""Seconds that a label has to last before another, or it changed quickly."""


@dataclass(frozen=True)
class Utterance:
    """An utterance that ended, and why its answer was close."""

    end: SpeechEnd
    reasons: tuple[str, ...]
    """Of `margin`, `changes`, `abstained`; none for an answer that was not close."""

    @property
    def start_s(self) -> float:
        """Stream time of its begin."""
        return self.end.start_s

    @property
    def end_s(self) -> float:
        """Stream time of its end."""
        return self.end.at_s

    def recorded(self, file: str, from_s: float, to_s: float) -> Recorded:
        """Return the event that notes where a recording holds the utterance."""
        end = self.end
        return Recorded(
            seq=end.seq,
            source=end.source,
            at_s=end.at_s,
            monotonic_s=end.monotonic_s,
            time=end.time,
            file=file,
            from_s=from_s,
            to_s=to_s,
            label=end.label,
            confidence=end.confidence or 0.0,
            abstained=end.abstained,
            probs=end.probs,
            near_miss=bool(self.reasons),
            reasons=self.reasons,
        )


class UtteranceWatch:
    """Follow the events of a stream and return each utterance that ends with an answer."""

    def __init__(self) -> None:
        self._labels: list[tuple[float, str]] = []
        """Stream time and label of each change within the utterance."""

    def take(self, event: Event) -> Utterance | None:
        """Take an event; return the utterance that it ends, if it was long enough for an answer."""
        if isinstance(event, SpeechStart):
            self._labels = []
        elif isinstance(event, Emotion) and event.label is not None:
            self._labels.append((event.at_s, event.label))
        elif isinstance(event, SpeechEnd):
            labels, self._labels = self._labels, []
            if event.probs:
                return Utterance(event, _reasons(event, labels))
        return None


def _reasons(end: SpeechEnd, labels: list[tuple[float, str]]) -> tuple[str, ...]:
    first, second = sorted((*end.probs.values(), 0.0), reverse=True)[:2]
    pairs = itertools.pairwise(labels)
    quick = any(b[0] - a[0] < QUICK_S and a[1] != b[1] for a, b in pairs)
    found = {"margin": first - second < MARGIN, "changes": quick, "abstained": end.abstained}
    return tuple(name for name, holds in found.items() if holds)
