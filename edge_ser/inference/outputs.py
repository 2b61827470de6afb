"""Outputs of a model as one vector, and relative to a baseline of the voice or site.

The vector holds the logits and, if the model has it, the logit of the arousal, ln(a / (1 - a)).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_ser.inference.base import ModelOutput

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_NEAREST = 1e-4
"""Smallest distance of the arousal from 0 and 1, to bound its logit."""


def output_vector(output: ModelOutput, window: int = 0) -> Float64:
    """Return the outputs of one window of a batch as a vector [n_outputs]."""
    logits: Float64 = output.logits[window].astype(np.float64)
    if output.arousal is None:
        return logits
    return np.append(logits, logit(float(output.arousal[window])))


def relative(output: ModelOutput, excess: Float64) -> ModelOutput:
    """Return outputs minus the excess of a baseline over the usual outputs.

    Args:
        output: outputs of a batch.
        excess: baseline minus `ModelCard.usual_outputs` [n_outputs].
    """
    n_classes = output.logits.shape[1]
    logits = (output.logits - excess[:n_classes]).astype(np.float32)
    if output.arousal is None:
        return ModelOutput(logits)
    shifted = logit(output.arousal) - excess[n_classes]
    return ModelOutput(logits, (1 / (1 + np.exp(-shifted))).astype(np.float32))


def logit(probability: Float32 | Float64 | float) -> Float64:
    """Return ln(p / (1 - p)) of probabilities, clipped to [1e-4, 1 - 1e-4]."""
    p = np.clip(np.asarray(probability, dtype=np.float64), _NEAREST, 1 - _NEAREST)
    return np.asarray(np.log(p) - np.log1p(-p))


class SpeechOutputs:
    """Mean outputs over windows of speech, in constant memory."""

    def __init__(self) -> None:
        self._sum: Float64 | None = None
        self._n = 0

    def add(self, outputs: Sequence[float]) -> None:
        """Add the outputs of a window [n_outputs]; empty ones, of silence, do not count."""
        if not outputs:
            return
        vector = np.asarray(outputs, dtype=np.float64)
        self._sum = vector if self._sum is None else self._sum + vector
        self._n += 1

    def mean(self) -> tuple[float, ...]:
        """Return the mean of each output [n_outputs]; empty if no window counted."""
        return () if self._sum is None else tuple((self._sum / self._n).tolist())
