"""State of the live view, updated by events. Drawing is in `screen`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime

from edge_ser.cli.view.palette import letters
from edge_ser.cli.view.timeline import Timeline
from edge_ser.recognition.events import (
    DeviceBack,
    DeviceLost,
    Emotion,
    Ended,
    Event,
    Heartbeat,
    Overrun,
    SpeechEnd,
    SpeechStart,
    Started,
    Window,
)

_SMOOTHING = 0.4
"""Weight of a new window in the bars; it delays them by half a second at most."""
_HOLD_S, _FALL_DB_PER_S = 1.5, 20.0
"""Hold time of the level's peak, and its decay after that."""
_CLIPPED_S = 3.0
"""Seconds for which a clipped window is shown."""
_LOWEST_DBFS = -120.0


class ViewState:
    """Values that the view shows, derived from the events."""

    def __init__(self) -> None:
        self.started: Started | None = None
        self.labels: tuple[str, ...] = ()
        self.letters: Mapping[str, str] = {}
        self.source = ""
        self.probs: dict[str, float] = {}
        self.arousal: float | None = None
        """Smoothed like the bars; None in silence."""
        self.has_arousal = False
        """Whether the model has given an arousal."""
        self.speaking = False
        self.emotion: Emotion | None = None
        """Last emotion of this utterance."""
        self.level_dbfs = _LOWEST_DBFS
        self.voice: float | None = None
        self.timeline = Timeline()
        self.latency_ms: deque[float] = deque(maxlen=400)
        self.at_s = 0.0
        """Current stream time in seconds."""
        self.n_utterances = 0
        self.n_overruns = 0
        self.lost_s = 0.0
        self.lost: DeviceLost | None = None
        self._away_s = 0.0
        self._speech_from_s = 0.0
        self._event_at, self._event_now = 0.0, 0.0
        self._peak_dbfs, self._peak_at = _LOWEST_DBFS, 0.0
        self._clipped_at = float("-inf")

    @property
    def received_s(self) -> float:
        """Seconds of audio received: stream time without lost audio and device losses."""
        return max(0.0, self.at_s - self.lost_s - self._away_s)

    def level(
        self, dbfs: float, voice: float | None, now_s: float, at_s: float | None = None
    ) -> None:
        """Set the level and the probability of speech at `now_s` of the monotonic clock."""
        self.level_dbfs, self.voice = dbfs, voice
        if dbfs >= self.peak_dbfs(now_s):
            self._peak_dbfs, self._peak_at = dbfs, now_s
        # Without a stream time: that of the last event plus the time since then.
        self._advance(self._event_at + now_s - self._event_now if at_s is None else at_s)

    def tick(self, now_s: float) -> None:
        """Advance the timeline while no audio arrives; only during a device loss."""
        if self.lost is not None:
            self.timeline.advance(self.lost.at_s + self.away_s(now_s))

    def away_s(self, now_s: float) -> float:
        """Return the seconds since the device was lost; 0 if it is present."""
        return 0.0 if self.lost is None else max(0.0, now_s - self.lost.monotonic_s)

    def peak_dbfs(self, now_s: float) -> float:
        """Return the recent peak level, which decays after the hold time."""
        fallen = max(0.0, now_s - self._peak_at - _HOLD_S) * _FALL_DB_PER_S
        return max(_LOWEST_DBFS, self.level_dbfs, self._peak_dbfs - fallen)

    def clipped(self, now_s: float) -> bool:
        """Return whether a window was clipped within the last 3 s."""
        return now_s - self._clipped_at < _CLIPPED_S

    def lost_since(self) -> str:
        """Return the local wall-clock time of the device loss."""
        if self.lost is None:
            return ""
        return (
            datetime.fromisoformat(self.lost.time.replace("Z", "+00:00"))
            .astimezone()
            .strftime("%X")
        )

    def event(self, event: Event) -> None:
        """Update the state with an event."""
        self.source = event.source
        self._event_at, self._event_now = event.at_s, event.monotonic_s
        self._advance(event.at_s)
        match event:
            case Started():
                self.started = event
                self._set_labels(event.labels)
            case Window():
                self._window(event)
            case SpeechStart():
                self.speaking, self.emotion = True, None
                self._speech_from_s = event.at_s
                self.timeline.change("-", event.at_s)
            case Emotion():
                self._emotion(event)
            case SpeechEnd():
                self._speech_end(event)
            case Overrun():
                self.n_overruns += 1
                self.lost_s += event.lost_s or 0.0
                self.timeline.point("!", event.at_s, event.lost_s or 0.0)
            case DeviceLost() | DeviceBack():
                self._device(event)
            case Heartbeat() | Ended():
                self._count(event)

    def _advance(self, at_s: float) -> None:
        self.at_s = max(self.at_s, at_s)
        self.timeline.advance(self.at_s)

    def _set_labels(self, labels: tuple[str, ...]) -> None:
        self.labels, self.letters = labels, letters(labels)
        self.probs = dict.fromkeys(labels, 0.0)

    def _window(self, window: Window) -> None:
        if not self.labels:
            self._set_labels(tuple(window.probs))
        new = 1.0 if not any(self.probs.values()) else _SMOOTHING
        self.probs = {
            label: (1 - new) * self.probs[label] + new * window.probs.get(label, 0.0)
            for label in self.labels
        } if window.probs else dict.fromkeys(self.labels, 0.0)  # fmt: skip
        self._update_arousal(window.arousal, new)
        if window.label is not None:
            self.latency_ms.append(window.latency_ms)
        if window.clipped > 0:
            self._clipped_at = window.monotonic_s
        if self.started is not None and self.started.vad == "none":
            self._without_detector(window)

    def _update_arousal(self, arousal: float | None, new: float) -> None:
        """Smooth the arousal with weight `new`; None for silence, or a model without arousal."""
        self.has_arousal = self.has_arousal or arousal is not None
        if arousal is None or self.arousal is None:
            self.arousal = arousal
        else:
            self.arousal += new * (arousal - self.arousal)

    def _without_detector(self, window: Window) -> None:
        """Treat a window that is not silent as speech, since there is no detector."""
        if window.label is None:
            self._silence(window.at_s)
        elif not self.speaking:
            self.speaking, self._speech_from_s = True, window.at_s
            self.timeline.change("-", window.at_s)

    def _emotion(self, event: Emotion) -> None:
        if not self.labels:
            self._set_labels(tuple(event.probs))
        self.speaking, self.emotion = True, event
        self.probs = {label: event.probs.get(label, 0.0) for label in self.labels}
        self._update_arousal(event.arousal, 1.0)
        mark = self._mark(event.label)
        self.timeline.change(mark, event.at_s)
        # The decision covers the utterance from its beginning.
        self.timeline.settle(mark, self._speech_from_s)

    def _speech_end(self, event: SpeechEnd) -> None:
        self.n_utterances += 1
        self._silence(event.at_s)
        if event.no_speech:
            self.timeline.settle("·", event.start_s)
        elif event.confidence is not None:
            self.timeline.settle(self._mark(event.label), event.start_s)

    def _mark(self, label: str | None) -> str:
        return "?" if label is None else self.letters.get(label, "*")

    def _silence(self, at_s: float) -> None:
        self.speaking, self.emotion = False, None
        self.arousal = None
        self.probs = dict.fromkeys(self.labels, 0.0)
        self.timeline.change("·", at_s)

    def _device(self, event: DeviceLost | DeviceBack) -> None:
        self._silence(event.at_s)
        if isinstance(event, DeviceLost):
            self.lost = event
            self.level_dbfs, self.voice = _LOWEST_DBFS, None
            self.timeline.change("x", event.at_s)
        else:
            self.lost = None
            self._away_s += event.away_s

    def _count(self, event: Heartbeat | Ended) -> None:
        self.n_utterances = event.n_utterances
        self.n_overruns, self.lost_s = event.n_overruns, event.lost_s
