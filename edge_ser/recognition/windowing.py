"""Windowing of audio: from samples to the inputs of a model. No model is needed.

samples -> `WindowCutter` -> `Window(start, stop, inputs, level_dbfs, clipped)`
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio.io import FULL_SCALE, AudioChunk, Resampler, check_finite, dbfs
from edge_ser.card import FrontendConfig, ModelCard
from edge_ser.errors import AudioError, ConfigError
from edge_ser.frontend import StreamingFeatures
from edge_ser.recognition.ring_buffer import RingBuffer

Float32 = NDArray[np.float32]

MIN_LEVEL_DBFS = -70.0
"""Default level below which 10 ms of audio count as silence. The softest clips of RAVDESS, sentences at
-64 dB, are above it for a quarter of their time."""

MIN_ACTIVE = 0.1
"""Smallest share of an audible window that is louder than `WindowConfig.min_level_dbfs`."""

LONGEST_S = 60.0
"""Longest window and hop, in seconds."""

Probe = Callable[[str], None]
"""Callback that gets the name of each stage when the stage ends."""


@dataclass(frozen=True)
class WindowConfig:
    """Geometry of the windows of a model. Models with equal configs get equal windows."""

    frontend: FrontendConfig
    """Front end of the features; its `sample_rate` applies to all samples."""
    input: str
    """Input of the model: `features` or `waveform`."""
    window_samples: int
    """Samples classified at once."""
    hop_samples: int
    """Samples between the starts of two windows, a multiple of the front end's hop."""
    min_samples: int
    """Samples of the shortest audio that can be classified."""
    min_level_dbfs: float = MIN_LEVEL_DBFS
    """Level in dB of full scale below which a frame is silence; see `MIN_ACTIVE`."""

    @classmethod
    def from_seconds(
        cls,
        frontend: FrontendConfig,
        input: str,  # noqa: A002 (the name of the card's field)
        *,
        window_s: float,
        hop_s: float,
        min_window_s: float,
        min_level_dbfs: float = MIN_LEVEL_DBFS,
    ) -> WindowConfig:
        """Return the config of lengths in seconds; the hop is rounded to whole feature frames."""
        rate = frontend.sample_rate
        min_samples = math.floor(min_window_s * rate)
        min_samples += min_samples / rate < min_window_s
        return cls(
            frontend=frontend,
            input=input,
            window_samples=round(window_s * rate),
            hop_samples=_whole_frames(hop_s, frontend),
            min_samples=min_samples,
            min_level_dbfs=min_level_dbfs,
        )

    @classmethod
    def from_card(
        cls,
        card: ModelCard,
        *,
        window_s: float | None = None,
        hop_s: float | None = None,
        min_window_s: float | None = None,
        min_level_dbfs: float = MIN_LEVEL_DBFS,
    ) -> WindowConfig:
        """Return the config of a model.

        Args:
            card: the card of the model.
            window_s: seconds classified at once; None for the card's.
            hop_s: seconds between windows; None for the card's.
            min_window_s: seconds of the shortest audio; None for the card's.
            min_level_dbfs: level of silence, in dB of full scale.

        Raises:
            ConfigError: a window or hop out of range.
        """
        frontend = card.frontend
        window_s = card.window_s if window_s is None else window_s
        hop_s = card.hop_s if hop_s is None else hop_s
        min_window_s = card.min_window_s if min_window_s is None else min_window_s
        least_hop_s = frontend.hop_length / frontend.sample_rate
        if not min_window_s <= window_s <= LONGEST_S:
            raise ConfigError(
                f"expected a window of {min_window_s:g} to {LONGEST_S:g} s, got {window_s:g} s; the "
                f"model was trained with {card.window_s:g} s"
            )
        if not least_hop_s <= hop_s <= LONGEST_S:
            raise ConfigError(
                f"expected a hop of {least_hop_s:g} to {LONGEST_S:g} s, got {hop_s:g} s"
            )
        return cls.from_seconds(
            frontend,
            card.input,
            window_s=window_s,
            hop_s=hop_s,
            min_window_s=min_window_s,
            min_level_dbfs=min_level_dbfs,
        )

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz."""
        return self.frontend.sample_rate

    @property
    def window_s(self) -> float:
        """Seconds classified at once."""
        return self.window_samples / self.sample_rate

    @property
    def hop_s(self) -> float:
        """Seconds between windows."""
        return self.hop_samples / self.sample_rate

    @property
    def timing(self) -> tuple[float, float]:
        """Seconds of a window and of a hop, as rounded to samples and frames."""
        return self.window_s, self.hop_s

    @property
    def min_window_s(self) -> float:
        """Seconds of the shortest audio that can be classified."""
        return self.min_samples / self.sample_rate

    @property
    def hop_frames(self) -> int:
        """Feature frames between the starts of two windows."""
        return self.hop_samples // self.frontend.hop_length

    def whole_frames(self, seconds: float) -> int:
        """Return the samples of a length in seconds, rounded to whole feature frames."""
        return _whole_frames(seconds, self.frontend)


@dataclass(frozen=True, eq=False)
class Window:
    """Window of a stream; positions are samples at the model's rate."""

    start: int
    """First sample, counted from the first sample of the stream."""
    stop: int
    """Sample after the last."""
    inputs: Float32 | None
    """Input of the model, float32, C-contiguous: [1, n_features, n_frames] or [1, n_samples]. None
    if the window is silent."""
    level_dbfs: float
    """RMS level in dB of full scale."""
    clipped: float
    """Share of the samples at full scale, in [0, 1]."""


