"""Checks of every runner: inputs that fit, and outputs that are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import ModelError

Float32 = NDArray[np.float32]

_ROUNDING = 1e-3
"""By how much a low precision may leave [0, 1]."""


def check_input(path: Path, name: str, shape: Sequence[int | str | None], inputs: Float32) -> None:
    """See that an input has the shape and the type that a model takes.

    Args:
        path: the model, for the message.
        name: of the model's input.
        shape: what it takes; numbers are fixed, all else is free.
        inputs: what came.

    Raises:
        ModelError: another shape or type, or an empty input; says both.
    """
    if inputs.ndim != len(shape) or any(
        isinstance(want, int) and want != got for want, got in zip(shape, inputs.shape, strict=True)
    ):
        raise ModelError(
            f"{path} takes {name} {list(shape)}, {list(inputs.shape)} came; "
            "compute the features with the front end of the model's card"
        )
    if inputs.dtype != np.float32 or inputs.size == 0:
        raise ModelError(
            f"{path} takes float32 that is not empty, {inputs.dtype} came, of shape "
            f"{list(inputs.shape)}; give it what the front end makes"
        )


def finite_logits(path: Path, logits: Float32) -> Float32:
    """Return the logits.

    Raises:
        ModelError: some are not finite.
    """
    if not np.isfinite(logits).all():
        raise ModelError(f"{path} returned logits that are not finite; export it again")
    return logits


def probability(path: Path, name: str, values: Float32) -> Float32:
    """Return an output [batch, 1] as probabilities float32 [batch].

    Raises:
        ModelError: values that are not finite, or outside [0, 1] by more than rounding.
    """
    flat = values.reshape(-1)
    # NaN fails both comparisons.
    if not ((flat >= -_ROUNDING) & (flat <= 1 + _ROUNDING)).all():
        raise ModelError(f"{path} returned {name} outside [0, 1]; export it again")
    return np.clip(flat, 0.0, 1.0)
