"""What a listener is told, as frozen dataclasses and as lines of JSON (schema version 1).

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
    """What all events say."""

    kind: ClassVar[str]
    seq: int
    """Counts the events of a session from 0; a number that is missing was lost on the way."""
    source: str
    """Where the audio comes from: a microphone, a pipe, a file."""
    at_s: float
    """Seconds of audio from the beginning of the stream to what the event is about."""
    monotonic_s: float
    """`time.monotonic()` when it was decided; comparable within one boot of one machine."""
    time: str
    """UTC, ISO 8601, when it was decided; for people: the wall clock may step."""


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """A session begins."""

    kind: ClassVar[str] = "start"
    edge_ser: str
    """Version."""
    model: str
    """Name of the model, from its card."""
    runner: str
    """What computes, and on what."""
    labels: tuple[str, ...]
    """The model's classes."""
    window_s: float
    """Seconds classified at once."""
    hop_s: float
    """Seconds between windows."""
    vad: str
    """The voice detector, `none` without one."""
    abstain_below: float
    """Confidence below which no label is given; 0: never."""
    prior: Mapping[str, float] = field(default_factory=dict)
    """Ratios by label by which prior odds differ from training; empty: none."""
    baseline: str = "none"
    """`none`, `running`, or the name of the enrolled baseline that outputs are compared with."""


@dataclass(frozen=True, kw_only=True)
class Window(Event):
    """A window was classified, or found silent; `at_s` is its end."""

    kind: ClassVar[str] = "window"
    start_s: float
    """Where the window begins, in seconds of the stream."""
    end_s: float
    """Where it ends."""
    label: str | None
    """The likeliest class, null where the window is silent."""
    confidence: float | None
    """Its probability, null where the window is silent."""
    probs: Mapping[str, float]
    """By label; empty where the window is silent."""
    level_dbfs: float
    """RMS level, dB of full scale."""
    clipped: float
    """Share of the samples at full scale, in [0, 1]."""
    compute_ms: float
    """Time spent on features and inference since the window before."""
    latency_ms: float
    """From the capture of the window's last sample (from its arrival, where audio is not live) to
    the decision."""
    arousal: float | None = None
    """Probability of high arousal, in [0, 1], as acted and labelled in the training corpora; null where
    the window is silent, and where the model gives none."""


@dataclass(frozen=True, kw_only=True)
class SpeechStart(Event):
    """Somebody began to speak at `at_s`."""

    kind: ClassVar[str] = "speech_start"
    latency_ms: float
    """From the capture of the sample at `at_s` to the decision."""


@dataclass(frozen=True, kw_only=True)
class Emotion(Event):
    """The label changed: smoothed, with hysteresis; `at_s` is the end of the deciding window."""

    kind: ClassVar[str] = "emotion"
    label: str | None
    """Null where the model has not been sure enough for a while (`abstained`)."""
    previous: str | None
    """The label before; null at the beginning of an utterance and after abstaining."""
    confidence: float
    """Smoothed probability of the likeliest class."""
    abstained: bool
    """Whether there is no label because no class is sure enough."""
    probs: Mapping[str, float]
    """Smoothed, by label."""
    latency_ms: float
    """As in `window`."""
    arousal: float | None = None
    """As in `window`, smoothed as the probabilities are."""


@dataclass(frozen=True, kw_only=True)
class SpeechEnd(Event):
    """Somebody stopped speaking at `at_s`; what the utterance as a whole sounded like."""

    kind: ClassVar[str] = "speech_end"
    start_s: float
    """Where the speech began, in seconds of the stream."""
    label: str | None
    """Null where the model is not sure enough (`abstained`), the utterance is too short, or it is no
    speech (`no_speech`)."""
    confidence: float | None
    """Probability of the likeliest class; null where there is none."""
    abstained: bool
    """Whether the confidence is too low for a label."""
    probs: Mapping[str, float]
    """Mean over the utterance, by label; empty where it is too short, or no speech."""
    n_windows: int
    """Windows classified while it lasted."""
    latency_ms: float
    """From the capture of the sample at `at_s` to the decision: the pause that had to be waited for
    is in it."""
    arousal: float | None = None
    """As in `window`, mean over the utterance."""
    baseline_s: float | None = None
    """Seconds of earlier speech in the baseline, this utterance's too from now on; null without a
    baseline."""
    likeliest: str | None = None
    """The likeliest class, also when `abstained`; null where there is none."""
    no_speech: bool = False
    """Whether too little of it surely was speech: a noise, or a word of less than half a second."""


@dataclass(frozen=True, kw_only=True)
class Recorded(Event):
    """An utterance within a recording of `--record`, there alone; repeats its `speech_end`."""

    kind: ClassVar[str] = "recorded"
    file: str
    """Name of the WAV file beside; of an utterance that two files share, the one with more of it."""
    from_s: float
    """Where the utterance begins in the file, in seconds."""
    to_s: float
    """Where it ends."""
    label: str | None
    """Null where the model is not sure enough (`abstained`)."""
    confidence: float
    """Probability of the likeliest class."""
    abstained: bool
    """Whether the confidence is too low for a label."""
    probs: Mapping[str, float]
    """Mean over the utterance, by label."""
    near_miss: bool
    """Whether the answer was close to another, so that a label by a person is worth most."""
    reasons: tuple[str, ...]
    """Of a near miss: `margin`, the two likeliest classes are less than 0.15 apart; `changes`, a
    label lasted less than 1.5 s before another; `abstained`."""


