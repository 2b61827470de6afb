"""What a power sensor is, and what looking for some found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

What = Literal["board", "gpu", "cpu package", "memory", "platform", "rail"]
"""What a sensor measures; a `rail` is one of a board's supplies, told apart by its name."""

Unit = Literal["W", "J"]
"""What `read` returns: the power of now, or a counter of energy that only grows."""


class PowerSensor(Protocol):
    """One place where power is measured."""

    @property
    def name(self) -> str:
        """The maker's name: VDD_IN, package-0, GPU 0."""
        ...

    @property
    def what(self) -> What:
        """What is measured."""
        ...

    @property
    def whole_board(self) -> bool:
        """This sensor alone holds all that the board takes."""
        ...

    @property
    def unit(self) -> Unit:
        """What `read` returns."""
        ...

    @property
    def update_s(self) -> float | None:
        """Seconds between two new values, which are means over that time; None where nobody says."""
        ...

    def read(self) -> float:
        """Return watts, or joules since some moment before the first call.

        Raises:
            OSError: the sensor does not answer.
        """
        ...

    def close(self) -> None:
        """Let go of what the sensor holds."""
        ...


@dataclass(frozen=True)
class Found:
    """The sensors of one kind that are there, and why others are not."""

    sensors: tuple[PowerSensor, ...]
    reasons: tuple[str, ...]
    """One sentence each, with what to do."""


def read_text(path: Path) -> str:
    """Return a small file of sysfs or procfs without its line end.

    Raises:
        OSError: it is not there, or may not be read.
    """
    return path.read_text(encoding="utf-8", errors="replace").strip()


def read_number(path: Path) -> int:
    """Return the integer that a file of sysfs holds.

    Raises:
        OSError: it is not there, may not be read, or holds something else.
    """
    text = read_text(path)
    try:
        return int(text)
    except ValueError:
        raise OSError(f"{path} holds {text[:40]!r}, a number was wanted") from None
