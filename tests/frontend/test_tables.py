"""Windows, mel bands, DCT and derivatives against librosa and scipy."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal
from front_ends import each_config

from edge_ser.card import FrontendConfig
from edge_ser.errors import ConfigError
from edge_ser.frontend.tables import (
    DELTA_WIDTH,
    dct_basis,
    delta_kernels,
    hz_to_mel,
    mel_edges,
    mel_filterbank,
    mel_to_hz,
    window,
)


@each_config
def test_mel_filterbank_equals_librosa(config):
    expected = librosa.filters.mel(
        sr=config.sample_rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.fmin,
        fmax=config.fmax,
        htk=config.mel_scale == "htk",
        norm="slaney" if config.mel_scale == "slaney" else None,
    )
    np.testing.assert_allclose(mel_filterbank(config), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("htk", [False, True])
def test_mel_scale_equals_librosa_and_inverts(htk):
    scale = "htk" if htk else "slaney"
    hz = np.concatenate([[0.0, 999.999, 1000.0, 1000.001], np.linspace(1, 24_000, 500)])

    mel = hz_to_mel(hz, scale)

    np.testing.assert_allclose(mel, librosa.hz_to_mel(hz, htk=htk), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mel_to_hz(mel, scale), hz, rtol=1e-9, atol=1e-9)


def test_mel_edges_span_the_configured_range():
    edges = mel_edges(FrontendConfig(fmin=55.0, fmax=5_000.0, n_mels=10, n_mfcc=10))

    assert edges.shape == (12,)
    assert np.all(np.diff(edges) > 0)
    np.testing.assert_allclose(edges[[0, -1]], [55.0, 5_000.0])


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "boxcar"])
@pytest.mark.parametrize("length", [2, 399, 400])
def test_window_equals_scipy(name, length):
    config = FrontendConfig(window=name, win_length=length)
    expected = scipy.signal.get_window(name, length, fftbins=True)
    np.testing.assert_allclose(window(config), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("norm", "scipy_norm"), [("ortho", "ortho"), ("none", None)])
def test_dct_basis_equals_scipy(norm, scipy_norm):
    config = FrontendConfig(dct_norm=norm, n_mels=33, n_mfcc=17)
    expected = scipy.fft.dct(np.eye(33), type=2, norm=scipy_norm, axis=0)[:17]
    np.testing.assert_allclose(dct_basis(config), expected, rtol=0, atol=1e-12)


def test_delta_kernels_equal_savitzky_golay():
    kernels = delta_kernels(2)

    assert kernels.shape == (2, DELTA_WIDTH)
    for order in (1, 2):
        expected = scipy.signal.savgol_coeffs(DELTA_WIDTH, order, deriv=order, use="dot")
        np.testing.assert_allclose(kernels[order - 1], expected, rtol=0, atol=1e-7)


def test_delta_kernels_of_no_derivative_are_empty():
    assert delta_kernels(0).shape == (0, DELTA_WIDTH)


def test_too_many_mel_bands_name_the_numbers_and_the_remedy():
    with pytest.raises(ConfigError) as raised:
        mel_filterbank(FrontendConfig(n_mels=200))
    assert "4 of 200 mel" in str(raised.value)
    assert "n_fft 512" in str(raised.value)
    assert "n_mels" in str(raised.value)