@dataclass(frozen=True, kw_only=True)
class Overrun(Event):
    """Audio was lost before it could be heard."""

    kind: ClassVar[str] = "overrun"
    lost_s: float | None
    """Seconds; null where the device only says that some was lost."""
    reason: str
    """`device`: the system lost it. `backlog`: recognition lagged behind. `not_finite`: the samples
    were NaN or infinite."""


@dataclass(frozen=True, kw_only=True)
class DeviceLost(Event):
    """The microphone delivers no more; it is being opened again until it comes back."""

    kind: ClassVar[str] = "device_lost"
    device: str
    """Its name."""
    reason: str
    """What the system said."""


@dataclass(frozen=True, kw_only=True)
class DeviceBack(Event):
    """The microphone delivers again."""

    kind: ClassVar[str] = "device_back"
    device: str
    """Its name."""
    away_s: float
    """Seconds without audio; stream time counts them too."""


@dataclass(frozen=True, kw_only=True)
class Heartbeat(Event):
    """All is well, and this is how much was done since the session began."""

    kind: ClassVar[str] = "heartbeat"
    heard_s: float
    """Seconds of audio that came; lost ones are not in it."""
    n_windows: int
    """Windows that were classified or found silent."""
    n_utterances: int
    """Utterances that ended."""
    n_overruns: int
    """Times that audio was lost."""
    lost_s: float
    """Seconds that are known to be lost."""
    latency_p50_ms: float | None
    """Median over the last 1000 windows that were classified; null before the first."""
    latency_p99_ms: float | None
    """99th percentile of the same."""
    state: str
    """`listening`, `speech` or `device_lost`."""
    baseline_s: float | None = None
    """Seconds of earlier speech in the baseline; null without one."""


@dataclass(frozen=True, kw_only=True)
class Clip(Event):
    """A file as a whole: the mean over its speech, or without a voice detector over all of it."""

    kind: ClassVar[str] = "clip"
    label: str | None
    """Null where the model is not sure enough (`abstained`) or there is no speech to recognise."""
    confidence: float | None
    """Probability of the likeliest class; null where there is none."""
    abstained: bool
    """Whether the confidence is below what the model's card, or the user, asks for."""
    probs: Mapping[str, float]
    """Mean over the windows that count, by label; empty where none does."""
    level_dbfs: float
    """RMS level of its loudest window, dB of full scale; where no window was cut, of all of it."""
    clipped: float
    """Share of the samples at full scale, in [0, 1], of its worst window."""
    compute_ms: float
    """Time spent on features and inference."""
    duration_s: float
    """Length of the audio."""
    likeliest: str | None = None
    """The likeliest class, also when `abstained`; null where there is none."""
    no_speech: bool = False
    """Whether the voice detector found no speech in it, or too little to be sure."""
    arousal: float | None = None
    """As in `window`, mean over its windows."""


@dataclass(frozen=True, kw_only=True)
class Ended(Event):
    """A session ends; the counts are a heartbeat's."""

    kind: ClassVar[str] = "end"
    reason: str
    """`source`: the audio ended. `asked`: a user, a signal or a time limit."""
    heard_s: float
    """Seconds of audio that came; lost ones are not in it."""
    n_windows: int
    """Windows that were classified or found silent."""
    n_utterances: int
    """Utterances that ended."""
    n_overruns: int
    """Times that audio was lost."""
    lost_s: float
    """Seconds that are known to be lost."""


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
    # Not dataclasses.asdict, which copies all that it finds and takes twice the time of the rest.
    said = {name: _rounded(name, getattr(event, name)) for name in _FIELDS[event.kind]}
    return json.dumps({"v": EVENTS_VERSION, "event": event.kind, **said}, allow_nan=False)


def from_json(line: str) -> Event:
    """Read a line written by `to_json`.

    Raises:
        EventError: not JSON, another version, an unknown kind, or fields that do not fit.
    """
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EventError(f"an event is one line of JSON, this is not ({error})") from None
    if not isinstance(said, dict):
        raise EventError(f"an event is a JSON object, {type(said).__name__} came")
    version, kind = said.pop("v", None), said.pop("event", None)
    if version != EVENTS_VERSION or isinstance(version, bool):
        raise EventError(
            f"events of version {EVENTS_VERSION} are read, version {version!r} came; install the "
            "edge-ser that wrote them"
        )
    if not isinstance(kind, str) or kind not in KINDS:
        raise EventError(f"the event {kind!r} is unknown; there are {', '.join(KINDS)}")
    try:
        return build(KINDS[kind], said, kind)
    except ConfigError as error:
        raise EventError(str(error)) from None


def utc_now() -> str:
    """Return the wall clock as events write it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rounded(name: str, value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS.get(name, 3))
    if isinstance(value, Mapping):
        return {key: _rounded(name, item) for key, item in value.items()}
    return value
