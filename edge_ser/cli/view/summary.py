"""What a live session came to, for its last lines."""

from __future__ import annotations

from collections import Counter, deque

from edge_ser.recognition.event_log import quantile
from edge_ser.recognition.events import Ended, Event, Window


class Summary:
    """Counts windows by label and keeps the last times, in bounded memory."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._compute_ms: deque[float] = deque(maxlen=10_000)
        self._latency_ms: deque[float] = deque(maxlen=10_000)
        self._ended: Ended | None = None

    def add(self, event: Event) -> None:
        """Count an event in."""
        if isinstance(event, Ended):
            self._ended = event
        if isinstance(event, Window):
            self._counts[event.label or "(silence)"] += 1
            if event.label is not None:
                self._compute_ms.append(event.compute_ms)
                self._latency_ms.append(event.latency_ms)

    def lines(self) -> tuple[str, ...]:
        """Return what to say; nothing when the session did not come to its end."""
        end = self._ended
        if end is None:
            return ()
        labels = ", ".join(f"{label} {n}" for label, n in self._counts.most_common())
        windows = f"{end.n_windows} windows: {labels or 'none'}"
        said = [f"heard {end.heard_s:.1f} s, {windows}; {end.n_utterances} utterances"]
        if self._compute_ms:
            said.append(
                f"features and inference per window: {_quantiles(self._compute_ms)}; from capture "
                f"to decision: {_quantiles(self._latency_ms)}; over the last "
                f"{len(self._compute_ms)} windows that were not silent"
            )
        said.append(f"lost: {end.n_overruns} overruns, {end.lost_s:.2f} s dropped")
        return tuple(said)


def _quantiles(values: deque[float]) -> str:
    return f"p50 {quantile(values, 0.5):.2f} ms, p99 {quantile(values, 0.99):.2f} ms"
