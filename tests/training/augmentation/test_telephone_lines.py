"""Lines: narrow bands and codecs change the sound, and neither its length, level nor time."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from edge_ser.errors import MissingDependency
from edge_ser.training.augmentation import scenes
from edge_ser.training.augmentation.scenes import CODECS, LINES, NARROW, transmit

RATE = 16_000


def bursts(seconds=1.5, level=0.3) -> np.ndarray:
    """Return noise of 300 to 3000 Hz that comes and goes, as syllables do."""
    rng = np.random.default_rng(5)
    n = round(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.fft.rfftfreq(n, 1 / RATE)
    spectrum[(hz < 300) | (hz > 3000)] = 0
    envelope = np.clip(np.sin(2 * np.pi * 4 * np.arange(n) / RATE), 0, 1)
    samples = np.fft.irfft(spectrum, n) * envelope
    return (level * samples / np.abs(samples).max()).astype(np.float32)


def lag(one: np.ndarray, other: np.ndarray) -> int:
    """Return by how many samples `other` is late."""
    n = 2 * len(one)
    likeness = np.fft.irfft(np.fft.rfft(other, n) * np.fft.rfft(one, n).conj(), n)
    place = int(likeness.argmax())
    return place if place < n // 2 else place - n


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("sample_rate", [16_000, 22_050])
def test_a_line_keeps_length_level_and_time(line, sample_rate):
    samples = bursts()

    result = transmit(samples, sample_rate, line, np.random.default_rng(0))

    assert result.dtype == np.float32
    assert result.shape == samples.shape
    assert abs(lag(samples, result)) <= 0.002 * sample_rate
    # GSM models a voice, and this is noise.
    least = 0.4 if line == "gsm" else 0.7
    assert least < (result**2).sum() / (samples**2).sum() < 1.3
    assert np.corrcoef(samples, result)[0, 1] > least


@pytest.mark.parametrize("line", [*NARROW, "mulaw", "alaw", "gsm"])
def test_a_narrow_line_has_no_high_frequencies(line):
    samples = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)

    result = transmit(samples, RATE, line, np.random.default_rng(0))

    hz = np.fft.rfftfreq(RATE, 1 / RATE)
    limit = NARROW[line] / 2 if line in NARROW else 4_000
    power = np.abs(np.fft.rfft(result)) ** 2
    assert power[hz > 1.05 * limit].sum() < 1e-3 * power.sum()


@pytest.mark.parametrize("line", ["mulaw", "alaw", "gsm"])
def test_half_of_the_telephones_cut_their_band(line):
    samples = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    hz = np.fft.rfftfreq(RATE, 1 / RATE)
    low = []
    for seed in range(20):
        power = np.abs(np.fft.rfft(transmit(samples, RATE, line, np.random.default_rng(seed)))) ** 2
        low.append(power[hz < 200].sum() / power.sum())
    cut = np.array(low) < 0.02
    assert 3 <= cut.sum() <= 17


@pytest.mark.parametrize("line", CODECS)
def test_a_codec_loses_something(line):
    samples = bursts()

    result = transmit(samples, RATE, line, np.random.default_rng(3))

    error = ((result - samples) ** 2).sum() / (samples**2).sum()
    assert 1e-6 < error < 1


@pytest.mark.parametrize("line", LINES)
def test_quiet_speech_passes_as_loud_speech_does(line):
    """The level at the codec is drawn, so that 8 bits do not swallow what was recorded quietly."""
    loud = transmit(bursts(level=0.5), RATE, line, np.random.default_rng(1))
    quiet = transmit(bursts(level=0.001), RATE, line, np.random.default_rng(1))

    assert np.corrcoef(quiet, loud)[0, 1] > 0.95
    assert np.std(500 * quiet) == pytest.approx(np.std(loud), rel=0.05)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("n_samples", [0, 1, 700])
def test_short_and_silent_clips_pass(line, n_samples):
    result = transmit(np.zeros(n_samples, np.float32), RATE, line, np.random.default_rng(0))

    assert len(result) == n_samples
    assert np.abs(result).max(initial=0) < 0.01


def test_a_codec_that_libsndfile_lacks_is_named(monkeypatch):
    monkeypatch.setattr(soundfile, "check_format", lambda *_: False)
    scenes._delay.cache_clear()

    with pytest.raises(MissingDependency, match="opus"):
        transmit(bursts(), RATE, "opus", np.random.default_rng(0))
