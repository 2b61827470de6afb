"""What training knew of a corpus that is measured on: the block its figures stand in."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ser.card import ModelCard
from edge_ser.corpora import Clip, speaker_known

UNSEEN = "unseen corpora"
NEW_SPEAKERS = "new speakers"
TRAINED = "trained speakers"
UNKNOWN = "unknown"

SCOPES = (UNSEEN, NEW_SPEAKERS, TRAINED, UNKNOWN)
"""In the order of reports."""

TITLES = {
    UNSEEN: "Corpora that are not in the training data",
    NEW_SPEAKERS: "New speakers of the training corpora",
    TRAINED: "Speakers of the training data",
    UNKNOWN: "Speech of which the overlap with the training data is not known",
}

NOTES = {
    UNSEEN: "not in the training data",
    NEW_SPEAKERS: "new speakers of a training corpus",
    TRAINED: "speakers of the training data",
    UNKNOWN: "overlap with the training data unknown",
}

MEANINGS = {
    UNSEEN: "What a stranger meets: other voices, rooms, microphones and mostly other sentences.",
    NEW_SPEAKERS: (
        "The speakers are new; sentences, studio, microphone and language are those of the training. "
        "It cannot tell how the model does on other voices, rooms, languages and microphones."
    ),
    TRAINED: "What the model remembers, not what a new speaker meets.",
    UNKNOWN: (
        "The model file or the corpus does not say who speaks, so speakers of the training may be "
        "among them."
    ),
}

_HALVES = ("#train", "#held")


def scope_of(clips: Sequence[Clip], card: ModelCard) -> str:
    """Return the scope of the clips of one corpus.

    Corpora are compared by name, with that of a half (`NAME#train`, `NAME#held`) taken for the whole.
    A corpus by which the epoch was chosen counts as one of the training.

    Args:
        clips: those of the corpus that are measured on, at least one.
        card: the model's.
    """
    trained = {speaker for use in card.corpora for speaker in use.speakers}
    tuned = {s for a in card.accuracy if a.split == "validation" for s in a.speakers}
    if any(clip.speaker in trained for clip in clips):
        return TRAINED
    if not card.corpora:
        return UNKNOWN
    names = {use.name for use in card.corpora} | {speaker.partition("/")[0] for speaker in tuned}
    if _whole(clips[0].corpus) not in {_whole(name) for name in names}:
        return UNSEEN
    return NEW_SPEAKERS if all(map(speaker_known, clips)) else UNKNOWN


def _whole(name: str) -> str:
    for end in _HALVES:
        name = name.removesuffix(end)
    return name.casefold()
