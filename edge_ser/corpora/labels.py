"""The emotion vocabulary that all corpora share, and the way into it for other labels."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

EMOTIONS = (
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
    "bored",
)
"""The shared vocabulary, in the order that classes, columns and reports use."""

UNLABELLED = "unlabelled"
"""Stands for the emotion in `Clip.emotion` where no label is known. Never a class."""

_SYNONYMS = {
    "anger": "angry",
    "boredom": "bored",
    "disgusted": "disgust",
    "fear": "fearful",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprise": "surprised",
}


def shared_emotion(label: str) -> str:
    """Return the shared name of a label from own recordings.

    Common synonyms are mapped ("Anger" → "angry"); any other label is kept, in lower case.
    """
    emotion = clean_text(label).lower()
    return _SYNONYMS.get(emotion, emotion)


def sort_emotions(emotions: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct emotions, the shared ones in their fixed order, then the others A–Z."""
    distinct = set(emotions)
    shared = tuple(emotion for emotion in EMOTIONS if emotion in distinct)
    return shared + tuple(sorted(distinct.difference(EMOTIONS)))


def clean_text(text: str) -> str:
    """Return text without outer blanks, in Unicode form NFC.

    File systems differ in how they spell an accented letter: without this, one speaker or one
    label would become two after a copy between machines.
    """
    return unicodedata.normalize("NFC", text).strip()
