"""Numbers, times and counts of the events of one session."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import TypedDict

from edge_ser.recognition.events import Ended, Heartbeat, utc_now

_REMEMBERED_S = 30.0
"""Seconds of audio whose capture time is kept: longer than any window or pause."""


class CaptureClock:
    """Capture times of the last chunks, for the latency of decisions."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[float, float, bool]] = deque()

    def add(self, end_s: float, captured_s: float | None, now_s: float) -> None:
        """Add a chunk of audio that ends at stream time `end_s`.

        Args:
            end_s: seconds of the stream.
            captured_s: monotonic time of its last sample; None for audio that is not live.
            now_s: monotonic time of its arrival.
        """
        live = captured_s is not None
        self._chunks.append((end_s, now_s if captured_s is None else captured_s, live))
        while self._chunks[0][0] < end_s - _REMEMBERED_S:
            self._chunks.popleft()

    def latency_ms(self, at_s: float, now_s: float) -> float:
        """Return the time since the sample at `at_s` was captured (or received, if not live)."""
        end_s, when_s, live = self._chunks[-1]
        for chunk in reversed(self._chunks):
            if chunk[0] < at_s:
                break
            end_s, when_s, live = chunk
        if live:
            when_s -= max(0.0, end_s - at_s)
        return max(0.0, now_s - when_s) * 1e3


_LATENCIES = 1_000
"""Number of windows that the percentiles of a heartbeat count."""


def quantile(values: Collection[float], q: float) -> float:
    """Return the quantile `q`, in [0, 1], of values that are not empty."""
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
    """Create the events of one session and keep their counts.

    Args:
        source: name of the source in events.
        clock: monotonic seconds.
    """

    def __init__(self, source: str, clock: Callable[[], float]) -> None:
        self.source = source
        self.clock = clock
        self.captured = CaptureClock()
        self.audio_s = 0.0
        self.lost_s = 0.0
        self.n_windows = 0
        self.n_utterances = 0
        self.n_overruns = 0
        self.baseline_s: float | None = None
        self._seq = 0
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)

    def stamp(self, at_s: float) -> Stamp:
        """Return the common fields of the next event, decided now.

        A `TypedDict` lets mypy check `Overrun(**log.stamp(at_s), lost_s=0.1, reason="…")`.

        Args:
            at_s: stream time of the event, in seconds.
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
        """Return the time since the sample at `at_s` was captured; windows count for the percentiles."""
        latency = self.captured.latency_ms(at_s, self.clock())
        if of_window:
            self._latencies.append(latency)
        return latency

    def heartbeat(self, at_s: float, state: str) -> Heartbeat:
        """Return a heartbeat with the counts so far."""
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
        """Return the last event of the session."""
        return Ended(**self.stamp(at_s), reason=reason, **self._counts())

    def _counts(self) -> _Counts:
        return {
            "heard_s": self.audio_s,
            "n_windows": self.n_windows,
            "n_utterances": self.n_utterances,
            "n_overruns": self.n_overruns,
            "lost_s": self.lost_s,
        }
