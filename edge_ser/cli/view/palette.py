"""Colours and letters of the live view. No information is given by colour alone."""

from __future__ import annotations

from collections.abc import Sequence

QUIET = "color(244)"
"""Secondary text. As for all colours here, the contrast to white, black and the usual themes is 3
or more (checked by a test)."""
GOOD = "color(64)"
BAD = "color(196)"
ON_COLOUR = "bold color(231)"
"""Text on a coloured background."""

_EMOTIONS = {
    "neutral": 244,
    "calm": 30,
    "happy": 136,
    "sad": 33,
    "angry": 196,
    "fearful": 134,
    "disgust": 64,
    "surprised": 168,
    "bored": 101,
}
_OTHERS = (31, 166, 97, 65, 130)

MARKS = {
    "?": "not sure",
    "-": "speech",
    "·": "silence",
    "!": "lost",
    "x": "no device",
}
"""Other marks of a timeline cell, with their meaning."""


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Return a colour for each label; labels of the shared vocabulary have fixed colours."""
    others = [label for label in labels if label not in _EMOTIONS]
    return {
        label: f"color({_EMOTIONS.get(label) or _OTHERS[others.index(label) % len(_OTHERS)]})"
        for label in labels
    }


def letters(labels: Sequence[str]) -> dict[str, str]:
    """Return a capital letter for each label: its first letter that is not taken.

    If all letters of a label are taken, it gets a digit, or `*` if the digits are taken, too.
    """
    taken: dict[str, str] = {}
    for label in labels:
        candidates = [c for c in label.upper() if c.isalpha() and len(c) == 1]
        free = (c for c in [*candidates, *"123456789"] if c not in taken.values())
        taken[label] = next(free, "*")
    return taken
