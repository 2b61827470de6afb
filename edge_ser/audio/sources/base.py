"""What a source hands over: audio, and what happened to it on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from edge_ser.audio.io import AudioChunk


@dataclass(frozen=True)
class AudioLost:
    """Audio was lost before it came here (an overrun)."""

    seconds: float | None
    """How much; None where the device only says that some was."""
    reason: str
    """`device`: the system lost it. `backlog`: recognition lagged behind and it was thrown away."""


@dataclass(frozen=True)
class Disconnected:
    """The device delivers no more; the source goes on trying to open it again."""

    device: str
    reason: str


@dataclass(frozen=True)
class Reconnected:
    """The device delivers again."""

    device: str
    away_s: float
    """Seconds without audio, as the monotonic clock has them."""


@dataclass(frozen=True)
class Idle:
    """Nothing came for a while: a chance to say that one is alive."""


SourceItem = AudioChunk | AudioLost | Disconnected | Reconnected | Idle


class Source(Protocol):
    """Where audio comes from. Use it as a context manager, iterate over it once.

    A live source yields at least a `Idle` a second, so that whoever listens is never stuck.
    """

    @property
    def name(self) -> str:
        """What events call it, e.g. `mic:USB Audio`, `stdin` or a path."""

    @property
    def live(self) -> bool:
        """Whether audio comes in real time and cannot be asked for again."""

    @property
    def ends(self) -> bool:
        """Whether it ends by itself, as a file and a pipe do; known once it is open."""

    def __enter__(self) -> Source:
        """Open it.

        Raises:
            AudioError: it cannot be opened.
        """

    def __exit__(self, *exc: object) -> None:
        """Close it."""

    def __iter__(self) -> Iterator[SourceItem]:
        """Yield what comes, until it ends.

        Raises:
            AudioError: it cannot be read on.
        """
