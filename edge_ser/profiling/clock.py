"""The clock of a profile: monotonic, in nanoseconds; tests bring one of their own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now_ns(self) -> int:
        """Return the time; only differences mean something."""

    def sleep_until(self, due_ns: int) -> None:
        """Return at `due_ns` or a little later; at once where that is over."""


class MonotonicClock:
    """The system's: by it sources stamp what they capture, too, and all processes agree on it."""

    def now_ns(self) -> int:
        """Return `time.monotonic_ns()`."""
        return time.monotonic_ns()

    def sleep_until(self, due_ns: int) -> None:
        """Sleep as a program that waits for audio does: how late it wakes is part of the latency."""
        left_ns = due_ns - time.monotonic_ns()
        if left_ns > 0:
            time.sleep(left_ns / 1e9)
