"""Events of a stream, as frozen dataclasses and as lines of JSON (schema version 1).

`edge_ser/assets/events.schema.json` describes the lines. Three clocks, never mixed: `at_s` counts
seconds of audio since the stream began, `monotonic_s` is `time.monotonic()` at the decision, and
`time` is the wall clock, which may step and orders nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar

from edge_ser._util.records import build
from edge_ser.errors import ConfigError, EventError

EVENTS_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Event:
    """Fields of all events."""

    kind: ClassVar[str]
    seq: int
    """Number of the event in its session, from 0; a missing number is an event lost in transit."""
    source: str
    """Source of the audio: a microphone, a pipe, a file."""
    at_s: float
    """Stream time of the event: seconds of audio since the beginning of the stream."""
    monotonic_s: float
    """`time.monotonic()` at the decision; comparable within one boot of one machine."""
    time: str
    """UTC time of the decision, ISO 8601; for display only, as the wall clock may step."""


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """A session begins."""

    kind: ClassVar[str] = "start"
    edge_ser: str
    """Version of edge-ser."""
    model: str
    """Name of the model, from its card."""
    runner: str
    """Inference backend and device."""
    labels: tuple[str, ...]
    """Classes of the model."""
    window_s: float
    """Seconds classified at once."""
    hop_s: float
    """Seconds between windows."""
    vad: str
    """Voice detector; `none` without one."""
    abstain_below: float
    """Confidence below which no label is given; 0 to always give one."""
    prior: Mapping[str, float] = field(default_factory=dict)
    """Ratio of the prior odds to those in training, by label; empty for no change."""
    baseline: str = "none"
    """`none`, `running`, or the name of the enrolled baseline that outputs are compared with."""


@dataclass(frozen=True, kw_only=True)
class Window(Event):
    """A window was classified, or is silent; `at_s` is its end."""

    kind: ClassVar[str] = "window"
    start_s: float
    """Start of the window, in seconds of the stream."""
    end_s: float
    """End of the window, in seconds of the stream."""
    label: str | None
    """Most probable class; null if the window is silent."""
    confidence: float | None
    """Its probability; null if the window is silent."""
    probs: Mapping[str, float]
    """Probability by label; empty if the window is silent."""
    level_dbfs: float
    """RMS level, in dB of full scale."""
    clipped: float
    """Share of the samples at full scale, in [0, 1]."""
    compute_ms: float
    """Time spent on features and inference since the previous window."""
    latency_ms: float
    """Time from the capture of the window's last sample (from its arrival, if audio is not live) to
    the decision."""
    arousal: float | None = None
    """Probability of high arousal, in [0, 1], as acted and labelled in the training corpora; null if
    the window is silent, and for models without it."""


@dataclass(frozen=True, kw_only=True)
class SpeechStart(Event):
    """Speech began at `at_s`."""

    kind: ClassVar[str] = "speech_start"
    latency_ms: float
    """Time from the capture of the sample at `at_s` to the decision."""


@dataclass(frozen=True, kw_only=True)
class Emotion(Event):
    """The smoothed label changed; `at_s` is the end of the deciding window."""

    kind: ClassVar[str] = "emotion"
    label: str | None
    """New label; null if the confidence has been too low for a while (`abstained`)."""
    previous: str | None
    """Previous label; null at the beginning of an utterance and after abstaining."""
    confidence: float
    """Smoothed probability of the most probable class."""
    abstained: bool
    """Whether there is no label because the confidence is too low."""
    probs: Mapping[str, float]
    """Smoothed probability by label."""
    latency_ms: float
    """As in `window`."""
    arousal: float | None = None
    """As in `window`, smoothed like the probabilities."""


@dataclass(frozen=True, kw_only=True)
class SpeechEnd(Event):
    """Speech ended at `at_s`; the result for the utterance."""

    kind: ClassVar[str] = "speech_end"
    start_s: float
    """Start of the speech, in seconds of the stream."""
    label: str | None
    """Label of the utterance; null if the confidence is too low (`abstained`), the utterance is too
    short, or it is no speech (`no_speech`)."""
    confidence: float | None
    """Probability of the most probable class; null if there is none."""
    abstained: bool
    """Whether the confidence is too low for a label."""
    probs: Mapping[str, float]
    """Mean probability over the utterance, by label; empty if it is too short, or no speech."""
    n_windows: int
    """Number of windows classified during the utterance."""
    latency_ms: float
    """Time from the capture of the sample at `at_s` to the decision; includes the pause that ends the
    utterance."""
    arousal: float | None = None
    """As in `window`; mean over the utterance."""
    baseline_s: float | None = None
    """Seconds of speech in the baseline, including this utterance; null without a baseline."""
    likeliest: str | None = None
    """Most probable class, also when `abstained`; null if there is none."""
    no_speech: bool = False
    """Whether too little of it is surely speech: a noise, or a word of less than half a second."""


@dataclass(frozen=True, kw_only=True)
class Recorded(Event):
    """An utterance in a recording of `--record`; written there only, a copy of its `speech_end`."""

    kind: ClassVar[str] = "recorded"
    file: str
    """Name of the WAV file in the same folder; if two files share an utterance, the one with more of
    it."""
    from_s: float
    """Start of the utterance in the file, in seconds."""
    to_s: float
    """End of the utterance in the file, in seconds."""
    label: str | None
    """Label of the utterance; null if the confidence is too low (`abstained`)."""
    confidence: float
    """Probability of the most probable class."""
    abstained: bool
    """Whether the confidence is too low for a label."""
    probs: Mapping[str, float]
    """Mean probability over the utterance, by label."""
    near_miss: bool
    """Whether the result was close to another class, so that a label by a person is most useful."""
    reasons: tuple[str, ...]
    """Reasons for a near miss: `margin`, the two most probable classes are less than 0.15 apart;
    `changes`, a label was replaced within 1.5 s; `abstained`."""


@dataclass(frozen=True, kw_only=True)
class Overrun(Event):
    """Audio was lost before it was recognised."""

    kind: ClassVar[str] = "overrun"
    lost_s: float | None
    """Seconds lost; null if the device reports a loss without its length."""
    reason: str
    """`device`: the system lost it. `backlog`: recognition lagged behind. `not_finite`: the samples
    were NaN or infinite."""


@dataclass(frozen=True, kw_only=True)
class DeviceLost(Event):
    """The microphone stopped delivering; it is reopened until it delivers again."""

    kind: ClassVar[str] = "device_lost"
    device: str
    """Name of the device."""
    reason: str
    """Message of the system."""


@dataclass(frozen=True, kw_only=True)
class DeviceBack(Event):
    """The microphone delivers again."""

    kind: ClassVar[str] = "device_back"
    device: str
    """Name of the device."""
    away_s: float
    """Seconds without audio; stream time includes them."""


@dataclass(frozen=True, kw_only=True)
class Heartbeat(Event):
    """Periodic sign of life, with counts since the beginning of the session."""

    kind: ClassVar[str] = "heartbeat"
    heard_s: float
    """Seconds of audio received; lost audio does not count."""
    n_windows: int
    """Number of windows, classified or silent."""
    n_utterances: int
    """Number of utterances that ended."""
    n_overruns: int
    """Number of losses of audio."""
    lost_s: float
    """Seconds of audio known to be lost."""
    latency_p50_ms: float | None
    """Median latency of the last 1000 classified windows; null before the first."""
    latency_p99_ms: float | None
    """99th percentile of the latency of the same windows."""
    state: str
    """`listening`, `speech` or `device_lost`."""
    baseline_s: float | None = None
    """Seconds of speech in the baseline; null without one."""


@dataclass(frozen=True, kw_only=True)
class Clip(Event):
    """The result for a file: the mean over its speech, or without a voice detector over all of it."""

    kind: ClassVar[str] = "clip"
    label: str | None
    """Label of the file; null if the confidence is too low (`abstained`) or there is no speech."""
    confidence: float | None
    """Probability of the most probable class; null if there is none."""
    abstained: bool
    """Whether the confidence is below the threshold of the model's card or the user."""
    probs: Mapping[str, float]
    """Mean probability over the windows that count, by label; empty if none does."""
    level_dbfs: float
    """RMS level of the loudest window, in dB of full scale; without windows, of the complete audio."""
    clipped: float
    """Largest share of samples at full scale in a window, in [0, 1]."""
    compute_ms: float
    """Time spent on features and inference."""
    duration_s: float
    """Length of the audio."""
    likeliest: str | None = None
    """Most probable class, also when `abstained`; null if there is none."""
    no_speech: bool = False
    """Whether the voice detector found no speech, or too little to be sure."""
    arousal: float | None = None
    """As in `window`; mean over the windows that count."""


