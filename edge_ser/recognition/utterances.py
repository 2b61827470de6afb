"""Recognition of continuous audio by utterance, each like a separate clip.

Windows never mix two utterances, and there is no inference during silence. The chunk size does not
change windows or boundaries.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.records import require
from edge_ser.errors import AudioError
from edge_ser.inference.outputs import SpeechOutputs
from edge_ser.recognition.baseline import BaselineState, NoBaseline
from edge_ser.recognition.classifier import Classifier, PredictionStream
from edge_ser.recognition.prediction import MeanProbs, Prediction
from edge_ser.recognition.ring_buffer import RingBuffer
from edge_ser.recognition.windowing import Probe, WindowConfig
from edge_ser.vad.segmenter import Segmenter, SpeechBoundary

Float32 = NDArray[np.float32]

_SLACK_S = 0.2
"""Additional delay of the segmenter, by frames and filters."""


@dataclass(frozen=True)
class UtteranceConfig:
    """Audio that belongs to an utterance, and its first window.

    Raises:
        ConfigError: a value out of range.
    """

    pre_roll_s: float = 0.25
    """Seconds before the speech that belong to the utterance."""
    post_roll_s: float = 0.25
    """Seconds after the speech that belong to the utterance."""
    first_s: float = 1.0
    """Seconds of the first window, which then grows."""

    def __post_init__(self) -> None:
        for name in ("pre_roll_s", "post_roll_s"):
            value = getattr(self, name)
            require(0 <= value <= 2, name, value, "0 to 2 seconds")
        require(0.1 <= self.first_s <= 60, "first_s", self.first_s, "0.1 to 60 seconds")


@dataclass(frozen=True)
class UtteranceStart:
    """Start of speech at a stream time."""

    at_s: float


@dataclass(frozen=True)
class UtteranceEnd:
    """End of speech; times are stream times."""

    start_s: float
    end_s: float
    probs: Mapping[str, float]
    """Mean probability over the windows, by label; empty if the utterance is too short or too soft."""
    n_windows: int
    """Number of windows classified during the utterance, including growing ones."""
    n_counted: int = 0
    """Number of windows in the mean `probs`."""
    evident: bool = True
    """Whether the utterance evidently was speech; see `Segmenter`."""
    arousal: float | None = None
    """Mean over the same windows, in [0, 1]; None if there is none."""
    outputs: tuple[float, ...] = ()
    """Mean outputs of the same windows [n_outputs] before subtraction of a baseline; empty unless the
    baseline learns from utterances."""


UtteranceItem = Prediction | UtteranceStart | UtteranceEnd


class Utterances:
    """Cut samples at the model's rate into utterances; yield windows and boundaries in stream order.

    Args:
        config: geometry of the windows.
        classifier: the model.
        segmenter: finds speech and pauses; it is reset to `at_s`.
        source: name of the stream in predictions.
        settings: audio that belongs to an utterance.
        at_s: stream time of the first sample.
        probe: gets the stage `vad`, and those of `PredictionStream`.
        baseline: baseline of the stream; its state at the beginning of an utterance applies to it.
    """

    def __init__(
        self,
        config: WindowConfig,
        classifier: Classifier,
        segmenter: Segmenter,
        source: str,
        settings: UtteranceConfig | None = None,
        *,
        at_s: float = 0.0,
        probe: Probe | None = None,
        baseline: BaselineState | None = None,
    ) -> None:
        self._config = config
        self._classifier = classifier
        self._baseline = baseline or NoBaseline()
        self._segmenter = segmenter
        self._source = source
        self._settings = settings or UtteranceConfig()
        self._at_s = at_s
        self._probe = probe
        self._rate = config.sample_rate
        # The segmenter gets one frame at a time, so that the chunk size has no effect.
        self._step = round(segmenter.frame_s * self._rate)
        pause = segmenter.settings
        start_delay_s = pause.min_speech_s + max(pause.pre_roll_s, pause.search_s) + _SLACK_S
        self._end_delay_s = pause.min_silence_s + pause.search_s + _SLACK_S
        self._keep = round((self._settings.pre_roll_s + start_delay_s) * self._rate)
        self._samples = RingBuffer(1)
        self._n_segmented = 0
        self._current: _Utterance | None = None
        segmenter.reset(at_s)

    def push(self, samples: Float32) -> Iterator[UtteranceItem]:
        """Take float32 [n] at the model's rate."""
        while len(samples):
            n = self._step - (self._samples.end - self._n_segmented)
            piece, samples = samples[:n], samples[n:]
            self._samples.append(piece[None])
            if self._current is not None:
                yield from self._current.push(piece)
            if self._samples.end - self._n_segmented == self._step:
                yield from self._segment()

    def finish(self) -> Iterator[UtteranceItem]:
        """End the audio and an utterance in progress."""
        if self._samples.end > self._n_segmented:
            yield from self._segment()
        for boundary in self._segmenter.flush():
            yield from self._apply(boundary)

    def _segment(self) -> Iterator[UtteranceItem]:
        new = self._samples.slice(self._n_segmented, self._samples.end)[0]
        boundaries = self._segmenter.push(new)
        self._n_segmented = self._samples.end
        if self._probe is not None:
            self._probe("vad")
        for boundary in boundaries:
            yield from self._apply(boundary)
        self._samples.drop_before(self._samples.end - self._keep)

    def _apply(self, boundary: SpeechBoundary) -> Iterator[UtteranceItem]:
        at_s = boundary.at_s
        if boundary.kind == "start":
            yield UtteranceStart(at_s)
            pre_roll = round((at_s - self._at_s - self._settings.pre_roll_s) * self._rate)
            first = max(self._samples.start, pre_roll)
            self._current = _Utterance(
                self._config,
                self._classifier,
                self._source,
                at_s,
                self._at_s + first / self._rate,
                self._settings,
                self._end_delay_s,
                self._probe,
                self._baseline,
            )
            yield from self._current.push(self._samples.slice(first, self._samples.end)[0])
        elif self._current is not None:
            finished, self._current = self._current.finish(at_s), None
            yield dataclasses.replace(finished, evident=boundary.evident)


