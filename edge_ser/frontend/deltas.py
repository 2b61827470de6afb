"""Derivatives of the coefficients over time, appended as rows."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from edge_ser.card import FrontendConfig
from edge_ser.frontend.tables import DELTA_WIDTH, Float32, delta_kernels

HALF = DELTA_WIDTH // 2
"""Frames before and after a frame that its derivatives need."""

_kernels = lru_cache(maxsize=4)(delta_kernels)


def edge_pad(static: Float32) -> Float32:
    """Repeat the first and the last frame, so that all frames have derivatives."""
    return np.asarray(np.pad(static, ((0, 0), (HALF, HALF)), mode="edge"))


def append_deltas(padded: Float32, config: FrontendConfig) -> Float32:
    """Return coefficients and derivatives of all frames with HALF neighbours on both sides."""
    n_frames = padded.shape[1] - 2 * HALF
    views = np.lib.stride_tricks.sliding_window_view(padded, DELTA_WIDTH, axis=1)
    rows = [padded[:, HALF : HALF + n_frames]]
    rows += [views @ kernel for kernel in _kernels(config.deltas)]
    return np.concatenate(rows)
