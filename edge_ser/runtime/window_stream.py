"""From audio that comes in pieces to a prediction for each window, as soon as it is whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import FULL_SCALE, Chunk, Resampler, check_finite, dbfs
from edge_ser.errors import AudioError
from edge_ser.frontend import StreamingMfcc
from edge_ser.runtime.outputs import output_vector, relative
from edge_ser.runtime.prediction import Prediction, likeliest
from edge_ser.runtime.timeline import Timeline

if TYPE_CHECKING:
    from edge_ser.runtime.recognizer import Recognizer

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

MIN_ACTIVE = 0.1
"""Share of a window that has to be louder than the recogniser's `min_level_dbfs`."""

Probe = Callable[[str], None]
"""Is told the name of a stage when the stage is over; for whoever measures."""


class WindowStream:
    """Push side of `Recognizer.stream`: for callers whose audio arrives by callback.

    Args:
        recognizer: what recognises.
        source: what predictions and errors call the stream.
        at_s: where the stream begins; predictions count from there.
        first_s: seconds after which the first window is classified, while it still grows to the full
            length, a hop at a time; None to wait for a whole window.
        probe: gets the stages `resample`, `features`, `inference` and `label`.
        excess: what a baseline has beyond the usual outputs [n_outputs], subtracted from those of each
            window; None for that of the recognizer's enrolled baseline, or nothing.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        source: str,
        *,
        at_s: float = 0.0,
        first_s: float | None = None,
        probe: Probe | None = None,
        excess: Float64 | None = None,
    ) -> None:
        self._recognizer = recognizer
        self._excess = recognizer.excess if excess is None else excess
        self._source = source
        self._at_s = at_s
        self._probe = probe
        self._resampler: Resampler | None = None
        self._rate = 0
        frontend = recognizer.card.frontend
        self._samples = Timeline(1)
        self._features = (
            None if recognizer.card.input == "waveform" else Timeline(frontend.n_features)
        )
        self._mfcc = StreamingMfcc(frontend)
        self._n_transformed = 0
        """Samples that the front end has had: it is fed when a window is due, all new ones at once."""
        self._n_windows = 0
        self._growing_samples = recognizer.window_samples
        if first_s is not None:
            self._growing_samples = min(recognizer.whole_frames(first_s), recognizer.window_samples)
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
        begin = time.perf_counter_ns()
        samples = self._resampler.push(chunk.samples)
        self._done("resample", begin)
        yield from self.take(samples)

    def finish(self, until_samples: int | None = None) -> Iterator[Prediction]:
        """End the stream and yield what is left: all of it, when it was shorter than a window.

        Args:
            until_samples: where what is shorter than a window ends, at the model's rate; None for
                the end of what came.

        Raises:
            AudioError: shorter than the model's `min_window_s`.
        """
        rest = np.empty(0, dtype=np.float32)
        if self._resampler is not None:
            rest = self._resampler.push(rest, last=True)
        yield from self.take(rest, last=True)
        if self._n_windows == 0:
            end = min(self._samples.end, until_samples or self._samples.end)
            held_s = end / self._recognizer.card.frontend.sample_rate
            if held_s < self._recognizer.min_window_s:
                raise AudioError(
                    f"{self._source} holds {held_s:.3g} s of audio, at least "
                    f"{self._recognizer.min_window_s:g} s are needed to recognise anything; record more"
                )
            yield self._predict(0, end)

    def take(self, samples: Float32, last: bool = False) -> Iterator[Prediction]:
        """Take samples [n] at the model's rate and yield the windows that they complete.

        `last` lets the front end end: no audio may come after that.
        """
        self._samples.append(samples[None])
        while True:
            start, stop = self._next()
            if stop > self._samples.end and not last:
                return
            if not self._transformed(start, stop, last) or stop > self._samples.end:
                return
            yield self._predict(start, stop)
            self._advance()

    def _next(self) -> tuple[int, int]:
        """Return where the next window begins and ends."""
        recognizer = self._recognizer
        if self._growing_samples < recognizer.window_samples:
            return 0, self._growing_samples
        start = self._n_windows * recognizer.hop_samples
        return start, start + recognizer.window_samples

    def _advance(self) -> None:
        recognizer = self._recognizer
        if self._growing_samples < recognizer.window_samples:
            self._growing_samples += recognizer.hop_samples
            return
        self._n_windows += 1
        self._samples.drop_before(self._n_windows * recognizer.hop_samples)
        if self._features is not None:
            self._features.drop_before(self._n_windows * recognizer.hop_frames)

    def _transformed(self, start: int, stop: int, last: bool) -> bool:
        """Feed the front end; return whether it has all frames of the window."""
        if self._features is None:
            return True
        begin = time.perf_counter_ns()
        hop_length = self._recognizer.card.frontend.hop_length
        if self._n_transformed < self._samples.end:
            new = self._samples.slice(self._n_transformed, self._samples.end)[0]
            self._features.append(self._mfcc.push(new))
            self._n_transformed = self._samples.end
        if last:
            self._features.append(self._mfcc.flush())
        self._done("features", begin)
        frames = start // hop_length + self._recognizer.card.frontend.n_frames(stop - start)
        return frames <= self._features.end

    def _predict(self, start: int, stop: int) -> Prediction:
        begin = time.perf_counter_ns()
        recognizer, frontend = self._recognizer, self._recognizer.card.frontend
        samples = self._samples.slice(start, stop)
        level = dbfs(samples[0])
        probs: dict[str, float] = {}
        arousal: float | None = None
        outputs: tuple[float, ...] = ()
        if _active_share(samples[0], frontend.hop_length, recognizer.min_level_dbfs) >= MIN_ACTIVE:
            inputs = samples
            if self._features is not None:
                first = start // frontend.hop_length
                inputs = self._features.slice(first, first + frontend.n_frames(stop - start))[None]
            inputs = np.ascontiguousarray(inputs)
            begin = self._done("label", begin)
            output = recognizer.runner.infer(inputs)
            begin = self._done("inference", begin)
            if recognizer.card.takes_baseline:
                outputs = tuple(output_vector(output).tolist())
            if self._excess is not None:
                output = relative(output, self._excess)
            probs = recognizer.class_probs(output.logits[0])
            arousal = None if output.arousal is None else float(output.arousal[0])
        clipped = _clipped_share(samples[0])
        self._done("label", begin)
        busy_ns, self._busy_ns = self._busy_ns, 0
        return Prediction(
            source=self._source,
            start_s=self._at_s + start / frontend.sample_rate,
            end_s=self._at_s + stop / frontend.sample_rate,
            label=likeliest(probs),
            probs=probs,
            level_dbfs=level,
            clipped=clipped,
            compute_ms=busy_ns / 1e6,
            arousal=arousal,
            outputs=outputs,
        )

    def _done(self, stage: str, begin_ns: int) -> int:
        """Count the time since `begin_ns` in, tell the probe, and return what the time is now."""
        now = time.perf_counter_ns()
        self._busy_ns += now - begin_ns
        if self._probe is not None:
            self._probe(stage)
        return now


def _clipped_share(samples: Float32) -> float:
    """Return the share of samples at full scale."""
    # Mostly there is none, and both extremes are had without an array of magnitudes.
    if samples.max() < FULL_SCALE and samples.min() > -FULL_SCALE:
        return 0.0
    return np.count_nonzero(np.abs(samples) >= FULL_SCALE) / len(samples)


def _active_share(samples: Float32, block: int, min_level_dbfs: float) -> float:
    """Return the share of `block`-long pieces whose RMS level is above `min_level_dbfs`."""
    blocks = samples[: max(1, len(samples) // block) * block].reshape(-1, min(block, len(samples)))
    energy = np.einsum("ij,ij->i", blocks, blocks)
    least = blocks.shape[1] * 10 ** (min_level_dbfs / 10)
    return np.count_nonzero(energy > least) / len(blocks)
