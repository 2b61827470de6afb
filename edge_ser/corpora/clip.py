"""One labelled recording, as every other part of edge-ser sees it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from edge_ser.corpora.labels import UNLABELLED

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
