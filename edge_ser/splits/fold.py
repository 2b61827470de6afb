"""One division of clips into training, validation and test."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from edge_ser.corpora import Clip


class Shared(str, enum.Enum):
    """What can stand on both sides of a split."""

    SPEAKERS = "speakers"
    CLIPS = "clips"
    """The same row, or another file of the same group."""
    COPIES = "copies"
    """Another augmented copy of the same recording."""
    AUDIO = "audio"
    """A file of another name and group with the same content."""


@dataclass(frozen=True)
class Fold:
    """Clips by part, under a named protocol. Made by the protocols, which check what they promise."""

    protocol: str
    """`speaker-independent`, `emobox`, `clip-grouped`, `paper` or `cross-corpus`."""
    name: str
    """What tells this fold from the others of its protocol: `1`, `EMO-DB/03`, `RAVDESS to TESS`."""
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    """By these the epoch is chosen; empty where the number of epochs is fixed beforehand."""
    test: tuple[Clip, ...]

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All clips, training first, then validation, then test."""
        return self.train + self.validation + self.test


def speakers(clips: Iterable[Clip]) -> tuple[str, ...]:
    """Return the speakers of clips, sorted."""
    return tuple(sorted({clip.speaker for clip in clips}))
