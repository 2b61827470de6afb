"""Tables of a front end: window, mel filter bank, DCT and derivative kernels.

Training, calibration, both kernels and the in-graph form (`quantization.frontend_graph`) use them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import FrontendConfig
from edge_ser.errors import ConfigError

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

DELTA_WIDTH = 9
"""Frames over which a derivative is fitted, librosa's default."""


def window(config: FrontendConfig) -> Float64:
    """Return the analysis window, shape [win_length], periodic (scipy `get_window`)."""
    phase = 2 * np.pi * np.arange(config.win_length) / config.win_length
    cosines = {
        "hann": (0.5, 0.5),
        "hamming": (0.54, 0.46),
        "blackman": (0.42, 0.5, 0.08),
        "boxcar": (1.0,),
    }[config.window]
    terms = ((-1) ** k * a * np.cos(k * phase) for k, a in enumerate(cosines))
    return np.asarray(sum(terms), dtype=np.float64)


def hz_to_mel(frequency: Float64, scale: str) -> Float64:
    """Convert Hz to mel: `htk` by O'Shaughnessy's formula, `slaney` as in the Auditory Toolbox."""
    frequency = np.asarray(frequency, dtype=np.float64)
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + frequency / 700.0))
    linear = frequency * 3.0 / 200.0
    with np.errstate(divide="ignore"):
        logarithmic = 15.0 + 27.0 * np.log(frequency / 1000.0) / np.log(6.4)
    return np.where(frequency < 1000.0, linear, logarithmic)


def mel_to_hz(mel: Float64, scale: str) -> Float64:
    """Invert `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * 6.4 ** ((mel - 15.0) / 27.0))


def mel_edges(config: FrontendConfig) -> Float64:
    """Return the corner frequencies of the bands in Hz, shape [n_mels + 2]."""
    low, high = hz_to_mel(np.array([config.fmin, config.fmax]), config.mel_scale)
    return mel_to_hz(np.linspace(low, high, config.n_mels + 2), config.mel_scale)


def mel_filterbank(config: FrontendConfig) -> Float32:
    """Return triangular mel bands over FFT bins, shape [n_mels, 1 + n_fft // 2].

    Equal to `librosa.filters.mel`: Slaney's bands have unit area, HTK's unit height (`norm=None`).

    Raises:
        ConfigError: a band that no FFT bin falls into.
    """
    edges = mel_edges(config)
    bins = np.arange(1 + config.n_fft // 2) * (config.sample_rate / config.n_fft)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    bands = np.maximum(0.0, np.minimum(rising, falling))
    if config.mel_scale == "slaney":
        bands *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    if empty := int(np.sum(bands.max(axis=1) == 0)):
        raise ConfigError(
            f"{empty} of {config.n_mels} mel bands hold no FFT bin at n_fft {config.n_fft} and "
            f"{config.sample_rate} Hz; take fewer n_mels or a larger n_fft"
        )
    return bands.astype(np.float32)


def dct_basis(config: FrontendConfig) -> Float64:
    """Return the DCT-II, shape [n_mfcc, n_mels]; equal to `scipy.fft.dct(type=2)`."""
    k = np.arange(config.n_mfcc)[:, None]
    m = np.arange(config.n_mels)[None, :]
    basis = 2.0 * np.cos(np.pi * k * (2 * m + 1) / (2 * config.n_mels))
    if config.dct_norm == "ortho":
        basis *= np.where(k == 0, np.sqrt(0.25 / config.n_mels), np.sqrt(0.5 / config.n_mels))
    return basis


def delta_kernels(order: int) -> Float32:
    """Return the FIR kernels of derivatives 1 to `order`, shape [order, DELTA_WIDTH].

    Savitzky-Golay: the k-th derivative of the polynomial of degree k fitted to DELTA_WIDTH frames,
    as `librosa.feature.delta(order=k, mode="nearest")`.
    """
    n = np.arange(DELTA_WIDTH) - DELTA_WIDTH // 2
    kernels = np.zeros((order, DELTA_WIDTH))
    factorial = 1
    for k in range(1, order + 1):
        factorial *= k
        kernels[k - 1] = factorial * np.linalg.pinv(np.vander(n, k + 1, increasing=True))[k]
    return kernels.astype(np.float32)
