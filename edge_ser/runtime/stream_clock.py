"""When the audio at a place of the stream was captured, by the monotonic clock."""

from __future__ import annotations

from collections import deque

_REMEMBERED_S = 30.0
"""Seconds of audio whose capture is remembered: longer than any window or pause that is waited for."""


class StreamClock:
    """Remember when each piece of audio came, to tell how late a decision is."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[float, float, bool]] = deque()

    def heard(self, end_s: float, captured_s: float | None, now_s: float) -> None:
        """Note a piece of audio that ends at stream time `end_s`.

        Args:
            end_s: seconds of the stream.
            captured_s: monotonic time of its last sample; None for audio that is not live.
            now_s: monotonic time of its arrival.
        """
        live = captured_s is not None
        self._pieces.append((end_s, now_s if captured_s is None else captured_s, live))
        while self._pieces[0][0] < end_s - _REMEMBERED_S:
            self._pieces.popleft()

    def latency_ms(self, at_s: float, now_s: float) -> float:
        """Return how long ago the sample at `at_s` was captured (or came, where not live)."""
        end_s, when_s, live = self._pieces[-1]
        for piece in reversed(self._pieces):
            if piece[0] < at_s:
                break
            end_s, when_s, live = piece
        if live:
            when_s -= max(0.0, end_s - at_s)
        return max(0.0, now_s - when_s) * 1e3
