"""Stages of a decision, and the probe that times them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from edge_ser.card import ModelCard
from edge_ser.inference.base import ModelOutput, Runner
from edge_ser.profiling.clock import Clock
from edge_ser.recognition.prediction import Float32
from edge_ser.vad.base import VoiceDetector

if TYPE_CHECKING:
    from edge_ser.tensorrt.session import Timings

CAPTURE = "capture"
REST = "rest"
SINK = "sink"

MEANING = {
    CAPTURE: "from the window's last sample until the piece of audio that holds it is handed over",
    "resample": "to the model's sample rate",
    "vad": "voice detector and cutting into utterances",
    "features": "MFCC of what is new",
    "to_device": "input copied to the GPU, by its own clock",
    "inference": "the network; with TensorRT by the GPU's clock, else as the caller sees it",
    "to_host": "logits copied back, by the GPU's clock",
    "launch": "what the CPU adds to an inference on the GPU: buffers, launching, waiting",
    "label": "level, softmax, label",
    "smoothing": "smoothing and the event",
    REST: "what lies between the stages",
    SINK: "the event as JSON, written to a file descriptor",
}
"""All stages in the order of processing, with descriptions."""

STAGES = tuple(MEANING)


class StageClock:
    """Probe for `StreamingRecognizer`: the time since the last mark belongs to the stage.

    `ObservedRunner` splits an inference into its parts with `divide_inference`.
    """

    def __init__(self, clock: Clock) -> None:
        self._now_ns = clock.now_ns
        self._last_ns = 0
        self.spent_ns = dict.fromkeys(STAGES, 0)

    def begin(self, now_ns: int) -> None:
        """Start counting at `now_ns`."""
        self._last_ns = now_ns
        for stage in self.spent_ns:
            self.spent_ns[stage] = 0

    def __call__(self, stage: str) -> None:
        """Mark the end of a stage."""
        now_ns = self._now_ns()
        self.spent_ns[stage] += now_ns - self._last_ns
        self._last_ns = now_ns

    def divide_inference(self, to_device_ms: float, inference_ms: float, to_host_ms: float) -> None:
        """Mark the end of an inference, split by the GPU's times."""
        now_ns = self._now_ns()
        parts = [round(1e6 * ms) for ms in (to_device_ms, inference_ms, to_host_ms)]
        for stage, part_ns in zip(("to_device", "inference", "to_host"), parts, strict=True):
            self.spent_ns[stage] += part_ns
        self.spent_ns["launch"] += now_ns - self._last_ns - sum(parts)
        self._last_ns = now_ns


@runtime_checkable
class TimedRunner(Protocol):
    """Runner that reports the GPU's times, as `TensorRTRunner` does."""

    @property
    def card(self) -> ModelCard:
        """Card of the model."""

    @property
    def backend(self) -> str:
        """Runtime and device."""

    @property
    def min_window_s(self) -> float:
        """Shortest audio that it accepts, in seconds."""

    def infer_timed(self, inputs: Float32) -> tuple[ModelOutput, Timings]:
        """Return the output and the GPU's times."""


class ObservedRunner(Runner):
    """Timed runner that reports the parts of each inference to a `StageClock`."""

    def __init__(self, engine: TimedRunner, clock: StageClock) -> None:
        self._engine = engine
        self._clock = clock

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        return self._engine.card

    @property
    def backend(self) -> str:
        """Runtime and device."""
        return self._engine.backend

    @property
    def min_window_s(self) -> float:
        """Shortest audio that it accepts, in seconds."""
        return self._engine.min_window_s

    def run(self, inputs: Float32) -> Float32:
        """Return logits; see `Runner.infer`."""
        return self.infer(inputs).logits

    def infer(self, inputs: Float32) -> ModelOutput:
        """Return the output; see `Runner.infer`."""
        output, timings = self._engine.infer_timed(inputs)
        self._clock.divide_inference(timings.to_device_ms, timings.inference_ms, timings.to_host_ms)
        return output


def observed(runner: Runner, clock: StageClock) -> Runner:
    """Return a runner that reports the parts of an inference, if this one can."""
    return ObservedRunner(runner, clock) if isinstance(runner, TimedRunner) else runner


class AlwaysSpeech:
    """Voice detector at its full cost whose result is always speech.

    Every window is classified, whatever the audio holds: the load of continuous speech.
    """

    def __init__(self, detector: VoiceDetector) -> None:
        self._detector = detector
        self.name = f"{detector.name}, every window classified"
        self.sample_rate = detector.sample_rate
        self.frame_samples = detector.frame_samples

    def push(self, frame: Float32) -> float:
        """Process a frame; return 1."""
        self._detector.push(frame)
        return 1.0

    def reset(self) -> None:
        """Reset the detector's state."""
        self._detector.reset()
