"""Streaming MFCCs: frames are computed as samples arrive."""

from __future__ import annotations

import numpy as np

from edge_ser.card import FrontendConfig
from edge_ser.frontend.deltas import HALF, append_deltas
from edge_ser.frontend.kernel import kernel_for
from edge_ser.frontend.offline import preemphasize
from edge_ser.frontend.tables import Float32


class StreamingFeatures:
    """MFCCs of a stream: push samples in pieces of any size, get the completed frames.

    The concatenated results of `push` and `flush` equal `mfcc` of the complete audio. Derivatives delay
    frames by `DELTA_WIDTH // 2` hops, `center=True` delays them by `n_fft // 2` samples.
    """

    def __init__(self, config: FrontendConfig) -> None:
        self.config = config
        self._kernel = kernel_for(config)
        self.reset()

    def reset(self) -> None:
        """Reset the state: the next sample is the first of a new stream."""
        lead = self.config.n_fft // 2 if self.config.center else 0
        self._samples: Float32 = np.zeros(lead, dtype=np.float32)
        self._gap = 0
        self._has_samples = False
        self._last = 0.0
        self._static: Float32 | None = None

    def push(self, samples: Float32) -> Float32:
        """Take float32 [n_samples] and return the new frames, [n_features, n_new]."""
        emphasized = preemphasize(samples, self._last, self.config)
        if len(samples):
            self._last = float(samples[-1])
            self._has_samples = True
        return self._with_deltas(self._frames(emphasized))

    def flush(self) -> Float32:
        """End the stream: return the remaining frames, and reset."""
        tail = self.config.n_fft // 2 if self.config.center and self._has_samples else 0
        static = self._frames(np.zeros(tail, dtype=np.float32))
        last = self._with_deltas(static)
        if self.config.deltas and self._static is not None:
            ended = np.pad(self._static, ((0, 0), (0, HALF)), mode="edge")
            last = np.concatenate([last, append_deltas(ended, self.config)], axis=1)
        self.reset()
        return last

    def _frames(self, emphasized: Float32) -> Float32:
        """Return the coefficients of the frames that `emphasized` completes."""
        config = self.config
        # With a hop longer than a frame, the samples between two frames are skipped.
        buffer = np.concatenate([self._samples, emphasized[self._gap :]])
        self._gap = max(0, self._gap - len(emphasized))
        cepstra = self._kernel.cepstra(buffer)
        done = cepstra.shape[1] * config.hop_length
        self._gap += max(0, done - len(buffer))
        self._samples = buffer[done:].copy()
        return cepstra

    def _with_deltas(self, static: Float32) -> Float32:
        if not self.config.deltas:
            return static
        if self._static is None:
            if static.shape[1] == 0:
                return np.empty((self.config.n_features, 0), dtype=np.float32)
            self._static = np.repeat(static[:, :1], HALF, axis=1)
        buffer = np.concatenate([self._static, static], axis=1)
        self._static = buffer[:, -2 * HALF :]
        if buffer.shape[1] <= 2 * HALF:
            return np.empty((self.config.n_features, 0), dtype=np.float32)
        return append_deltas(buffer, self.config)
