"""Power sensor protocol, and the result of a search for sensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

What = Literal["board", "gpu", "cpu package", "memory", "platform", "rail"]
"""Measured part; a `rail` is one supply of a board, identified by its name."""

Unit = Literal["W", "J"]
"""Unit of `read`: current power, or a monotonic energy counter."""


class PowerSensor(Protocol):
    """Power sensor protocol."""

    @property
    def name(self) -> str:
        """Name by the manufacturer: VDD_IN, package-0, GPU 0."""
        ...

    @property
    def what(self) -> What:
        """Measured part."""
        ...

    @property
    def whole_board(self) -> bool:
        """Whether this sensor alone measures the board."""
        ...

    @property
    def unit(self) -> Unit:
        """Unit of `read`."""
        ...

    @property
    def update_s(self) -> float | None:
        """Seconds between new values, which are means over that time; None if not known."""
        ...

    def read(self) -> float:
        """Return watts, or joules since some moment before the first call.

        Raises:
            OSError: the sensor does not answer.
        """
        ...

    def close(self) -> None:
        """Release the resources of the sensor."""
        ...


@dataclass(frozen=True)
class Found:
    """Sensors of one kind that were found, and the reasons why others are missing."""

    sensors: tuple[PowerSensor, ...]
    unavailable: tuple[str, ...]
    """Reasons, one sentence each, with a remedy."""


def read_text(path: Path) -> str:
    """Return a small file of sysfs or procfs without its line end.

    Raises:
        OSError: the file is missing or not readable.
    """
    return path.read_text(encoding="utf-8", errors="replace").strip()


def read_number(path: Path) -> int:
    """Return the integer that a file of sysfs holds.

    Raises:
        OSError: the file is missing, not readable, or holds no integer.
    """
    text = read_text(path)
    try:
        return int(text)
    except ValueError:
        raise OSError(f"{path}: expected a number, got {text[:40]!r}") from None