class _Utterance:
    """Windows of one utterance, summed in constant memory."""

    def __init__(
        self,
        config: WindowConfig,
        classifier: Classifier,
        source: str,
        start_s: float,
        from_s: float,
        settings: UtteranceConfig,
        end_delay_s: float,
        probe: Probe | None,
        baseline: BaselineState,
    ) -> None:
        self._start_s = start_s
        self._from_s = from_s
        self._post_roll_s = settings.post_roll_s
        self._rate = config.sample_rate
        self._window_samples = config.window_samples
        first_s = max(settings.first_s, config.min_window_s)
        self._windows = PredictionStream(
            config,
            classifier,
            source,
            at_s=from_s,
            first_s=first_s,
            probe=probe,
            excess=baseline.excess(),
        )
        self._uncounted: deque[Prediction] = deque()
        """Complete windows that may reach into the pause after the speech."""
        self._wait_s = end_delay_s + settings.post_roll_s
        self._outputs = SpeechOutputs() if baseline.learns else None
        self._mean = MeanProbs()
        self._n_windows = 0

    def push(self, samples: Float32) -> Iterator[Prediction]:
        for window in self._windows.push(samples):
            self._n_windows += 1
            if round((window.end_s - window.start_s) * self._rate) == self._window_samples:
                self._uncounted.append(window)
            while self._uncounted and self._uncounted[0].end_s < window.end_s - self._wait_s:
                self._count(self._uncounted.popleft())
            yield window

    def finish(self, end_s: float) -> UtteranceEnd:
        """Return the utterance: the mean of its complete windows, or all of it as one window.

        The result equals that of a clip that contains the utterance only.
        """
        limit_s = end_s + self._post_roll_s
        complete = [w for w in self._uncounted if w.end_s <= limit_s]
        if not complete and self._mean.n == 0:
            # A window that reaches into the pause holds all of the utterance.
            complete = list(self._uncounted)[:1]
        if not complete and self._mean.n == 0:
            until = round((limit_s - self._from_s) * self._rate)
            try:
                complete = list(self._windows.finish(until))
                self._n_windows += len(complete)
            except AudioError:
                complete = []  # too short to be recognised, which is no error in a stream
        for window in complete:
            self._count(window)
        return UtteranceEnd(
            self._start_s,
            end_s,
            self._mean.probs(),
            self._n_windows,
            n_counted=self._mean.n,
            arousal=self._mean.arousal(),
            outputs=() if self._outputs is None else self._outputs.mean(),
        )

    def _count(self, window: Prediction) -> None:
        """Add a window to the means of the utterance."""
        self._mean.add(window)
        if self._outputs is not None:
            self._outputs.add(window.outputs)
