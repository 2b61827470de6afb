"""Emotion vocabulary shared by all corpora, and the mapping of other labels to it."""

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
"""Shared vocabulary, in the order of classes, columns and reports."""

UNLABELLED = "unlabelled"
"""Value of `Clip.emotion` for clips without a label. Never a class."""

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
    """Return text without surrounding whitespace, in Unicode form NFC.

    File systems encode accented letters differently: without normalization, a copy to another machine
    could turn one speaker or label into two.
    """
    return unicodedata.normalize("NFC", text).strip()
