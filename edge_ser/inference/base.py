"""Runner protocol: a model card, and a function from inputs to logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import ModelCard

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """All outputs of a model for a batch."""

    logits: Float32
    """float32 [batch, n_classes], before softmax."""
    arousal: Float32 | None = None
    """Probability of high arousal, float32 [batch], in [0, 1]; None if `card.arousal` is False."""


class Runner(Protocol):
    """Loaded model, returned by `open_runner`.

    `infer` returns all outputs, `run` the logits only. A subclass must implement `card` and `run`, and
    `infer` for a model with `card.arousal`.
    """

    @property
    def card(self) -> ModelCard:
        """Card of the model file."""

    @property
    def backend(self) -> str:
        """Backend and device, e.g. `onnxruntime 1.23.2, cpu`."""
        return type(self).__name__

    @property
    def min_window_s(self) -> float:
        """Shortest supported audio in seconds: the card's, or more for some engines."""
        return self.card.min_window_s

    def take_over(self) -> None:
        """Make the calling thread the owner, for runners bound to one thread."""
        return

    def close(self) -> None:
        """Release all resources; the runner is unusable afterwards. May be called twice."""
        return

    def run(self, inputs: Float32) -> Float32:
        """Return logits float32 [batch, n_classes]; arguments and errors are those of `infer`."""

    def infer(self, inputs: Float32) -> ModelOutput:
        """Return all outputs. By default, the logits of `run` and no arousal.

        Args:
            inputs: float32, C-contiguous; [batch, n_features, n_frames] or, when `card.input` is
                `waveform`, [batch, n_samples].

        Raises:
            ModelError: an unexpected input shape, or outputs that are not finite.
        """
        return ModelOutput(self.run(inputs))
