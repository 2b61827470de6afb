"""Events with everything filled in, of which a test changes what it is about."""

from __future__ import annotations

from typing import TypeVar

from edge_ser.recognition.events import (
    Clip,
    DeviceBack,
    DeviceLost,
    Emotion,
    Ended,
    Event,
    Heartbeat,
    Overrun,
    Recorded,
    SpeechEnd,
    SpeechStart,
    Started,
    Window,
)

LABELS = ("neutral", "happy", "angry")
PROBS = {"neutral": 0.25, "happy": 0.0, "angry": 0.75}

_COUNTS = {"heard_s": 28.0, "n_windows": 101, "n_utterances": 2, "n_overruns": 3, "lost_s": 0.5}
_FIELDS: dict[type[Event], dict[str, object]] = {
    Started: {
        "edge_ser": "0.1.0",
        "model": "edge-ser-3",
        "runner": "onnxruntime 1.2, cpu",
        "labels": LABELS,
        "window_s": 3.0,
        "hop_s": 0.25,
        "vad": "silero 5",
        "abstain_below": 0.4,
    },
    Window: {
        "start_s": 1.0,
        "end_s": 4.0,
        "label": "angry",
        "confidence": 0.75,
        "probs": PROBS,
        "level_dbfs": -30.0,
        "clipped": 0.0,
        "compute_ms": 2.5,
        "latency_ms": 40.0,
    },
    SpeechStart: {"latency_ms": 80.0},
    Emotion: {
        "label": "angry",
        "previous": None,
        "confidence": 0.75,
        "abstained": False,
        "probs": PROBS,
        "latency_ms": 40.0,
    },
    Recorded: {
        "file": "heard-00000001-20260101T000000Z.wav",
        "from_s": 1.5,
        "to_s": 3.25,
        "label": "angry",
        "confidence": 0.71,
        "abstained": False,
        "probs": PROBS,
        "near_miss": True,
        "reasons": ("margin",),
    },
    SpeechEnd: {
        "start_s": 1.5,
        "label": "angry",
        "confidence": 0.71,
        "abstained": False,
        "probs": PROBS,
        "n_windows": 12,
        "latency_ms": 500.0,
        "likeliest": "angry",
    },
    Overrun: {"lost_s": 0.25, "reason": "backlog"},
    DeviceLost: {"device": "USB [array]", "reason": "unplugged"},
    DeviceBack: {"device": "USB [array]", "away_s": 3.0},
    Heartbeat: {
        **_COUNTS,
        "latency_p50_ms": 40.0,
        "latency_p99_ms": 80.0,
        "state": "listening",
    },
    Clip: {
        "label": "angry",
        "confidence": 0.75,
        "abstained": False,
        "probs": PROBS,
        "level_dbfs": -30.0,
        "clipped": 0.0,
        "compute_ms": 9.0,
        "duration_s": 4.0,
        "likeliest": "angry",
    },
    Ended: {"reason": "asked", **_COUNTS},
}

E = TypeVar("E", bound=Event)


def made(kind: type[E], at_s: float = 4.0, **changes: object) -> E:
    """Return an event of a microphone, decided at once."""
    common = {"seq": 0, "source": "mic:[USB] array", "at_s": at_s, "monotonic_s": at_s}
    return kind(**{**common, "time": "2026-01-01T12:00:00.000Z", **_FIELDS[kind], **changes})  # type: ignore[arg-type]


def silent(at_s: float = 4.0, **changes: object) -> Window:
    """Return a window that is silent."""
    nothing = {"label": None, "confidence": None, "probs": {}, "level_dbfs": -120.0}
    return made(Window, at_s, **{**nothing, **changes})
