"""One labelled recording, as every other part of edge-ser sees it."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ser.corpora.info import CORPORA
from edge_ser.corpora.labels import UNLABELLED, sort_emotions


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


def possible_emotions(clips: Sequence[Clip]) -> dict[str, frozenset[str]]:
    """Return corpus → the emotions that its clips can have, in the order of first appearance.

    A corpus that was labelled clip by clip can have those that occur in it. A clip that is neutral
    by intent denies every other emotion, so a `neutral:` corpus can have all that occur in any
    corpus. A corpus without labels is left out.
    """
    every = occurring_emotions(clips)
    found: dict[str, frozenset[str]] = {}
    for clip in filter(is_labelled, clips):
        own = every if is_background(clip) else frozenset({clip.emotion})
        found[clip.corpus] = found.get(clip.corpus, frozenset()) | own
    return found


def common_emotions(clips: Sequence[Clip]) -> frozenset[str]:
    """Return the emotions that clips of every corpus can have; none where no clip is labelled."""
    possible = possible_emotions(clips)
    return frozenset.intersection(*possible.values()) if possible else frozenset()


def occurring_emotions(clips: Iterable[Clip]) -> frozenset[str]:
    """Return the emotions that occur, `UNLABELLED` aside."""
    return frozenset(clip.emotion for clip in clips if is_labelled(clip))


UNKNOWN_SPEAKER = "?"
"""Stands for the speaker, in `Clip.speaker` after the corpus name, when nobody said who speaks."""


class PaperAugmentation(str, enum.Enum):
    """Copies of a recording that the notebooks of arXiv 2507.03251 make before the split."""

    ORIGINAL = "original"
    NOISE = "noise"
    PITCH = "pitch"
    PITCH_NOISE = "pitch+noise"


class Role(str, enum.Enum):
    """What the label of a clip is worth, and so which part of a split the clip can stand in."""

    LABELLED = "labelled"
    """Labelled one by one; any part."""
    NEUTRAL = "neutral"
    """Neutral by intent, not by judgement: plain speech of a crowd. Training only."""
    UNLABELLED = "unlabelled"
    """Speech without a label; no part of a split."""


@dataclass(frozen=True)
class Clip:
    """A labelled audio file. Nothing here was read from the audio itself."""

    path: Path
    """Where the audio lies."""
    corpus: str
    """A key of `CORPORA`, or the name that the user gave to own recordings."""
    speaker: str
    """Unique across corpora: "RAVDESS/01", "TESS/OAF", "NAME/speaker"."""
    emotion: str
    """One of `EMOTIONS`; own recordings may bring others, in lower case; or `UNLABELLED`."""
    label: str
    """The corpus' own label: "W", "ps", "fearful", "ANG"."""
    gender: str | None
    """"male" or "female", None where not known."""
    group: str
    """Clips with one group hold the same audio and belong on one side of any split."""
    channel: int | None
    """Channel to read, from 0; None: the mean of all."""
    copy: PaperAugmentation = PaperAugmentation.ORIGINAL
    """Which augmented copy of the recording this is; only the `paper` protocol makes any."""
    role: Role = Role.LABELLED
    """What the label is worth; by the kind of the corpus."""


def speaker_id(corpus: str, speaker: str) -> str:
    """Return the name of a speaker that is unique across corpora."""
    return f"{corpus}/{speaker}"


def speaker_known(clip: Clip) -> bool:
    """Return whether it is known who speaks, which a speaker-independent split requires."""
    return clip.speaker != speaker_id(clip.corpus, UNKNOWN_SPEAKER)


def is_background(clip: Clip) -> bool:
    """Return whether a clip is neutral by intent.

    Protocols put such clips into training, and never test on them.
    """
    return clip.role is Role.NEUTRAL


def is_labelled(clip: Clip) -> bool:
    """Return whether a clip has a label, by judgement or by intent."""
    return clip.emotion != UNLABELLED
