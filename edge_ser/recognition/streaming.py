"""Streaming recognition: from the items of a source to events, in constant memory.

Push chunks of any size and sample rate, and the other items of a source; get events. Every loss is
reported, and the chunk size does not change the events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_ser import __version__
from edge_ser._util.records import require
from edge_ser.audio.io import AudioChunk, Resampler, is_usable
from edge_ser.audio.sources.base import AudioLost, Disconnected, Reconnected, SourceItem
from edge_ser.recognition.baseline import BaselineState, NoBaseline
from edge_ser.recognition.classifier import Classifier, PredictionStream
from edge_ser.recognition.clip_speech import SpeechTally
from edge_ser.recognition.event_log import EventLog
from edge_ser.recognition.events import (
    Clip,
    DeviceBack,
    DeviceLost,
    Emotion,
    Event,
    Overrun,
    SpeechEnd,
    SpeechStart,
    Started,
    Window,
)
from edge_ser.recognition.prediction import ClipTally, Prediction, Verdict, decide
from edge_ser.recognition.smoothing import LowPass, Smoother, Smoothing
from edge_ser.recognition.utterances import (
    UtteranceConfig,
    UtteranceEnd,
    UtteranceItem,
    Utterances,
    UtteranceStart,
)
from edge_ser.recognition.windowing import Probe, WindowConfig
from edge_ser.vad.base import VoiceDetector
from edge_ser.vad.segmenter import Segmenter, SegmenterConfig

Float32 = NDArray[np.float32]

SHORT_GAP_S = 0.5
"""Longest loss, in seconds, that silence replaces; a longer one resets all state."""


@dataclass(frozen=True)
class StreamConfig:
    """Parameters of streaming recognition.

    Raises:
        ConfigError: a value out of range.
    """

    smoothing: Smoothing = field(default_factory=Smoothing)
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    utterance: UtteranceConfig = field(default_factory=UtteranceConfig)
    heartbeat_s: float = 10.0
    """Seconds, by the monotonic clock, between heartbeats."""

    def __post_init__(self) -> None:
        require(
            0.1 <= self.heartbeat_s <= 86_400, "heartbeat_s", self.heartbeat_s, "0.1 to 86400 s"
        )


class StreamingRecognizer:
    """Recognise one stream.

    With a detector the stream is cut into utterances: `speech_start`, then windows and
    `emotion` during speech, then `speech_end` with the label of the utterance. Without one every window
    is classified. With `clip` one `clip` event sums up the stream at its end: the mean over its
    utterances, or over all windows.

    Args:
        config: geometry of the windows.
        classifier: the model, not shared with other streams.
        source: name of the stream in events.
        detector: a voice detector; None for none.
        settings: None for the defaults.
        clip: whether a `clip` event sums up the stream at its end.
        clock: monotonic seconds.
        probe: gets the stages `resample`, `vad`, `features`, `inference`, `label` and `smoothing`.
        baseline: baseline of the stream; None for none. It learns from utterances, so only with a
            detector.
    """

    def __init__(
        self,
        config: WindowConfig,
        classifier: Classifier,
        source: str = "stream",
        *,
        detector: VoiceDetector | None = None,
        settings: StreamConfig | None = None,
        clip: bool = False,
        clock: Callable[[], float] = time.monotonic,
        probe: Probe | None = None,
        baseline: BaselineState | None = None,
    ) -> None:
        self.config = config
        self.classifier = classifier
        self.settings = settings or StreamConfig()
        self._detector = detector
        self._rate = config.sample_rate
        self._probe = probe
        self._baseline = baseline or NoBaseline()
        self._segmenter = (
            None if detector is None else Segmenter(detector, self._rate, self.settings.segmenter)
        )
        self._tally = ClipTally(source) if clip and detector is None else None
        self._speech = (
            SpeechTally(config, classifier, source, self._baseline)
            if clip and detector is not None
            else None
        )
        self._log = EventLog(source, clock)
        self._smoother = Smoother(self.settings.smoothing)
        self._arousal = LowPass(self.settings.smoothing.time_constant_s)
        self._log.baseline_s = self._baseline.speech_s
        self._rate_in = 0
        self._device_lost = False
        self._started = False
        self._heartbeat_at_s = clock()
        self._begin_at(0.0)

    @property
    def at_s(self) -> float:
        """Stream time so far: audio received and audio known to be lost, in seconds."""
        return self._origin_s + (self._n_in / self._rate_in if self._n_in else 0.0)

    @property
    def n_windows(self) -> int:
        """Number of windows so far."""
        return self._log.n_windows

    @property
    def state(self) -> str:
        """`listening`, `speech` or `device_lost`."""
        if self._device_lost:
            return "device_lost"
        speaking = self._segmenter is not None and self._segmenter.speaking
        return "speech" if speaking else "listening"

    @property
    def voice(self) -> float | None:
        """Probability of speech in the last frame; None without a detector."""
        return None if self._segmenter is None else self._segmenter.probability

    def push(self, item: SourceItem) -> list[Event]:
        """Take an item of a source and return the events that it causes.

        Raises:
            AudioError: unsupported sample rate.
            ModelError, EngineError: inference failed.
        """
        events = self._start()
        if isinstance(item, AudioChunk):
            self._process(item, events)
        elif isinstance(item, AudioLost):
            self._lose(item.seconds, item.reason, events)
        elif isinstance(item, Disconnected):
            self._finish_audio(events)
            self._device_lost = True
            events.append(
                DeviceLost(**self._log.stamp(self.at_s), device=item.device, reason=item.reason)
            )
        elif isinstance(item, Reconnected):
            self._device_lost = False
            self._finish_audio(events)
            self._begin_at(self.at_s + item.away_s)
            events.append(
                DeviceBack(**self._log.stamp(self.at_s), device=item.device, away_s=item.away_s)
            )
        self._heartbeat(events)
        return events

    def finish(self, reason: str = "source") -> list[Event]:
        """End the stream: the last windows, `speech_end` or `clip`, and `end` with the counts.

        Args:
            reason: `source` if the audio ended, `asked` if it was stopped; then there is no `clip`.

        Raises:
            AudioError: a `clip` that is shorter than the model's `min_window_s` or, without a detector,
                silent.
        """
        events = self._start()
        if self._tally is None:
            self._finish_audio(events)
            if self._speech is not None and reason == "source":
                self._take(self._speech.loud_voice(), events)
                events.append(self._clip(self._speech.final()))
        elif reason == "source":
            self._finish_audio(events)
            events.append(self._clip(self._tally.final()))
        events.append(self._log.ended(self.at_s, reason))
        return events

    def _start(self) -> list[Event]:
        if self._started:
            return []
        self._started = True
        card = self.classifier.card
        return [
            Started(
                **self._log.stamp(0.0),
                edge_ser=__version__,
                model=card.name,
                runner=self.classifier.runner.backend,
                labels=card.labels,
                window_s=self.config.window_s,
                hop_s=self.config.hop_s,
                vad="none" if self._detector is None else self._detector.name,
                abstain_below=self.settings.smoothing.abstain_below,
                prior=self.classifier.prior,
                baseline=self._baseline.name,
            )
        ]

    def _begin_at(self, at_s: float) -> None:
        """Begin a stretch of audio without gaps at a stream time."""
        self._origin_s, self._n_in = at_s, 0
        self._resampler: Resampler | None = None
        self._reset_smoothing()
        self._windows: Utterances | PredictionStream = (
            PredictionStream(
                self.config,
                self.classifier,
                self._log.source,
                at_s=at_s,
                probe=self._probe,
                excess=None if self._baseline.learns else self._baseline.excess(),
            )
            if self._segmenter is None
            else Utterances(
                self.config,
                self.classifier,
                self._segmenter,
                self._log.source,
                self.settings.utterance,
                at_s=at_s,
                probe=self._probe,
                baseline=self._baseline,
            )
        )

    def _reset_smoothing(self) -> None:
        """Reset the smoothing between utterances."""
        self._smoother.reset()
        self._arousal.reset()

    def _process(self, chunk: AudioChunk, events: list[Event]) -> None:
        now = self._log.clock()
        length_s = len(chunk.samples) / chunk.sample_rate
        if not is_usable(chunk.samples):
            self._lose(length_s, "not_finite", events)
            return
        if chunk.sample_rate != self._rate_in:
            self._change_rate(chunk.sample_rate, events)
        samples = self._resampled(chunk.samples)
        self._log.audio_s += length_s
        self._log.captured.add(self.at_s, chunk.captured_s, now)
        if self._probe is not None:
            self._probe("resample")
        self._push_samples(samples, events)

    def _change_rate(self, sample_rate: int, events: list[Event]) -> None:
        """Continue at another sample rate: a reconnected device may have one."""
        self._drain(events)
        self._origin_s, self._n_in, self._rate_in = self.at_s, 0, sample_rate

    def _resampled(self, samples: Float32) -> Float32:
        """Return the samples that are ready at the model's rate; the filter delays some."""
        if self._resampler is None:
            self._resampler = Resampler(self._rate_in, self._rate)
        self._n_in += len(samples)
        return self._resampler.push(samples)

    def _drain(self, events: list[Event]) -> None:
        """Process the samples that the resampler still holds."""
        if self._resampler is not None:
            rest = self._resampler.push(np.empty(0, dtype=np.float32), last=True)
            self._resampler = None
            self._push_samples(rest, events)

    def _lose(self, seconds: float | None, reason: str, events: list[Event]) -> None:
        log = self._log
        log.n_overruns += 1
        log.lost_s += seconds or 0.0
        events.append(Overrun(**log.stamp(self.at_s), lost_s=seconds, reason=reason))
        if seconds is None or seconds == 0:
            return
        if seconds > SHORT_GAP_S or self._n_in == 0:
            self._finish_audio(events)
            self._begin_at(self.at_s + seconds)
        else:
            silence = np.zeros(round(seconds * self._rate_in), dtype=np.float32)
            self._push_samples(self._resampled(silence), events)

    def _finish_audio(self, events: list[Event]) -> None:
        """End the stretch of audio and an utterance in progress."""
        self._drain(events)
        windows = self._windows
        # Audio shorter than a window counts for a clip only.
        if isinstance(windows, PredictionStream) and self._tally is None:
            self._take(windows.flush(), events)
        else:
            self._take(windows.finish(), events)
        self._begin_at(self.at_s)

    def _push_samples(self, samples: Float32, events: list[Event]) -> None:
        """Process samples [n] at the model's rate."""
        if self._speech is not None:
            self._speech.add_audio(samples)
        self._take(self._windows.push(samples), events)

    def _take(self, items: Iterable[UtteranceItem], events: list[Event]) -> None:
        for item in items:
            if isinstance(item, Prediction):
                self._window(item, events)
            elif isinstance(item, UtteranceStart):
                self._reset_smoothing()
                latency_ms = self._log.latency_ms(item.at_s)
                events.append(SpeechStart(**self._log.stamp(item.at_s), latency_ms=latency_ms))
            else:
                events.append(self._speech_end(item))

    def _window(self, window: Prediction, events: list[Event]) -> None:
        log = self._log
        log.n_windows += 1
        if self._tally is not None:
            self._tally.add(window)
        if self._speech is not None:
            self._speech.add_window(window)
        audible = window.label is not None
        latency_ms = log.latency_ms(window.end_s, of_window=audible)
        events.append(
            Window(
                **log.stamp(window.end_s),
                start_s=window.start_s,
                end_s=window.end_s,
                label=window.label,
                confidence=window.confidence,
                probs=window.probs,
                level_dbfs=window.level_dbfs,
                clipped=window.clipped,
                compute_ms=window.compute_ms,
                latency_ms=latency_ms,
                arousal=window.arousal,
            )
        )
        if not audible:
            self._reset_smoothing()
            return
        if self._segmenter is not None and not self._segmenter.evident:
            return  # possibly a noise, whose label would be meaningless
        arousal = self._arousal.update(window.arousal, window.end_s)
        decision = self._smoother.update(window.probs, window.end_s)
        if decision.changed:
            events.append(
                Emotion(
                    **log.stamp(window.end_s),
                    label=decision.label,
                    previous=decision.previous,
                    confidence=decision.confidence,
                    abstained=decision.label is None,
                    probs=decision.probs,
                    latency_ms=log.latency_ms(window.end_s),
                    arousal=arousal,
                )
            )
        if self._probe is not None:
            self._probe("smoothing")

    def _speech_end(self, utterance: UtteranceEnd) -> SpeechEnd:
        self._log.n_utterances += 1
        if self._speech is not None:
            self._speech.add_utterance(utterance)
        if utterance.outputs and utterance.evident:
            self._baseline.learn(utterance.outputs, utterance.end_s - utterance.start_s)
            self._log.baseline_s = self._baseline.speech_s
        probs = utterance.probs if utterance.evident else {}
        verdict = self._verdict(probs)
        return SpeechEnd(
            **self._log.stamp(utterance.end_s),
            start_s=utterance.start_s,
            probs=probs,
            n_windows=utterance.n_windows,
            latency_ms=self._log.latency_ms(utterance.end_s),
            arousal=utterance.arousal if utterance.evident else None,
            baseline_s=self._log.baseline_s,
            no_speech=not utterance.evident,
            label=verdict.label,
            confidence=verdict.confidence,
            abstained=verdict.abstained,
            likeliest=verdict.likeliest,
        )

    def _clip(self, clip: Prediction) -> Clip:
        verdict = self._verdict(clip.probs)
        return Clip(
            **self._log.stamp(clip.end_s),
            probs=clip.probs,
            level_dbfs=clip.level_dbfs,
            clipped=clip.clipped,
            compute_ms=clip.compute_ms,
            duration_s=clip.end_s,
            arousal=clip.arousal,
            no_speech=self._speech is not None and not self._speech.evident,
            label=verdict.label,
            confidence=verdict.confidence,
            abstained=verdict.abstained,
            likeliest=verdict.likeliest,
        )

    def _verdict(self, probs: Mapping[str, float]) -> Verdict:
        """Return the label of an utterance or a clip."""
        return decide(probs, self.settings.smoothing.abstain_below)

    def _heartbeat(self, events: list[Event]) -> None:
        now = self._log.clock()
        if now - self._heartbeat_at_s >= self.settings.heartbeat_s:
            self._heartbeat_at_s = now
            events.append(self._log.heartbeat(self.at_s, self.state))
