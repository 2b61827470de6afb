"""Whether memory grows while nothing but listening happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_FLOOR_BYTES = 1 << 20
"""Allocators and caches move by so much; less is no sign of anything."""
_FLOOR_SHARE = 0.01
_FEWEST = 6


@dataclass(frozen=True)
class Growth:
    """Memory over a run: medians of its first and its last third."""

    first_bytes: int
    last_bytes: int
    peak_bytes: int
    grows: bool
    """Whether it grew in all three thirds' medians, by more than 1 MiB and 1% in all."""

    @property
    def growth_bytes(self) -> int:
        """By how much; may be below 0."""
        return self.last_bytes - self.first_bytes


def growth_of(values: Sequence[int]) -> Growth | None:
    """Judge a series of sizes in bytes, in the order of time; None for fewer than 6 of them."""
    if len(values) < _FEWEST:
        return None
    n = len(values) // 3
    first, middle, last = (
        median(part) for part in (values[:n], values[n : len(values) - n], values[-n:])
    )
    threshold = max(_FLOOR_BYTES, _FLOOR_SHARE * first)
    # What grows once, a cache or an arena, does so in the beginning; a leak goes on to the end.
    grows = last - first > threshold and last - middle > threshold / 4 and middle > first
    return Growth(int(first), int(last), max(values), grows)
