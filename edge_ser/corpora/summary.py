"""How many clips, speakers and emotions a set of clips holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_ser.corpora.clip import Clip, speaker_known
from edge_ser.corpora.info import CORPORA
from edge_ser.corpora.labels import sort_emotions


@dataclass(frozen=True)
class CorpusSummary:
    """The size of one corpus."""

    corpus: str
    n_clips: int
    n_official: int | None
    """Clips in the official release; None for own recordings."""
    n_speakers: int
    """Known speakers."""
    n_speaker_unknown: int
    """Clips of which it is not known who speaks."""
    emotions: Mapping[str, int]
    """Emotion → clips, in the order of `sort_emotions`."""


def describe(clips: Iterable[Clip]) -> tuple[CorpusSummary, ...]:
    """Return a summary of each corpus, in the order in which the corpora first appear."""
    by_corpus: dict[str, list[Clip]] = {}
    for clip in clips:
        by_corpus.setdefault(clip.corpus, []).append(clip)
    return tuple(_summary(corpus, members) for corpus, members in by_corpus.items())


def _summary(corpus: str, clips: list[Clip]) -> CorpusSummary:
    known = [clip.speaker for clip in clips if speaker_known(clip)]
    counts = Counter(clip.emotion for clip in clips)
    return CorpusSummary(
        corpus=corpus,
        n_clips=len(clips),
        n_official=CORPORA[corpus].n_clips if corpus in CORPORA else None,
        n_speakers=len(set(known)),
        n_speaker_unknown=len(clips) - len(known),
        emotions={emotion: counts[emotion] for emotion in sort_emotions(counts)},
    )
