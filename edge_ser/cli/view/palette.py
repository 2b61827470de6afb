"""Colours and letters of what is shown; colour never says anything alone."""

from __future__ import annotations

from collections.abc import Sequence

QUIET = "color(244)"
"""For what is read second. As all colours here, readable on light and on dark: its contrast to
white, black and the usual themes is 3 or more (a test computes it)."""
GOOD = "color(64)"
BAD = "color(196)"
ON_COLOUR = "bold color(231)"
"""Text on any of the colours."""

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
"""What else a cell of the timeline may show."""


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Return a colour for each label; those of the shared vocabulary always have the same."""
    own = [label for label in labels if label not in _EMOTIONS]
    return {
        label: f"color({_EMOTIONS.get(label) or _OTHERS[own.index(label) % len(_OTHERS)]})"
        for label in labels
    }


def letters(labels: Sequence[str]) -> dict[str, str]:
    """Return a capital letter for each label: the first of its own that no other has.

    A label whose letters are all taken gets a digit, or `*` when there are no more of them.
    """
    taken: dict[str, str] = {}
    for label in labels:
        own = [c for c in label.upper() if c.isalpha() and len(c) == 1]
        free = (c for c in [*own, *"123456789"] if c not in taken.values())
        taken[label] = next(free, "*")
    return taken
