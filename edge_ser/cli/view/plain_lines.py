"""Events as lines to read or to grep."""

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

REASONS = {
    "device": "the system lost it",
    "backlog": "recognition lagged behind",
    "not_finite": "samples were NaN or infinite",
}
"""Why audio is lost, for people."""

NOT_SURE = "not sure"
NO_SPEECH = "no speech"
TOO_SHORT = "too short"


class PlainLines(Output):
    """A line for each event of a stream that changes something; for files, one a clip.

    Args:
        live: whether the source is a stream.
        utterances: whether each utterance of a file gets a line, too.
    """

    def __init__(self, live: bool, *, utterances: bool = False) -> None:
        super().__init__(live)
        self._live = live
        self._utterances = utterances

    def show(self, event: Event) -> None:
        """Write an event, unless it is only a window or a sign of life."""
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
        return f"{clip.source}: {nothing(clip)}  ({clip.duration_s:.1f} s)"
    ranking = sorted(clip.probs.items(), key=lambda item: -item[1])[1:3]
    others = ", ".join(f"{label} {p:.0%}" for label, p in ranking)
    first = f"{clip.likeliest}, " if clip.label is None else ""
    return (
        f"{clip.source}: {_verdict(clip.label or NOT_SURE, clip.confidence)}{_arousal(clip.arousal)}"
        f"  ({first}then {others}; {clip.duration_s:.1f} s)"
    )


def nothing(event: Clip | SpeechEnd) -> str:
    """Return why an utterance or a clip has no probabilities."""
    return NO_SPEECH if event.no_speech else TOO_SHORT


def file_line(event: Event, utterances: bool) -> str | None:
    """Return what is said of lost audio and, if asked for, of an utterance of a file, as one line."""
    if isinstance(event, Overrun):
        return f"{event.source}: {event.at_s:.2f} s  {_said(event)}"
    if not isinstance(event, SpeechEnd) or not utterances:
        return None
    place = f"{event.source}: {event.start_s:.2f}-{event.at_s:.2f} s"
    if event.confidence is None:
        return f"{place}  {nothing(event)}"
    verdict = _verdict(event.label or NOT_SURE, event.confidence)
    return f"{place}  {verdict}{_arousal(event.arousal)}"


def _line(event: Event) -> str | None:
    said = _said(event)
    return None if said is None else f"{event.at_s:9.2f} s  {event.kind:<12}  {said}".rstrip()


def _said(event: Event) -> str | None:
    match event:
        case SpeechStart():
            return ""
        case Emotion():
            verdict = _verdict(event.label or NOT_SURE, event.confidence)
            return f"{verdict}{_arousal(event.arousal)}"
        case SpeechEnd():
            length = f"{event.at_s - event.start_s:.1f} s, {event.n_windows} windows"
            if event.confidence is None:
                return f"{nothing(event)}        ({length})"
            verdict = _verdict(event.label or NOT_SURE, event.confidence)
            return f"{verdict}{_arousal(event.arousal)}  ({length})"
        case Overrun():
            lost = "some audio" if event.lost_s is None else f"{event.lost_s:.2f} s"
            return f"{lost} lost: {REASONS.get(event.reason, event.reason)}"
        case DeviceLost():
            return f"{event.device}: {event.reason}"
        case DeviceBack():
            return f"{event.device}, after {event.away_s:.1f} s"
        case _:
            return None


def _verdict(label: str, confidence: float) -> str:
    return f"{label:<10} {confidence:4.0%}"


def _arousal(arousal: float | None) -> str:
    """Return the arousal as words; nothing where the model gives none."""
    return "" if arousal is None else f"  arousal {arousal:.2f}"
