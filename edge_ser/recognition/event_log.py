"""The events of one session: numbered, timed, counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import TypedDict

from edge_ser.recognition.events import Ended, Heartbeat, utc_now

_REMEMBERED_S = 30.0
"""Seconds of audio whose capture is remembered: longer than any window or pause that is waited for."""


class CaptureClock:
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


_LATENCIES = 1_000
"""Windows over which a heartbeat's percentiles are taken."""


def quantile(values: Collection[float], q: float) -> float:
    """Return the value at or below which a share `q` of all lies; `values` must not be empty."""
    return sorted(values)[int(q * (len(values) - 1))]


class Stamp(TypedDict):
    """Fields of `Event`: number, source and times."""

    seq: int
    source: str
    at_s: float
    monotonic_s: float
    time: str


class _Counts(TypedDict):
    heard_s: float
    n_windows: int
    n_utterances: int
    n_overruns: int
    lost_s: float


class EventLog:
    """Make events, and keep count of what they say.

    Args:
        source: what events call the source.
        clock: monotonic seconds.
    """

    def __init__(self, source: str, clock: Callable[[], float]) -> None:
        self.source = source
        self.clock = clock
        self.captured = CaptureClock()
        self.heard_s = 0.0
        self.lost_s = 0.0
        self.n_windows = 0
        self.n_utterances = 0
        self.n_overruns = 0
        self.baseline_s: float | None = None
        self._seq = 0
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)

    def stamp(self, at_s: float) -> Stamp:
        """Return the fields that all events share, for the next event, decided now.

        `Overrun(**session.stamp(at_s), lost_s=0.1, reason="…")` is checked by mypy, field by field.

        Args:
            at_s: seconds of audio from the beginning of the stream to what the event is about.
        """
        seq, self._seq = self._seq, self._seq + 1
        return {
            "seq": seq,
            "source": self.source,
            "at_s": at_s,
            "monotonic_s": self.clock(),
            "time": utc_now(),
        }

    def latency_ms(self, at_s: float, *, of_window: bool = False) -> float:
        """Return how long ago the sample at `at_s` was captured; windows' go into percentiles."""
        latency = self.captured.latency_ms(at_s, self.clock())
        if of_window:
            self._latencies.append(latency)
        return latency

    def heartbeat(self, at_s: float, state: str) -> Heartbeat:
        """Return what was done so far."""
        p50, p99 = (quantile(self._latencies, q) if self._latencies else None for q in (0.5, 0.99))
        return Heartbeat(
            **self.stamp(at_s),
            state=state,
            latency_p50_ms=p50,
            latency_p99_ms=p99,
            baseline_s=self.baseline_s,
            **self._counts(),
        )

    def ended(self, at_s: float, reason: str) -> Ended:
        """Return the last event."""
        return Ended(**self.stamp(at_s), reason=reason, **self._counts())

    def _counts(self) -> _Counts:
        return {
            "heard_s": self.heard_s,
            "n_windows": self.n_windows,
            "n_utterances": self.n_utterances,
            "n_overruns": self.n_overruns,
            "lost_s": self.lost_s,
        }
