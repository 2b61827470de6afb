"""Source protocol, and the items that a source yields: audio, losses and device changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from edge_ser.audio.io import AudioChunk


@dataclass(frozen=True)
class AudioLost:
    """Audio was lost before it was read (an overrun)."""

    seconds: float | None
    """Seconds lost; None if the device reports a loss without its length."""
    reason: str
    """`device`: the system lost it. `backlog`: recognition lagged behind and it was dropped."""


@dataclass(frozen=True)
class Disconnected:
    """The device stopped delivering; the source keeps trying to reopen it."""

    device: str
    reason: str


@dataclass(frozen=True)
class Reconnected:
    """The device delivers again."""

    device: str
    away_s: float
    """Seconds without audio, by the monotonic clock."""


@dataclass(frozen=True)
class Idle:
    """No item arrived for a while; lets the caller report that it is alive."""


SourceItem = AudioChunk | AudioLost | Disconnected | Reconnected | Idle


class Source(Protocol):
    """Source of audio. Use it as a context manager and iterate over it once.

    A live source yields at least one `Idle` per second, so that the caller never blocks for longer.
    """

    @property
    def name(self) -> str:
        """Name in events, e.g. `mic:USB Audio`, `stdin` or a path."""

    @property
    def live(self) -> bool:
        """Whether audio arrives in real time and cannot be read again."""

    @property
    def ends(self) -> bool:
        """Whether it ends by itself, as files and pipes do; known once it is open."""

    def __enter__(self) -> Source:
        """Open the source.

        Raises:
            AudioError: it cannot be opened.
        """

    def __exit__(self, *exc: object) -> None:
        """Close the source."""

    def __iter__(self) -> Iterator[SourceItem]:
        """Yield items until the source ends.

        Raises:
            AudioError: reading fails.
        """
