"""Choice of the kernel: the compiled one if available, else NumPy."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from edge_ser.card import FrontendConfig
from edge_ser.frontend.compiled import CompiledKernel, NotCompiled
from edge_ser.frontend.in_numpy import NumpyKernel
from edge_ser.frontend.tables import Float32


class Kernel(Protocol):
    """Kernel protocol: computes all complete frames of float32 [n_samples], possibly none."""

    name: str
    """Description for reports."""

    def log_mel(self, samples: Float32) -> Float32:
        """Return float32 [n_mels, n_frames] in dB."""

    def cepstra(self, samples: Float32) -> Float32:
        """Return float32 [n_mfcc, n_frames]."""


@lru_cache(maxsize=16)
def kernel_for(config: FrontendConfig) -> Kernel:
    """Return the kernel of a front end on this machine.

    Raises:
        ConfigError: a mel band that no FFT bin falls into.
    """
    try:
        return CompiledKernel(config)
    except NotCompiled:
        return NumpyKernel(config)