class StageTimer:
    """Time spent on the stages of a stream.

    Args:
        probe: gets the name of each stage when it ends; None for no probe.
    """

    def __init__(self, probe: Probe | None = None) -> None:
        self._probe = probe
        self._busy_ns = 0

    def done(self, stage: str, begin_ns: int) -> int:
        """Add the time since `begin_ns` for a stage; return the current time in ns."""
        now = time.perf_counter_ns()
        self._busy_ns += now - begin_ns
        if self._probe is not None:
            self._probe(stage)
        return now

    def take_ms(self) -> float:
        """Return the milliseconds since the last call."""
        busy_ns, self._busy_ns = self._busy_ns, 0
        return busy_ns / 1e6


class WindowCutter:
    """Cut one stream into windows; samples are pushed in chunks of any size.

    Args:
        config: geometry of the windows.
        source: name of the stream in errors.
        first_s: seconds of the first window, which then grows by one hop at a time to the full length;
            None to wait for a complete window.
        levels_only: compute levels only; the inputs of audible windows are empty.
        timer: gets the stages `features` and `label`.
    """

    def __init__(
        self,
        config: WindowConfig,
        source: str = "stream",
        *,
        first_s: float | None = None,
        levels_only: bool = False,
        timer: StageTimer | None = None,
    ) -> None:
        self.config = config
        self._source = source
        self._levels_only = levels_only
        self._timer = timer or StageTimer()
        self._samples = RingBuffer(1)
        with_features = config.input != "waveform" and not levels_only
        self._features = RingBuffer(config.frontend.n_features) if with_features else None
        self._mfcc = StreamingFeatures(config.frontend)
        self._n_transformed = 0
        """Samples passed to the front end: all new ones at once when a window is due."""
        self._n_windows = 0
        self._growing_samples = config.window_samples
        if first_s is not None:
            self._growing_samples = min(config.whole_frames(first_s), config.window_samples)

    def push(self, samples: Float32) -> Iterator[Window]:
        """Take samples [n] at the model's rate; yield the windows that they complete."""
        return self._take(samples, last=False)

    def flush(self) -> Iterator[Window]:
        """End the stream; yield the windows that need its end."""
        return self._take(np.empty(0, dtype=np.float32), last=True)

    def finish(self, until_samples: int | None = None) -> Iterator[Window]:
        """End the stream as `flush` does; yield a stream shorter than one window as one.

        Args:
            until_samples: end of that short window, in samples; None for the end of the stream.

        Raises:
            AudioError: fewer samples than `WindowConfig.min_samples`.
        """
        yield from self.flush()
        if self._n_windows == 0:
            end = min(self._samples.end, until_samples or self._samples.end)
            if end < self.config.min_samples:
                raise too_short(self._source, end, self.config)
            yield self._cut(0, end)

    def _take(self, samples: Float32, last: bool) -> Iterator[Window]:
        self._samples.append(samples[None])
        while True:
            start, stop = self._next()
            if stop > self._samples.end and not last:
                return
            if not self._transformed(start, stop, last) or stop > self._samples.end:
                return
            yield self._cut(start, stop)
            self._advance()

    def _next(self) -> tuple[int, int]:
        """Return the start of the next window and the sample after its end."""
        config = self.config
        if self._growing_samples < config.window_samples:
            return 0, self._growing_samples
        start = self._n_windows * config.hop_samples
        return start, start + config.window_samples

    def _advance(self) -> None:
        config = self.config
        if self._growing_samples < config.window_samples:
            self._growing_samples += config.hop_samples
            return
        self._n_windows += 1
        self._samples.drop_before(self._n_windows * config.hop_samples)
        if self._features is not None:
            self._features.drop_before(self._n_windows * config.hop_frames)

    def _transformed(self, start: int, stop: int, last: bool) -> bool:
        """Compute new features; return whether all frames of the window are complete."""
        if self._features is None:
            return True
        begin = time.perf_counter_ns()
        frontend = self.config.frontend
        if self._n_transformed < self._samples.end:
            new = self._samples.slice(self._n_transformed, self._samples.end)[0]
            self._features.append(self._mfcc.push(new))
            self._n_transformed = self._samples.end
        if last:
            self._features.append(self._mfcc.flush())
        self._timer.done("features", begin)
        return start // frontend.hop_length + frontend.n_frames(stop - start) <= self._features.end

    def _cut(self, start: int, stop: int) -> Window:
        begin = time.perf_counter_ns()
        config = self.config
        samples = self._samples.slice(start, stop)
        active = _active_share(samples[0], config.frontend.hop_length, config.min_level_dbfs)
        window = Window(
            start,
            stop,
            self._inputs(start, stop, samples) if active >= MIN_ACTIVE else None,
            dbfs(samples[0]),
            _clipped_share(samples[0]),
        )
        self._timer.done("label", begin)
        return window

    def _inputs(self, start: int, stop: int, samples: Float32) -> Float32:
        """Return a copy of the inputs, which later samples do not change."""
        if self._levels_only:
            return np.empty(0, dtype=np.float32)
        inputs = samples
        if self._features is not None:
            frontend = self.config.frontend
            first = start // frontend.hop_length
            inputs = self._features.slice(first, first + frontend.n_frames(stop - start))[None]
        return np.array(inputs, dtype=np.float32, order="C")


