"""From a stream of audio to predictions: resample, features, windows, inference, softmax."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import FULL_SCALE, Chunk, Resampler, check_finite, dbfs, file_chunks
from edge_ser.errors import AudioError, ConfigError
from edge_ser.frontend import StreamingMfcc
from edge_ser.runtime.runner import Runner, open_runner
from edge_ser.runtime.timeline import Timeline

Float32 = NDArray[np.float32]

MIN_LEVEL_DBFS = -70.0
"""Default level below which 10 ms of audio count as silence. The softest clips of RAVDESS, whole
sentences at -64 dB, are above it for a quarter of their time."""

MIN_ACTIVE = 0.1
"""Share of a window that has to be louder than that for the window to be recognised."""


@dataclass(frozen=True)
class Prediction:
    """What was recognised in one window, or in a whole clip when `final`.

    `label` is None and `probs` is empty where the window is silent: a label would be made up.
    """

    source: str
    start_s: float
    end_s: float
    label: str | None
    probs: Mapping[str, float]
    """Probability of each class, by label; sums to 1."""
    level_dbfs: float
    """RMS level of the window, dB of full scale; for a whole clip, of its loudest window."""
    clipped: float
    """Share of the samples at full scale, in [0, 1]; for a whole clip, of its worst window."""
    compute_ms: float
    """Time spent on features and inference since the window before; for a clip, on all of it."""
    final: bool = False

    @property
    def confidence(self) -> float | None:
        """Probability of the label, None for silence."""
        return None if self.label is None else self.probs[self.label]


@dataclass(frozen=True)
class Recognition:
    """All windows of a clip, and the clip as a whole: the mean of its windows' probabilities."""

    windows: tuple[Prediction, ...]
    final: Prediction


class Recognizer:
    """Recognise emotion in files and streams with one model.

    Args:
        model: an ONNX file, an engine, a `Runner`, or None for the bundled model.
        window_s: seconds classified at once; None for the model's own.
        hop_s: seconds between windows, rounded to whole feature frames; None for the model's own.
        min_level_dbfs: windows with less than 10% of their time above this level are silence.
        threads: CPU threads for one inference.
        device: where to run a model file, one of `runner.DEVICES`.

    Raises:
        ModelError: the model cannot be used.
        EngineError, MissingDependency: nor the device; see `open_runner`.
        ConfigError: a window or hop that it cannot work with.
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
    ) -> None:
        if model is None or isinstance(model, (str, Path)):
            model = open_runner(model, threads, device)
        self.runner = model
        self.card = model.card
        self.min_level_dbfs = min_level_dbfs
        frontend = self.card.frontend
        window_s = self.card.window_s if window_s is None else window_s
        hop_s = self.card.hop_s if hop_s is None else hop_s
        if not self.card.min_window_s <= window_s <= 60:
            raise ConfigError(
                f"a window of {window_s:g} s was asked for, {self.card.min_window_s:g} to 60 s "
                f"can be recognised; the model was trained with {self.card.window_s:g} s"
            )
        if not frontend.hop_length / frontend.sample_rate <= hop_s <= 60:
            raise ConfigError(
                f"a hop of {hop_s:g} s was asked for, "
                f"{frontend.hop_length / frontend.sample_rate:g} to 60 s can be used"
            )
        self.hop_frames = round(hop_s * frontend.sample_rate / frontend.hop_length)
        self.hop_samples = self.hop_frames * frontend.hop_length
        self.window_samples = round(window_s * frontend.sample_rate)

    def stream(self, chunks: Iterable[Chunk], source: str = "stream") -> Iterator[Prediction]:
        """Yield a prediction for each window, as soon as its last sample has come.

        A stream shorter than one window gives one prediction for all of it, when it ends.

        Raises:
            AudioError: shorter than the model's `min_window_s`, or samples that are not finite.
        """
        windows = WindowStream(self, source)
        for chunk in chunks:
            yield from windows.push(chunk)
        yield from windows.finish()

    def recognize(self, path: str | Path, channel: int | None = None) -> Recognition:
        """Recognise a file that libsndfile can read.

        Args:
            path: the file.
            channel: which channel to take, None for the mean of all.

        Raises:
            AudioError: unreadable, too short, or silent.
        """
        tally = ClipTally(str(path))
        windows = []
        for prediction in self.stream(file_chunks(Path(path), channel), str(path)):
            tally.add(prediction)
            windows.append(prediction)
        return Recognition(tuple(windows), tally.final())


class WindowStream:
    """Push side of `Recognizer.stream`: for callers whose audio arrives by callback."""

    def __init__(self, recognizer: Recognizer, source: str) -> None:
        self._recognizer = recognizer
        self._source = source
        self._resampler: Resampler | None = None
        self._rate = 0
        frontend = recognizer.card.frontend
        self._samples = Timeline(1)
        self._features = (
            None if recognizer.card.input == "waveform" else Timeline(frontend.n_features)
        )
        self._mfcc = StreamingMfcc(frontend)
        self._n_windows = 0
        self._busy_ns = 0

    def push(self, chunk: Chunk) -> Iterator[Prediction]:
        """Take audio and yield the windows that it completes."""
        if self._resampler is None:
            self._rate = chunk.sample_rate
            self._resampler = Resampler(
                chunk.sample_rate, self._recognizer.card.frontend.sample_rate
            )
        if chunk.sample_rate != self._rate:
            raise AudioError(
                f"{self._source}: the sample rate changed from {self._rate} to "
                f"{chunk.sample_rate} Hz within the stream; start a new stream"
            )
        check_finite(chunk.samples, self._source)
        yield from self._take(self._resampler.push(chunk.samples))

    def finish(self) -> Iterator[Prediction]:
        """End the stream and yield what is left: all of it, when it was shorter than a window."""
        if self._resampler is not None:
            rest = self._resampler.push(np.empty(0, dtype=np.float32), last=True)
            yield from self._take(rest, last=True)
        if self._n_windows == 0:
            card = self._recognizer.card
            held_s = self._samples.end / card.frontend.sample_rate
            if held_s < card.min_window_s:
                raise AudioError(
                    f"{self._source} holds {held_s:.3g} s of audio, at least "
                    f"{card.min_window_s:g} s are needed to recognise anything; record more"
                )
            yield self._predict(0, self._samples.end)

    def _take(self, samples: Float32, last: bool = False) -> Iterator[Prediction]:
        """Append samples at the model's rate and yield the windows that are now whole."""
        begin = time.perf_counter_ns()
        self._samples.append(samples[None])
        if self._features is not None:
            self._features.append(self._mfcc.push(samples))
            if last:
                self._features.append(self._mfcc.flush())
        self._busy_ns += time.perf_counter_ns() - begin
        recognizer, frontend = self._recognizer, self._recognizer.card.frontend
        while True:
            start = self._n_windows * recognizer.hop_samples
            stop = start + recognizer.window_samples
            frames = self._n_windows * recognizer.hop_frames + frontend.n_frames(stop - start)
            if stop > self._samples.end:
                return
            if self._features is not None and frames > self._features.end:
                return
            yield self._predict(start, stop)

    def _predict(self, start: int, stop: int) -> Prediction:
        begin = time.perf_counter_ns()
        recognizer, frontend = self._recognizer, self._recognizer.card.frontend
        samples = self._samples.slice(start, stop)
        level = dbfs(samples[0])
        probs: dict[str, float] = {}
        if _active_share(samples[0], frontend.hop_length, recognizer.min_level_dbfs) >= MIN_ACTIVE:
            inputs = samples
            if self._features is not None:
                first = start // frontend.hop_length
                inputs = self._features.slice(first, first + frontend.n_frames(stop - start))[None]
            logits = recognizer.runner.run(np.ascontiguousarray(inputs))[0]
            probs = dict(zip(recognizer.card.labels, softmax(logits).tolist(), strict=True))
        self._n_windows += 1
        self._samples.drop_before(self._n_windows * recognizer.hop_samples)
        if self._features is not None:
            self._features.drop_before(self._n_windows * recognizer.hop_frames)
        busy_ns = self._busy_ns + time.perf_counter_ns() - begin
        self._busy_ns = 0
        return Prediction(
            source=self._source,
            start_s=start / frontend.sample_rate,
            end_s=stop / frontend.sample_rate,
            label=max(probs, key=probs.__getitem__) if probs else None,
            probs=probs,
            level_dbfs=level,
            clipped=float(np.mean(np.abs(samples) >= FULL_SCALE)),
            compute_ms=busy_ns / 1e6,
        )


