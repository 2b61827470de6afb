"""Recognition of a clip by its speech: the mean over the windows of its utterances.

If there is no utterance, windows around a scream count, which the voice detector misses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio.io import FULL_SCALE, AudioChunk
from edge_ser.recognition.baseline import BaselineState, NoBaseline
from edge_ser.recognition.classifier import Classifier, PredictionStream
from edge_ser.recognition.prediction import Prediction, likeliest
from edge_ser.recognition.utterances import UtteranceConfig, UtteranceEnd, UtteranceItem, Utterances
from edge_ser.recognition.windowing import WindowConfig, resampled, too_short
from edge_ser.vad.detectors import open_detector
from edge_ser.vad.segmenter import Segmenter

Float64 = NDArray[np.float64]

FRAME_S = 0.032
CONTRAST_DB = 45.0
"""Smallest difference between the loudest frame and the floor, the 10th percentile of the frames."""
ABOVE_FLOOR_DB = 20.0
BELOW_LOUDEST_DB = 25.0
"""Limits of a loud frame: at least this much above the floor, at most that much below the loudest."""
MIN_VOICED_S = 0.8
VOICED = 0.8
"""Normalised autocorrelation from which a frame is voiced."""
MOST_PITCH_SPREAD = 0.7
"""Largest standard deviation of the pitch, in octaves."""
PITCH_HZ = 73.0, 1_330.0

_UNRECORDED_DBFS = -90.0
_FEWEST_RECORDED = 5


def find_loud_voice(samples: Float32, sample_rate: int) -> tuple[float, float] | None:
    """Return start and end of a loud voice in samples [n], in seconds; None if there is none."""
    size = round(FRAME_S * sample_rate)
    n_frames = len(samples) // size
    if n_frames < MIN_VOICED_S / FRAME_S:
        return None
    frames = samples[: n_frames * size].reshape(n_frames, size).astype(np.float64)
    level = 10 * np.log10(np.einsum("ij,ij->i", frames, frames) / size + 1e-12)
    recorded = level[level > _UNRECORDED_DBFS]
    if len(recorded) < _FEWEST_RECORDED:
        return None
    floor, loudest = np.percentile(recorded, 10), level.max()
    if loudest - floor < CONTRAST_DB:
        return None
    loud = (level > floor + ABOVE_FLOOR_DB) & (level > loudest - BELOW_LOUDEST_DB)
    strength, pitch_hz = _periodicity(frames, sample_rate)
    voiced = loud & (strength > VOICED)
    if voiced.sum() * FRAME_S < MIN_VOICED_S:
        return None
    if np.std(np.log2(pitch_hz[voiced])) > MOST_PITCH_SPREAD:
        return None
    indices = np.flatnonzero(loud)
    return float(indices[0] * size / sample_rate), float((indices[-1] + 1) * size / sample_rate)


def _periodicity(frames: Float64, sample_rate: int) -> tuple[Float64, Float64]:
    """Return the periodicity of each frame with its successor, and its pitch in Hz, both [n_frames]."""
    n_frames, size = frames.shape
    pairs = np.zeros((n_frames, 2 * size))
    pairs[:, :size] = frames
    pairs[:-1, size:] = frames[1:]
    pairs -= pairs.mean(axis=1, keepdims=True)
    window = np.hanning(2 * size)
    shortest, longest = (round(sample_rate / hz) for hz in reversed(PITCH_HZ))
    of_window = _autocorrelation(window[None], longest)[0]
    strength, pitch_hz = np.zeros(n_frames), np.ones(n_frames)
    for index, row in enumerate(_autocorrelation(pairs * window, longest) / of_window):
        rising = np.flatnonzero(np.diff(row) > 0)
        first = min(max(int(rising[0]) if len(rising) else 1, shortest), longest - 1)
        lag = first + int(np.argmax(row[first:]))
        strength[index], pitch_hz[index] = row[lag], sample_rate / lag
    return strength, pitch_hz


def _autocorrelation(rows: Float64, longest: int) -> Float64:
    """Return the autocorrelation of each row at lags [0, longest], 1 at lag 0."""
    power = np.abs(np.fft.rfft(rows, 4 * rows.shape[1])) ** 2
    values = np.fft.irfft(power)[:, : longest + 1]
    return np.asarray(values / (values[:, :1] + 1e-12))


Float32 = NDArray[np.float32]

CLIP_UTTERANCE = UtteranceConfig(pre_roll_s=1.0, post_roll_s=1.0)
"""Pre-roll and post-roll for a file: a labelled clip counts nearly from end to end, as in training."""

_SILENT_DBFS = -120.0
_LONGEST_LOUD_CLIP_S = 30.0
"""Longest clip that is searched for a loud voice, in seconds."""


class SpeechTally:
    """Sum of the utterances of one clip, in constant memory, for its final prediction.

    Utterances are weighted by their number of windows. Those that are not evidently speech do not
    count.

    Args:
        config: geometry of the windows.
        classifier: the model.
        source: name of the clip in predictions.
        baseline: baseline of the stream; None for none.
    """

    def __init__(
        self,
        config: WindowConfig,
        classifier: Classifier,
        source: str,
        baseline: BaselineState | None = None,
    ) -> None:
        self.evident = False
        """Whether an utterance evidently was speech, or there is a loud voice."""
        self._config = config
        self._classifier = classifier
        self._baseline = baseline or NoBaseline()
        self._rate = config.sample_rate
        self._source = source
        self._audio: list[Float32] = []
        """Audio of a short clip; empty for longer ones."""
        self._sums: dict[str, float] = {}
        self._arousal: float | None = None
        self._n = 0
        self._windows_dbfs: float | None = None
        self._clipped = 0.0
        self._compute_ms = 0.0
        self._energy, self._n_samples, self._n_full = 0.0, 0, 0

    def add_audio(self, samples: Float32) -> None:
        """Add audio [n], speech or not, for the level of a clip without windows."""
        self._energy += float(samples @ samples)
        self._n_samples += len(samples)
        self._n_full += int(np.count_nonzero(np.abs(samples) >= FULL_SCALE))
        self._audio.append(samples.copy())
        if self._n_samples > _LONGEST_LOUD_CLIP_S * self._rate:
            self._audio.clear()

    def add_window(self, window: Prediction) -> None:
        """Add the level and the compute time of a window."""
        self._windows_dbfs = max(window.level_dbfs, self._windows_dbfs or window.level_dbfs)
        self._clipped = max(self._clipped, window.clipped)
        self._compute_ms += window.compute_ms

    def add_utterance(self, utterance: UtteranceEnd) -> None:
        """Add an utterance."""
        if not utterance.evident:
            return
        self.evident = True
        self._add(utterance.probs, utterance.arousal, utterance.n_counted)

    def loud_voice(self) -> tuple[Prediction, ...]:
        """Return and add the windows around a loud voice in a short clip without speech."""
        if self.evident or not 0 < self._n_samples <= _LONGEST_LOUD_CLIP_S * self._rate:
            return ()
        samples = np.concatenate(self._audio)
        span = find_loud_voice(samples, self._rate)
        if span is None:
            return ()
        begin = max(0, round((span[0] - CLIP_UTTERANCE.pre_roll_s) * self._rate))
        stop = round((span[1] + CLIP_UTTERANCE.post_roll_s) * self._rate)
        stream = PredictionStream(
            self._config,
            self._classifier,
            self._source,
            at_s=begin / self._rate,
            excess=None if self._baseline.learns else self._baseline.excess(),
        )
        windows = (*stream.push(samples[begin:stop]), *stream.finish())
        self.evident = True
        for window in windows:
            self._add(window.probs, window.arousal, int(window.label is not None))
        return windows

    def final(self) -> Prediction:
        """Return the prediction of the clip; its label is None if nothing counts.

        Raises:
            AudioError: the clip is too short to be recognised.
        """
        if self._n_samples < self._config.min_samples:
            raise too_short(self._source, self._n_samples, self._config)
        end_s = self._n_samples / self._rate
        probs = {label: total / self._n for label, total in self._sums.items()}
        return Prediction(
            source=self._source,
            start_s=0.0,
            end_s=end_s,
            label=likeliest(probs),
            probs=probs,
            level_dbfs=self._audio_dbfs() if self._windows_dbfs is None else self._windows_dbfs,
            clipped=max(self._clipped, self._n_full / max(1, self._n_samples)),
            compute_ms=self._compute_ms,
            final=True,
            arousal=None if self._arousal is None else self._arousal / self._n,
        )

    def _add(self, probs: Mapping[str, float], arousal: float | None, n: int) -> None:
        self._n += n
        if arousal is not None:
            self._arousal = (self._arousal or 0.0) + n * arousal
        for label, p in probs.items():
            self._sums[label] = self._sums.get(label, 0.0) + n * p

    def _audio_dbfs(self) -> float:
        power = self._energy / max(1, self._n_samples)
        return max(_SILENT_DBFS, 10 * float(np.log10(power + 1e-12)))


def recognize_speech(
    config: WindowConfig,
    classifier: Classifier,
    chunks: Iterable[AudioChunk],
    source: str,
    baseline: BaselineState | None = None,
) -> tuple[tuple[Prediction, ...], Prediction]:
    """Return the predictions of the windows of a clip's utterances, and that of the clip.

    Args:
        config: geometry of the windows.
        classifier: the model.
        chunks: audio at a constant rate.
        source: name of the clip.
        baseline: baseline of the clip; None for none.

    Raises:
        AudioError: samples that are not finite, or a clip too short to be recognised.
    """
    utterances = Utterances(
        config,
        classifier,
        Segmenter(open_detector(), config.sample_rate),
        source,
        settings=CLIP_UTTERANCE,
        baseline=baseline,
    )
    tally, windows = SpeechTally(config, classifier, source, baseline), []
    for samples in resampled(chunks, config.sample_rate, source):
        tally.add_audio(samples)
        windows += _counted(tally, utterances.push(samples))
    windows += _counted(tally, utterances.finish())
    windows += _counted(tally, tally.loud_voice())
    return tuple(windows), tally.final()


def _counted(tally: SpeechTally, items: Iterable[UtteranceItem]) -> list[Prediction]:
    """Add items to the tally, and return the windows among them."""
    windows = []
    for item in items:
        if isinstance(item, Prediction):
            tally.add_window(item)
            windows.append(item)
        elif isinstance(item, UtteranceEnd):
            tally.add_utterance(item)
    return windows
