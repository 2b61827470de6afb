"""Clock of a profile: monotonic, in nanoseconds, replaceable in tests."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Clock protocol: current time and sleep."""

    def now_ns(self) -> int:
        """Return the time; only differences are meaningful."""

    def sleep_until(self, due_ns: int) -> None:
        """Return at `due_ns` or slightly later; at once if it has passed."""


class MonotonicClock:
    """System clock, which sources use for capture times and all processes share."""

    def now_ns(self) -> int:
        """Return `time.monotonic_ns()`."""
        return time.monotonic_ns()

    def sleep_until(self, due_ns: int) -> None:
        """Sleep like a program that waits for audio: wake-up delay is part of the latency."""
        left_ns = due_ns - time.monotonic_ns()
        if left_ns > 0:
            time.sleep(left_ns / 1e9)
