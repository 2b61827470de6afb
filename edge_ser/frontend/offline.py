"""MFCCs and log mel spectra of complete recordings."""

from __future__ import annotations

import numpy as np

from edge_ser.card import FrontendConfig
from edge_ser.errors import AudioError
from edge_ser.frontend.deltas import append_deltas, edge_pad
from edge_ser.frontend.kernel import kernel_for
from edge_ser.frontend.tables import Float32


def mfcc(samples: Float32, config: FrontendConfig) -> Float32:
    """Return the MFCCs of a complete recording.

    Args:
        samples: float32 [n_samples] in [-1, 1] at `config.sample_rate`.
        config: the front end.

    Returns:
        float32 [n_features, n_frames]; row 0 is the zeroth coefficient, in dB.

    Raises:
        AudioError: fewer samples than one frame needs.
        ConfigError: a mel band that no FFT bin falls into.

    Equal to `librosa.feature.mfcc` on `power_to_db(melspectrogram(...), amin=log_floor,
    top_db=None)` with the same settings.
    """
    static = kernel_for(config).cepstra(_prepared(samples, config))
    return append_deltas(edge_pad(static), config) if config.deltas else static


def log_mel(samples: Float32, config: FrontendConfig) -> Float32:
    """Return the log mel spectrum in dB, float32 [n_mels, n_frames]; otherwise as `mfcc`."""
    return kernel_for(config).log_mel(_prepared(samples, config))


def _prepared(samples: Float32, config: FrontendConfig) -> Float32:
    """Return the samples from which frames are cut."""
    if config.n_frames(len(samples)) == 0:
        raise AudioError(
            f"expected {config.n_fft} samples or more at {config.sample_rate} Hz for one frame, "
            f"got {len(samples)}; give longer audio"
        )
    samples = preemphasize(samples, 0.0, config)
    return np.pad(samples, config.n_fft // 2) if config.center else samples


def preemphasize(samples: Float32, before: float, config: FrontendConfig) -> Float32:
    """Return the samples after a first-order high-pass; `before` is the sample before the first."""
    samples = np.asarray(samples, dtype=np.float32)
    if config.preemphasis == 0 or len(samples) == 0:
        return samples
    shifted = np.concatenate([np.array([before], np.float32), samples[:-1]])
    return np.asarray(samples - np.float32(config.preemphasis) * shifted, dtype=np.float32)