@dataclass(frozen=True, kw_only=True)
class Ended(Event):
    """A session ends; the counts are those of a heartbeat."""

    kind: ClassVar[str] = "end"
    reason: str
    """`source`: the audio ended. `asked`: stopped by a user, a signal or a time limit."""
    heard_s: float
    """Seconds of audio received; lost audio does not count."""
    n_windows: int
    """Number of windows, classified or silent."""
    n_utterances: int
    """Number of utterances that ended."""
    n_overruns: int
    """Number of losses of audio."""
    lost_s: float
    """Seconds of audio known to be lost."""


KINDS: dict[str, type[Event]] = {
    kind.kind: kind
    for kind in (
        Started,
        Window,
        SpeechStart,
        Emotion,
        SpeechEnd,
        Recorded,
        Overrun,
        DeviceLost,
        DeviceBack,
        Heartbeat,
        Clip,
        Ended,
    )
}

_FIELDS = {name: tuple(f.name for f in dataclasses.fields(kind)) for name, kind in KINDS.items()}

_TIMES = ("at_s", "start_s", "end_s", "from_s", "to_s", "monotonic_s")
_DIGITS = dict.fromkeys((*_TIMES, "probs", "confidence", "arousal"), 4)
"""Digits kept after the point; 3 elsewhere."""