class ClipTally:
    """Sum up the windows of one clip, in constant memory, into its final prediction."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._sums: dict[str, float] = {}
        self._n_active = 0
        self._end_s = 0.0
        self._level = -np.inf
        self._clipped = 0.0
        self._compute_ms = 0.0

    def add(self, window: Prediction) -> None:
        """Count a window in; silent ones only lengthen the clip."""
        self._end_s = window.end_s
        self._level = max(self._level, window.level_dbfs)
        self._clipped = max(self._clipped, window.clipped)
        self._compute_ms += window.compute_ms
        self._n_active += window.label is not None
        for label, p in window.probs.items():
            self._sums[label] = self._sums.get(label, 0.0) + p

    def final(self) -> Prediction:
        """Return the clip's prediction: the mean of the probabilities of its audible windows.

        Raises:
            AudioError: no window was audible.
        """
        if self._n_active == 0:
            raise AudioError(
                f"{self._source} is silent (loudest window {self._level:.0f} dB of full scale); "
                "check the microphone and its level"
            )
        probs = {label: total / self._n_active for label, total in self._sums.items()}
        return Prediction(
            source=self._source,
            start_s=0.0,
            end_s=self._end_s,
            label=max(probs, key=probs.__getitem__),
            probs=probs,
            level_dbfs=self._level,
            clipped=self._clipped,
            compute_ms=self._compute_ms,
            final=True,
        )


def softmax(logits: Float32) -> NDArray[np.float64]:
    """Return probabilities of logits [n_classes], in double precision so that they sum to 1."""
    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    return np.asarray(shifted / shifted.sum())


def _active_share(samples: Float32, block: int, min_level_dbfs: float) -> float:
    """Return the share of `block`-long pieces whose RMS level is above `min_level_dbfs`."""
    blocks = samples[: max(1, len(samples) // block) * block].reshape(-1, min(block, len(samples)))
    power = np.einsum("ij,ij->i", blocks, blocks) / blocks.shape[1]
    return float(np.mean(power > 10 ** (min_level_dbfs / 10)))
