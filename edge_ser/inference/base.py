"""Runner interface: a model card, and a function from inputs to logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import ModelCard

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """Everything that a model computes of a batch."""

    logits: Float32
    """float32 [batch, n_classes], before softmax."""
    arousal: Float32 | None = None
    """Probability of high arousal, float32 [batch], in [0, 1]; None where `card.arousal` is False."""


class Runner(Protocol):
    """A loaded model. Implementations are made by `open_runner`; tests bring their own.

    `infer` is the full form, `run` the short one that returns logits only. Whoever derives from this
    class has to write `card` and `run`; for a model with `card.arousal`, `infer` too.
    """

    @property
    def card(self) -> ModelCard:
        """What the model file says of itself."""

    @property
    def backend(self) -> str:
        """What computes, and on what, e.g. `onnxruntime 1.23.2, cpu`."""
        return type(self).__name__

    @property
    def min_window_s(self) -> float:
        """Shortest audio that it takes, in seconds: the card's, unless it was built for longer."""
        return self.card.min_window_s

    def take_over(self) -> None:
        """Make the calling thread the owner, where a runner belongs to one thread."""
        return

    def close(self) -> None:
        """Give back what the runner holds; it cannot run after that. Closing twice is fine."""
        return

    def run(self, inputs: Float32) -> Float32:
        """Return logits float32 [batch, n_classes]; arguments and errors are those of `infer`."""

    def infer(self, inputs: Float32) -> ModelOutput:
        """Return all that the model computes. By default, the logits of `run` and no arousal.

        Args:
            inputs: float32, C-contiguous; [batch, n_features, n_frames] or, when `card.input` is
                `waveform`, [batch, n_samples].

        Raises:
            ModelError: an input of another shape, or outputs that are not finite.
        """
        return ModelOutput(self.run(inputs))