def to_json(event: Event) -> str:
    """Return an event as one line of JSON without the newline."""
    # Not dataclasses.asdict: its deep copies take twice the time of the rest.
    fields = {name: _rounded(name, getattr(event, name)) for name in _FIELDS[event.kind]}
    return json.dumps({"v": EVENTS_VERSION, "event": event.kind, **fields}, allow_nan=False)


def from_json(line: str) -> Event:
    """Read a line written by `to_json`.

    Raises:
        EventError: not JSON, another version, an unknown kind, or fields that do not fit.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EventError(
            f"expected an event as one line of JSON, got invalid JSON ({error})"
        ) from None
    if not isinstance(fields, dict):
        raise EventError(f"expected an event as a JSON object, got {type(fields).__name__}")
    version, kind = fields.pop("v", None), fields.pop("event", None)
    if version != EVENTS_VERSION or isinstance(version, bool):
        raise EventError(
            f"expected events of version {EVENTS_VERSION}, got {version!r}; install the edge-ser that "
            "wrote them"
        )
    if not isinstance(kind, str) or kind not in KINDS:
        raise EventError(f"expected an event of {', '.join(KINDS)}, got {kind!r}")
    try:
        return build(KINDS[kind], fields, kind)
    except ConfigError as error:
        raise EventError(str(error)) from None


def utc_now() -> str:
    """Return the wall-clock time in the format of events."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rounded(name: str, value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS.get(name, 3))
    if isinstance(value, Mapping):
        return {key: _rounded(name, item) for key, item in value.items()}
    return value
