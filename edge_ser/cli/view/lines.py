"""Events as lines: JSON for programs, plain text for people and grep."""

from __future__ import annotations

from edge_ser.cli.view.base import Output, write_line
from edge_ser.recognition.events import (
    Clip,
    DeviceBack,
    DeviceLost,
    Emotion,
    Event,
    Overrun,
    SpeechEnd,
    SpeechStart,
)
from edge_ser.sinks import jsonl

REASONS = {
    "device": "the system lost it",
    "backlog": "recognition lagged behind",
    "not_finite": "samples were NaN or infinite",
}
"""Descriptions of the reasons of an overrun."""

NOT_SURE = "not sure"
NO_SPEECH = "no speech"
TOO_SHORT = "too short"


class JsonLines(Output):
    """JSON lines: one object a line on stdout, flushed at once."""

    def __init__(self, live: bool) -> None:
        super().__init__(live)
        self._lines = jsonl.JsonLines(write_line)

    def show(self, event: Event) -> None:
        """Write an event."""
        self._lines.write(event)


class PlainLines(Output):
    """Plain text: a line for each change in a stream; for files, a line for each clip.

    Args:
        live: whether the source is a stream.
        utterances: whether to print a line for each utterance of a file, too.
    """

    def __init__(self, live: bool, *, utterances: bool = False) -> None:
        super().__init__(live)
        self._live = live
        self._utterances = utterances

    def show(self, event: Event) -> None:
        """Write an event, except windows and heartbeats."""
        line = self._line(event)
        if line is not None:
            write_line(line)

    def _line(self, event: Event) -> str | None:
        if isinstance(event, Clip):
            return clip_line(event)
        if self._live:
            return _line(event)
        return file_line(event, self._utterances)


def clip_line(clip: Clip) -> str:
    """Return a clip as one line."""
    if clip.likeliest is None or clip.confidence is None:
        return f"{clip.source}: {no_result(clip)}  ({clip.duration_s:.1f} s)"
    ranking = sorted(clip.probs.items(), key=lambda item: -item[1])[1:3]
    others = ", ".join(f"{label} {p:.0%}" for label, p in ranking)
    first = f"{clip.likeliest}, " if clip.label is None else ""
    return (
        f"{clip.source}: {_label(clip.label or NOT_SURE, clip.confidence)}{_arousal(clip.arousal)}"
        f"  ({first}then {others}; {clip.duration_s:.1f} s)"
    )


def no_result(event: Clip | SpeechEnd) -> str:
    """Return the reason why an utterance or a clip has no probabilities."""
    return NO_SPEECH if event.no_speech else TOO_SHORT


def file_line(event: Event, utterances: bool) -> str | None:
    """Return the line of lost audio and, on request, of an utterance of a file; None for others."""
    if isinstance(event, Overrun):
        return f"{event.source}: {event.at_s:.2f} s  {_describe(event)}"
    if not isinstance(event, SpeechEnd) or not utterances:
        return None
    span = f"{event.source}: {event.start_s:.2f}-{event.at_s:.2f} s"
    if event.confidence is None:
        return f"{span}  {no_result(event)}"
    label = _label(event.label or NOT_SURE, event.confidence)
    return f"{span}  {label}{_arousal(event.arousal)}"


def _line(event: Event) -> str | None:
    text = _describe(event)
    return None if text is None else f"{event.at_s:9.2f} s  {event.kind:<12}  {text}".rstrip()


def _describe(event: Event) -> str | None:
    match event:
        case SpeechStart():
            return ""
        case Emotion():
            label = _label(event.label or NOT_SURE, event.confidence)
            return f"{label}{_arousal(event.arousal)}"
        case SpeechEnd():
            length = f"{event.at_s - event.start_s:.1f} s, {event.n_windows} windows"
            if event.confidence is None:
                return f"{no_result(event)}        ({length})"
            label = _label(event.label or NOT_SURE, event.confidence)
            return f"{label}{_arousal(event.arousal)}  ({length})"
        case Overrun():
            lost = "some audio" if event.lost_s is None else f"{event.lost_s:.2f} s"
            return f"{lost} lost: {REASONS.get(event.reason, event.reason)}"
        case DeviceLost():
            return f"{event.device}: {event.reason}"
        case DeviceBack():
            return f"{event.device}, after {event.away_s:.1f} s"
        case _:
            return None


def _label(label: str, confidence: float) -> str:
    return f"{label:<10} {confidence:4.0%}"


def _arousal(arousal: float | None) -> str:
    """Return the arousal as text; empty if the model gives none."""
    return "" if arousal is None else f"  arousal {arousal:.2f}"
