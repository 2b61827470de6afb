"""Prediction for one clip, as a recording by itself or as a live source with a voice detector."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio.io import AudioChunk
from edge_ser.evaluation.answers import LiveFacts
from edge_ser.inference.outputs import SpeechOutputs
from edge_ser.recognition.baseline import BaselineState
from edge_ser.recognition.classifier import PredictionStream
from edge_ser.recognition.events import Emotion, Event, SpeechEnd, SpeechStart
from edge_ser.recognition.prediction import ClipTally, likeliest
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.vad.base import VoiceDetector

Float32 = NDArray[np.float32]

SILENT = "silent"
TOO_SHORT = "too short"
NO_SPEECH = "no speech"

_DIGITS = 6


@dataclass(frozen=True)
class ClipPrediction:
    """Prediction that a clip is scored on."""

    label: str
    """Likeliest label, whatever its probability; empty if there is no answer."""
    probs: tuple[float, ...] = ()
    """In the order of the labels, rounded to six digits; empty if there is no answer."""
    no_answer: str = ""
    """`silent`, `too short` or `no speech`; empty if there is an answer."""
    arousal: float | None = None
    """In [0, 1]; None for a model without that output."""
    live: LiveFacts | None = None
    """None without a voice detector."""


def clip_prediction(
    recognizer: Recognizer,
    samples: Float32,
    source: str,
    detector: VoiceDetector | None = None,
    baseline: BaselineState | None = None,
) -> ClipPrediction:
    """Recognise audio at the model's rate.

    Without a detector the clip is one recording: the answer is the mean over its audible windows, as
    `Recognizer.recognize` gives it. With a detector the clip is a live source, as `edge-ser run --mic`
    takes it: the answer is that of the longest utterance, which is a result that the device emits; a
    mean over utterances is not. Of equally long utterances the first counts.

    Args:
        recognizer: the model, with its window and hop.
        samples: float32 [n_samples] in [-1, 1].
        source: name of the clip.
        detector: a voice detector, which is reset first; None for a recording by itself.
        baseline: subtracted from the outputs, and updated with the clip afterwards; None for a new
            one of the recognizer's kind.
    """
    baseline = baseline or recognizer.open_baseline()
    if detector is not None:
        return _live(recognizer, samples, source, detector, baseline)
    return _recording(recognizer, samples, source, baseline)


def _recording(
    recognizer: Recognizer, samples: Float32, source: str, baseline: BaselineState
) -> ClipPrediction:
    card, rate = recognizer.card, recognizer.card.frontend.sample_rate
    if len(samples) < card.min_window_s * rate:
        return ClipPrediction("", no_answer=TOO_SHORT)
    tally, audible, outputs = ClipTally(source), False, SpeechOutputs()
    windows = PredictionStream(
        recognizer.config, recognizer.classifier, source, excess=baseline.excess()
    )
    for window in (*windows.push(samples), *windows.finish()):
        tally.add(window)
        outputs.add(window.outputs)
        audible = audible or window.label is not None
    if mean := outputs.mean():
        baseline.learn(mean, len(samples) / rate)
    if not audible:
        return ClipPrediction("", no_answer=SILENT)
    final = tally.final()
    probs = tuple(round(final.probs[label], _DIGITS) for label in card.labels)
    return ClipPrediction(likeliest(final.probs) or "", probs, arousal=_arousal(final))


def _live(
    recognizer: Recognizer,
    samples: Float32,
    source: str,
    detector: VoiceDetector,
    baseline: BaselineState,
) -> ClipPrediction:
    detector.reset()
    card = recognizer.card
    stream = recognizer.open_stream(
        source,
        detector=detector,
        settings=recognizer.stream_settings(),
        baseline=baseline,
    )
    rate = card.frontend.sample_rate
    events = [*stream.push(AudioChunk(samples, rate)), *stream.finish()]
    utterances = [event for event in events if isinstance(event, SpeechEnd)]
    live = _facts(len(samples) / rate, utterances, events)
    recognised = [event for event in utterances if event.probs]
    if not recognised:
        spoken = any(not event.no_speech for event in utterances)
        reason = TOO_SHORT if spoken else NO_SPEECH
        return ClipPrediction("", no_answer=reason, live=live)
    most = max(recognised, key=lambda event: event.at_s - event.start_s)
    probs = tuple(round(most.probs[label], _DIGITS) for label in card.labels)
    return ClipPrediction(likeliest(most.probs) or "", probs, arousal=_arousal(most), live=live)


def _facts(
    duration_s: float, utterances: Iterable[SpeechEnd], events: Iterable[Event]
) -> LiveFacts:
    ends = list(utterances)
    n_changes = n_abstention = n_labels = 0
    shown: list[str | None] = []
    for event in events:
        if isinstance(event, SpeechStart):
            shown = []
        elif isinstance(event, Emotion):
            n_labels += event.label is not None
            if shown and event.label != shown[-1]:
                n_changes += 1
                n_abstention += event.label is None or shown[-1] is None
            shown.append(event.label)
    return LiveFacts(
        duration_s=duration_s,
        speech_s=float(sum(event.at_s - event.start_s for event in ends)),
        n_utterances=len(ends),
        n_changes=n_changes,
        n_abstention_changes=n_abstention,
        n_labels=n_labels + sum(event.label is not None for event in ends),
    )


def _arousal(result: object) -> float | None:
    """Return the arousal of a prediction or event; None if it has none."""
    value = getattr(result, "arousal", None)
    return None if value is None else round(float(value), _DIGITS)
