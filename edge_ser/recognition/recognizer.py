"""Recognizer: one model for files, streams of audio and microphones."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ser.audio.io import AudioChunk, file_chunks
from edge_ser.card import BASELINE_WAYS
from edge_ser.inference.base import Runner
from edge_ser.inference.loader import open_runner
from edge_ser.recognition.baseline import Baseline, BaselineState, open_baseline
from edge_ser.recognition.classifier import Classifier, PredictionStream
from edge_ser.recognition.clip_speech import CLIP_UTTERANCE, recognize_speech
from edge_ser.recognition.listen import (
    BackgroundListener,
    EventSink,
    gets_clip,
    listen,
    listen_async,
)
from edge_ser.recognition.prediction import ClipTally, Float32, Prediction
from edge_ser.recognition.smoothing import Smoothing
from edge_ser.recognition.streaming import StreamConfig, StreamingRecognizer
from edge_ser.recognition.utterances import UtteranceConfig
from edge_ser.recognition.windowing import (
    MIN_LEVEL_DBFS,
    Probe,
    StageTimer,
    WindowConfig,
    resampled,
)
from edge_ser.vad.base import VoiceDetector
from edge_ser.vad.detectors import open_detector

if TYPE_CHECKING:
    from edge_ser.audio.sources.base import Source
    from edge_ser.recognition.events import Event


@dataclass(frozen=True)
class Recognition:
    """Predictions of all windows of a clip, and of the clip: the mean of those that count."""

    windows: tuple[Prediction, ...]
    final: Prediction


class Recognizer:
    """Recognise emotion in files and streams with one model.

    Args:
        model: an ONNX file, an engine, a name of `loader.BUNDLED`, a `Runner`, or None for `bundled`.
        window_s: seconds classified at once; None for the model's own.
        hop_s: seconds between windows, rounded to complete feature frames; None for the model's own.
        min_level_dbfs: windows with less than 10% of their time above this level are silence.
        threads: CPU threads for one inference.
        device: device for a model file, one of `loader.DEVICES`.
        prior: ratio of the prior odds to those in training by label, as `{"neutral": 3}`; missing
            labels have 1. See `recognition.prior`.
        baseline: `none`, `running`, a file of `edge-ser enroll` or its `Baseline`; None for the
            default of the model's card. A running one follows the utterances of a stream; files are
            recognised without it.

    Raises:
        ModelError: the model cannot be used.
        BaselineError: the model supports no baseline, or the baseline does not fit.
        EngineError, MissingDependency: the device cannot be used; see `open_runner`.
        ConfigError: an invalid window, hop or prior.
    """

    def __init__(
        self,
        model: str | Path | Runner | None = None,
        *,
        window_s: float | None = None,
        hop_s: float | None = None,
        min_level_dbfs: float = MIN_LEVEL_DBFS,
        threads: int = 1,
        device: str = "auto",
        prior: Mapping[str, float] | None = None,
        baseline: str | Path | Baseline | None = None,
    ) -> None:
        if model is None or isinstance(model, (str, Path)):
            model = open_runner(model, threads, device)
        self.card = model.card
        self.classifier = Classifier(model, prior)
        self.prior = self.classifier.prior
        if isinstance(baseline, (str, Path)) and baseline not in BASELINE_WAYS:
            baseline = Baseline.load(Path(baseline))
        self._baseline_choice = baseline
        state = self.open_baseline()
        self.excess = None if state.learns else state.excess()
        """Excess of an enrolled baseline over the usual outputs [n_outputs]; None without one."""
        self.config = WindowConfig.from_card(
            self.card,
            window_s=window_s,
            hop_s=hop_s,
            min_window_s=model.min_window_s,
            min_level_dbfs=min_level_dbfs,
        )
        """Geometry of the windows."""

    @property
    def runner(self) -> Runner:
        """Loaded model."""
        return self.classifier.runner

    @property
    def window_samples(self) -> int:
        """Samples classified at once."""
        return self.config.window_samples

    @property
    def window_s(self) -> float:
        """Seconds classified at once."""
        return self.config.window_s

    @property
    def hop_s(self) -> float:
        """Seconds between windows."""
        return self.config.hop_s

    def open_baseline(self) -> BaselineState:
        """Return the baseline of a new stream, in its initial state."""
        return open_baseline(self.card, self._baseline_choice)

    def class_probs(self, logits: Float32) -> dict[str, float]:
        """Return the probabilities of logits [n_classes] by label, with the prior."""
        return self.classifier.probs(logits)

    def stream(self, chunks: Iterable[AudioChunk], source: str = "stream") -> Iterator[Prediction]:
        """Yield a prediction for each window, as soon as its last sample has arrived.

        A stream shorter than one window gives one prediction at its end.

        Raises:
            AudioError: shorter than the model's `min_window_s`, or samples that are not finite.
        """
        timer = StageTimer()
        windows = PredictionStream(
            self.config, self.classifier, source, excess=self.excess, timer=timer
        )
        for samples in resampled(chunks, self.config.sample_rate, source, timer):
            yield from windows.push(samples)
        yield from windows.finish()

    def recognize(
        self, path: str | Path, channel: int | None = None, *, vad: bool = True
    ) -> Recognition:
        """Recognise a file that libsndfile can read.

        Args:
            path: the file.
            channel: index of the channel; None for the mean of all.
            vad: whether to use a voice detector: the clip is then the mean over its speech, and its
                label is None without speech. False: all windows count.

        Raises:
            AudioError: unreadable, too short or, without `vad`, silent.
        """
        if vad:
            windows_of_speech, final = recognize_speech(
                self.config,
                self.classifier,
                file_chunks(Path(path), channel),
                str(path),
                self.open_baseline(),
            )
            return Recognition(windows_of_speech, final)
        tally = ClipTally(str(path))
        windows = []
        for prediction in self.stream(file_chunks(Path(path), channel), str(path)):
            tally.add(prediction)
            windows.append(prediction)
        return Recognition(tuple(windows), tally.final())

    def stream_settings(self, *, live: bool = True) -> StreamConfig:
        """Return the default settings of a stream, with the abstain threshold of the card.

        Args:
            live: False for a file, whose utterances have a longer pre-roll and post-roll.
        """
        return StreamConfig(
            smoothing=Smoothing(abstain_below=self.card.abstain_below),
            utterance=UtteranceConfig() if live else CLIP_UTTERANCE,
        )

    def open_stream(
        self,
        source: str = "stream",
        *,
        detector: VoiceDetector | None = None,
        settings: StreamConfig | None = None,
        clip: bool = False,
        clock: Callable[[], float] = time.monotonic,
        probe: Probe | None = None,
        baseline: BaselineState | None = None,
    ) -> StreamingRecognizer:
        """Return a stream to push audio into; the arguments are those of `StreamingRecognizer`.

        Args:
            source: name of the stream in events.
            detector: a voice detector; None for none.
            settings: None for `StreamConfig()`.
            clip: whether a `clip` event sums up the stream at its end.
            clock: monotonic seconds.
            probe: gets the name of each stage when it ends.
            baseline: None for a new one.
        """
        return StreamingRecognizer(
            self.config,
            self.classifier,
            source,
            detector=detector,
            settings=settings,
            clip=clip,
            clock=clock,
            probe=probe,
            baseline=baseline or self.open_baseline(),
        )

    def listen(
        self,
        source: Source | str | Path | None = None,
        *,
        vad: bool | None = None,
        settings: StreamConfig | None = None,
        sinks: Sequence[EventSink] = (),
    ) -> Iterator[Event]:
        """Yield the events of a source until it ends or the loop is left.

        Args:
            source: a source of `audio.sources`, a file, a URL for ffmpeg, or None for the default
                microphone.
            vad: whether a voice detector cuts the stream into utterances; None for True. A file ends
                with a `clip` event: the mean over its utterances, or without a detector over all
                windows. A pipe without a detector does too.
            settings: None for the defaults, and the abstain threshold of the model's card.
            sinks: receive each event before it is yielded; they are opened and closed here.

        Raises:
            AudioError: the source cannot be opened or read.
        """
        yield from self._events(source, vad, settings, sinks, lambda: False)

    def listen_async(
        self,
        source: Source | str | Path | None = None,
        *,
        vad: bool | None = None,
        settings: StreamConfig | None = None,
        sinks: Sequence[EventSink] = (),
    ) -> AsyncIterator[Event]:
        """Return the events of `listen` for `async for`; the work runs in a thread."""
        return listen_async(
            functools.partial(self._events, source, vad, settings, sinks), self.runner.take_over
        )

    def listen_in_background(
        self,
        on_event: Callable[[Event], object],
        source: Source | str | Path | None = None,
        *,
        vad: bool | None = None,
        settings: StreamConfig | None = None,
        sinks: Sequence[EventSink] = (),
    ) -> BackgroundListener:
        """Call `on_event` with the events of `listen` in a thread; return the listener, to stop it."""
        return BackgroundListener(
            functools.partial(self._events, source, vad, settings, sinks),
            on_event,
            on_start=self.runner.take_over,
        )

    def _events(
        self,
        source: Source | str | Path | None,
        vad: bool | None,
        settings: StreamConfig | None,
        sinks: Sequence[EventSink],
        stopped: Callable[[], bool],
    ) -> Generator[Event, None, None]:
        """Yield the events of `listen` until `stopped` returns True."""
        from edge_ser.audio.sources import open_source

        with_detector = vad is None or vad

        def open_stream(opened: Source) -> StreamingRecognizer:
            return self.open_stream(
                opened.name,
                detector=open_detector() if with_detector else None,
                settings=settings or self.stream_settings(live=opened.live),
                clip=gets_clip(opened, with_detector=with_detector),
            )

        with contextlib.ExitStack() as stack:
            opened = [stack.enter_context(sink) for sink in sinks]
            yield from listen(open_source(source), open_stream, opened, stopped=stopped)
