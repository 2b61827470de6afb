"""Checks of inputs and outputs, common to all runners."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import ModelError

Float32 = NDArray[np.float32]

_ROUNDING = 1e-3
"""Tolerance of probabilities outside [0, 1], for low precisions."""


def check_input(path: Path, name: str, shape: Sequence[int | str | None], inputs: Float32) -> None:
    """Check the shape and type of an input.

    Args:
        path: path of the model, for the message.
        name: name of the model's input.
        shape: expected shape; integers are fixed, other entries are dynamic.
        inputs: the input.

    Raises:
        ModelError: another shape or type, or an empty input.
    """
    if inputs.ndim != len(shape) or any(
        isinstance(expected, int) and expected != actual
        for expected, actual in zip(shape, inputs.shape, strict=True)
    ):
        raise ModelError(
            f"{path}: expected {name} {list(shape)}, got {list(inputs.shape)}; "
            "compute the features with the front end of the model's card"
        )
    if inputs.dtype != np.float32 or inputs.size == 0:
        raise ModelError(
            f"{path}: expected float32 that is not empty, got {inputs.dtype} of shape "
            f"{list(inputs.shape)}; pass the output of the front end"
        )


def finite_logits(path: Path, logits: Float32) -> Float32:
    """Return the logits, checked.

    Raises:
        ModelError: some logits are not finite.
    """
    if not np.isfinite(logits).all():
        raise ModelError(f"{path} returned logits that are not finite; export it again")
    return logits


def probability(path: Path, name: str, values: Float32) -> Float32:
    """Return an output [batch, 1] as probabilities float32 [batch].

    Raises:
        ModelError: values that are not finite, or outside [0, 1] by more than the tolerance.
    """
    flat = values.reshape(-1)
    # NaN fails both comparisons.
    if not ((flat >= -_ROUNDING) & (flat <= 1 + _ROUNDING)).all():
        raise ModelError(f"{path} returned {name} outside [0, 1]; export it again")
    return np.clip(flat, 0.0, 1.0)
