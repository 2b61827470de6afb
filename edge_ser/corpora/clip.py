"""Labelled recording, the unit of all corpora, splits and evaluations."""

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
    """Size of one corpus."""

    corpus: str
    n_clips: int
    n_official: int | None
    """Clips in the official release; None for own recordings."""
    n_speakers: int
    """Known speakers."""
    n_speaker_unknown: int
    """Clips whose speaker is unknown."""
    emotions: Mapping[str, int]
    """Emotion → clips, in the order of `sort_emotions`."""


def describe(clips: Iterable[Clip]) -> tuple[CorpusSummary, ...]:
    """Return a summary of each corpus, in order of first appearance."""
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

    A corpus labelled clip by clip can have those that occur in it. A clip that is neutral by intent is
    a negative example of every other emotion, so a `neutral:` corpus can have all emotions that occur
    in any corpus. A corpus without labels is left out.
    """
    every = occurring_emotions(clips)
    emotions_of_corpus: dict[str, frozenset[str]] = {}
    for clip in filter(is_labelled, clips):
        possible = every if is_background(clip) else frozenset({clip.emotion})
        emotions_of_corpus[clip.corpus] = (
            emotions_of_corpus.get(clip.corpus, frozenset()) | possible
        )
    return emotions_of_corpus


def common_emotions(clips: Sequence[Clip]) -> frozenset[str]:
    """Return the emotions that clips of every corpus can have; empty if no clip is labelled."""
    possible = possible_emotions(clips)
    return frozenset.intersection(*possible.values()) if possible else frozenset()


def occurring_emotions(clips: Iterable[Clip]) -> frozenset[str]:
    """Return the emotions that occur, without `UNLABELLED`."""
    return frozenset(clip.emotion for clip in clips if is_labelled(clip))


UNKNOWN_SPEAKER = "?"
"""Placeholder for an unknown speaker, in `Clip.speaker` after the corpus name."""


class PaperAugmentation(str, enum.Enum):
    """Copies of a recording that the notebooks of arXiv 2507.03251 make before the split."""

    ORIGINAL = "original"
    NOISE = "noise"
    PITCH = "pitch"
    PITCH_NOISE = "pitch+noise"


class Role(str, enum.Enum):
    """Reliability of a clip's label, which limits the parts of a split that the clip can be in."""

    LABELLED = "labelled"
    """Labelled one by one; allowed in any part."""
    NEUTRAL = "neutral"
    """Neutral by intent, not by annotation: crowd-sourced plain speech. Training only."""
    UNLABELLED = "unlabelled"
    """Speech without a label; not allowed in any part."""


@dataclass(frozen=True)
class Clip:
    """Labelled audio file. No field is read from the audio itself."""

    path: Path
    """Path of the audio file."""
    corpus: str
    """Key of `CORPORA`, or the user's name for own recordings."""
    speaker: str
    """Unique across corpora: "RAVDESS/01", "TESS/OAF", "NAME/speaker"."""
    emotion: str
    """One of `EMOTIONS`, another emotion of own recordings in lower case, or `UNLABELLED`."""
    label: str
    """The corpus' own label: "W", "ps", "fearful", "ANG"."""
    gender: str | None
    """"male" or "female"; None if unknown."""
    group: str
    """Clips of the same group hold the same audio and belong to the same part of any split."""
    channel: int | None
    """Channel to read, from 0; None: the mean of all."""
    copy: PaperAugmentation = PaperAugmentation.ORIGINAL
    """Augmented copy of the recording; only the `paper` protocol makes copies."""
    role: Role = Role.LABELLED
    """Reliability of the label, determined by the kind of the corpus."""


def speaker_id(corpus: str, speaker: str) -> str:
    """Return the name of a speaker that is unique across corpora."""
    return f"{corpus}/{speaker}"


def speaker_known(clip: Clip) -> bool:
    """Return whether the speaker is known, which a speaker-independent split requires."""
    return clip.speaker != speaker_id(clip.corpus, UNKNOWN_SPEAKER)


def is_background(clip: Clip) -> bool:
    """Return whether a clip is neutral by intent.

    Protocols use such clips for training only.
    """
    return clip.role is Role.NEUTRAL


def is_labelled(clip: Clip) -> bool:
    """Return whether a clip has a label, by annotation or by intent."""
    return clip.emotion != UNLABELLED
