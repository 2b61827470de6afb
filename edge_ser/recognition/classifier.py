"""Classification of windows, and of a stream of samples window by window."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from edge_ser.inference.base import Runner
from edge_ser.inference.outputs import output_vector, relative
from edge_ser.recognition.prediction import Float32, Prediction, likeliest, softmax
from edge_ser.recognition.prior import check_prior, log_ratios
from edge_ser.recognition.windowing import Probe, StageTimer, Window, WindowConfig, WindowCutter

Float64 = NDArray[np.float64]


class Classifier:
    """Model with a prior over its classes.

    Args:
        runner: the model.
        prior: ratios by label, as for `Recognizer`.

    Raises:
        ConfigError: a prior with unknown labels, or out of range.
    """

    def __init__(self, runner: Runner, prior: Mapping[str, float] | None = None) -> None:
        self.runner = runner
        self.card = runner.card
        self.prior = check_prior(prior or {}, self.card.labels)
        self._log_ratios = log_ratios(self.prior, self.card.labels)

    def probs(self, logits: Float32) -> dict[str, float]:
        """Return the probabilities of logits [n_classes] by label, with the prior."""
        probs = softmax(logits + self._log_ratios if self.prior else logits)
        return dict(zip(self.card.labels, probs.tolist(), strict=True))


class PredictionStream:
    """Predict the windows of one stream as its samples arrive.

    Args:
        config: geometry of the windows.
        classifier: the model.
        source: name of the stream in predictions and errors.
        at_s: time of the first sample, in seconds; predictions count from it.
        first_s: as for `WindowCutter`.
        probe: gets the stages `features`, `inference` and `label`.
        excess: excess of a baseline over the usual outputs [n_outputs], subtracted from the outputs of
            each window; None for no baseline.
        timer: measures `Prediction.compute_ms`; None for a new timer with `probe`.
    """

    def __init__(
        self,
        config: WindowConfig,
        classifier: Classifier,
        source: str,
        *,
        at_s: float = 0.0,
        first_s: float | None = None,
        probe: Probe | None = None,
        excess: Float64 | None = None,
        timer: StageTimer | None = None,
    ) -> None:
        self._classifier = classifier
        self._source = source
        self._at_s = at_s
        self._rate = config.sample_rate
        self._excess = excess
        self._timer = timer or StageTimer(probe)
        self._cutter = WindowCutter(config, source, first_s=first_s, timer=self._timer)

    def push(self, samples: Float32) -> Iterator[Prediction]:
        """Take samples [n] at the model's rate; yield the windows that they complete."""
        return self._predicted(self._cutter.push(samples))

    def flush(self) -> Iterator[Prediction]:
        """End the stream; see `WindowCutter.flush`."""
        return self._predicted(self._cutter.flush())

    def finish(self, until_samples: int | None = None) -> Iterator[Prediction]:
        """End the stream; see `WindowCutter.finish`.

        Raises:
            AudioError: the stream is too short for any window.
        """
        return self._predicted(self._cutter.finish(until_samples))

    def _predicted(self, windows: Iterable[Window]) -> Iterator[Prediction]:
        for window in windows:
            yield self._predict(window)

    def _predict(self, window: Window) -> Prediction:
        probs: dict[str, float] = {}
        arousal: float | None = None
        outputs: tuple[float, ...] = ()
        if window.inputs is not None:
            begin = time.perf_counter_ns()
            output = self._classifier.runner.infer(window.inputs)
            begin = self._timer.done("inference", begin)
            if self._classifier.card.takes_baseline:
                outputs = tuple(output_vector(output).tolist())
            if self._excess is not None:
                output = relative(output, self._excess)
            probs = self._classifier.probs(output.logits[0])
            arousal = None if output.arousal is None else float(output.arousal[0])
            self._timer.done("label", begin)
        return Prediction(
            source=self._source,
            start_s=self._at_s + window.start / self._rate,
            end_s=self._at_s + window.stop / self._rate,
            label=likeliest(probs),
            probs=probs,
            level_dbfs=window.level_dbfs,
            clipped=window.clipped,
            compute_ms=self._timer.take_ms(),
            arousal=arousal,
            outputs=outputs,
        )