def clip_windows(
    chunks: Iterable[AudioChunk],
    config: WindowConfig,
    source: str = "clip",
    *,
    short: bool = True,
    levels_only: bool = False,
) -> Iterator[Window]:
    """Yield the windows of one clip.

    Args:
        chunks: audio at a constant rate.
        config: geometry of the windows.
        source: name of the clip in errors.
        short: whether a clip shorter than one window gives one window.
        levels_only: as for `WindowCutter`.

    Raises:
        AudioError: samples that are not finite, a rate that changes, or, with `short`, fewer samples
            than `config.min_samples`.
    """
    cutter = WindowCutter(config, source, levels_only=levels_only)
    for samples in resampled(chunks, config.sample_rate, source):
        yield from cutter.push(samples)
    yield from cutter.finish() if short else cutter.flush()


def clip_inputs(
    chunks: Iterable[AudioChunk], config: WindowConfig, source: str = "clip"
) -> list[Float32 | None]:
    """Return the inputs of the windows of a clip, None for a silent window; errors as `clip_windows`."""
    return [window.inputs for window in clip_windows(chunks, config, source)]


def resampled(
    chunks: Iterable[AudioChunk], sample_rate: int, source: str, timer: StageTimer | None = None
) -> Iterator[Float32]:
    """Yield the samples [n] of one recording at another rate, chunk by chunk.

    Args:
        chunks: audio at a constant rate.
        sample_rate: output rate in Hz.
        source: name of the recording in errors.
        timer: gets the stage `resample`.

    Raises:
        AudioError: samples that are not finite, or a rate that is unsupported or changes.
    """
    timer = timer or StageTimer()
    resampler: Resampler | None = None
    rate = 0
    for chunk in chunks:
        if resampler is None:
            rate = chunk.sample_rate
            resampler = Resampler(rate, sample_rate)
        if chunk.sample_rate != rate:
            raise AudioError(
                f"{source}: the sample rate changed from {rate} to {chunk.sample_rate} Hz within the "
                "stream; start a new stream"
            )
        check_finite(chunk.samples, source)
        begin = time.perf_counter_ns()
        samples = resampler.push(chunk.samples)
        timer.done("resample", begin)
        yield samples
    if resampler is not None:
        yield resampler.push(np.empty(0, dtype=np.float32), last=True)


def too_short(source: str, n_samples: int, config: WindowConfig) -> AudioError:
    """Return the error for audio of fewer samples than `config.min_samples`."""
    return AudioError(
        f"{source}: expected at least {config.min_window_s:g} s of audio, got "
        f"{n_samples / config.sample_rate:.3g} s; record more"
    )


def _whole_frames(seconds: float, frontend: FrontendConfig) -> int:
    return round(seconds * frontend.sample_rate / frontend.hop_length) * frontend.hop_length


def _clipped_share(samples: Float32) -> float:
    """Return the share of samples at full scale."""
    # Usually there are none, and the extremes need no array of magnitudes.
    if samples.max() < FULL_SCALE and samples.min() > -FULL_SCALE:
        return 0.0
    return np.count_nonzero(np.abs(samples) >= FULL_SCALE) / len(samples)


def _active_share(samples: Float32, block: int, min_level_dbfs: float) -> float:
    """Return the share of blocks of `block` samples with an RMS level above `min_level_dbfs`."""
    blocks = samples[: max(1, len(samples) // block) * block].reshape(-1, min(block, len(samples)))
    energy = np.einsum("ij,ij->i", blocks, blocks)
    least = blocks.shape[1] * 10 ** (min_level_dbfs / 10)
    return np.count_nonzero(energy > least) / len(blocks)
