"""Fold: one split of clips into training, validation and test."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from edge_ser.corpora import Clip


class Shared(str, enum.Enum):
    """Kind of overlap between the parts of a split."""

    SPEAKERS = "speakers"
    CLIPS = "clips"
    """The same row, or another file of the same group."""
    COPIES = "copies"
    """Other augmented copy of the same recording."""
    AUDIO = "audio"
    """File of another name and group with the same content."""


@dataclass(frozen=True)
class Fold:
    """Clips by part, under a named protocol. Folds are made and checked by the protocols."""

    protocol: str
    """`speaker-independent`, `emobox`, `clip-grouped`, `paper` or `cross-corpus`."""
    name: str
    """Unique name within the protocol: `1`, `EMO-DB/03`, `RAVDESS to TESS`."""
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    """Clips that the epoch is chosen by; empty for a fixed number of epochs."""
    test: tuple[Clip, ...]

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All clips, training first, then validation, then test."""
        return self.train + self.validation + self.test


def speakers(clips: Iterable[Clip]) -> tuple[str, ...]:
    """Return the speakers of clips, sorted."""
    return tuple(sorted({clip.speaker for clip in clips}))
