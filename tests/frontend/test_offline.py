"""Whole recordings against librosa, what the definition promises, and the golden file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import librosa
import numpy as np
import pytest
from front_ends import CONFIGS, GOLDEN, SIGNALS, each_config, golden_features, synthetic

from edge_ser.audio import io as audio
from edge_ser.card import FrontendConfig
from edge_ser.errors import AudioError
from edge_ser.frontend import log_mel, mfcc

pytestmark = pytest.mark.usefixtures("each_kernel")


def librosa_mfcc(samples: np.ndarray, config: FrontendConfig) -> np.ndarray:
    """Return what librosa makes of it, in float32 like ours."""
    if config.preemphasis:
        # zi=[0] starts from silence, as a stream must; librosa's default looks at the next sample.
        samples = librosa.effects.preemphasis(samples, coef=config.preemphasis, zi=[0])
    power = librosa.feature.melspectrogram(
        y=samples,
        sr=config.sample_rate,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        win_length=config.win_length,
        window=config.window,
        center=config.center,
        pad_mode="constant",
        n_mels=config.n_mels,
        fmin=config.fmin,
        fmax=config.fmax,
        htk=config.mel_scale == "htk",
        norm="slaney" if config.mel_scale == "slaney" else None,
    )
    decibels = librosa.power_to_db(power, amin=config.log_floor, top_db=None)
    norm = "ortho" if config.dct_norm == "ortho" else None
    # In double: librosa's float32 DCT rounds more than the tolerance where it is not normalised.
    static = librosa.feature.mfcc(S=decibels.astype(np.float64), n_mfcc=config.n_mfcc, norm=norm)
    derivatives = [
        librosa.feature.delta(static, order=order, mode="nearest")
        for order in range(1, config.deltas + 1)
    ]
    return np.concatenate([static, *derivatives]).astype(np.float32)


def assert_equals_librosa(samples: np.ndarray, config: FrontendConfig) -> None:
    got, expected = mfcc(samples, config), librosa_mfcc(samples, config)
    assert got.dtype == np.float32
    assert got.shape == expected.shape == (config.n_features, config.n_frames(len(samples)))
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("kind", SIGNALS)
@each_config
def test_equals_librosa_on_synthetic_signals(config, kind):
    assert_equals_librosa(synthetic(kind, config.sample_rate), config)


@each_config
def test_equals_librosa_on_the_example_clips(config, example_clips):
    for clip in example_clips:
        assert_equals_librosa(audio.load(clip, config.sample_rate), config)


def test_digital_silence_is_the_log_floor_everywhere():
    config = FrontendConfig(log_floor=1e-8)
    np.testing.assert_allclose(log_mel(np.zeros(1_000, np.float32), config), -80.0, rtol=1e-6)


def test_later_audio_does_not_change_earlier_frames():
    """With librosa's top_db=80 this fails: it clips at the loudest frame of the whole clip."""
    config = FrontendConfig()
    quiet = 1e-3 * synthetic("noise", 16_000)
    loud = np.concatenate([quiet, 9 * synthetic("noise", 16_000)])

    alone = mfcc(quiet, config)

    np.testing.assert_allclose(mfcc(loud, config)[:, : alone.shape[1]], alone, rtol=1e-6, atol=1e-5)


def test_ten_times_louder_is_twenty_decibels_more():
    config = FrontendConfig(log_floor=1e-20)
    samples = 0.01 * synthetic("noise", 16_000)
    np.testing.assert_allclose(
        log_mel(10 * samples, config) - log_mel(samples, config), 20.0, rtol=0, atol=1e-3
    )


def test_too_short_audio_names_both_lengths():
    with pytest.raises(AudioError) as raised:
        mfcc(np.zeros(511, np.float32), FrontendConfig())

    assert "got 511" in str(raised.value)
    assert " 512 " in str(raised.value)
    assert "16000 Hz" in str(raised.value)


def test_no_audio_at_all_has_no_frames_even_when_centred():
    config = FrontendConfig.paper()
    assert config.n_frames(0) == 0
    with pytest.raises(AudioError, match="got 0"):
        mfcc(np.zeros(0, np.float32), config)


def test_one_frame_is_enough():
    assert mfcc(np.zeros(512, np.float32), FrontendConfig()).shape == (40, 1)
    assert mfcc(np.zeros(1, np.float32), FrontendConfig(center=True)).shape == (40, 1)


@pytest.mark.parametrize("n_fft", [511, 512])
@pytest.mark.parametrize("center", [False, True])
def test_n_frames_equals_the_frames_of_mfcc(n_fft, center):
    config = FrontendConfig(n_fft=n_fft, n_mels=20, n_mfcc=5, center=center)
    for n_samples in np.random.default_rng(3).integers(0, 3_000, 60):
        samples = np.zeros(n_samples, np.float32)
        if config.n_frames(n_samples):
            assert mfcc(samples, config).shape == (5, config.n_frames(n_samples))
        else:
            with pytest.raises(AudioError):
                mfcc(samples, config)


def test_returned_features_are_not_overwritten():
    config = FrontendConfig()
    first = log_mel(synthetic("chirp", 16_000), config)
    kept = first.copy()
    log_mel(synthetic("noise", 16_000), config)
    np.testing.assert_array_equal(first, kept)


def test_front_ends_that_take_turns_do_not_disturb_each_other():
    """Zeros behind a short window must be zeros again after a longer one."""
    samples = synthetic("noise", 16_000)
    configs = [
        CONFIGS["default"],
        CONFIGS["boxcar_whole_frame"],
        CONFIGS["odd_window_in_even_frame"],
    ]
    alone = [mfcc(samples, config) for config in configs]
    for _ in range(2):
        for config, expected in zip(configs, alone, strict=True):
            np.testing.assert_array_equal(mfcc(samples, config), expected)


def test_threads_compute_at_the_same_time():
    config = FrontendConfig()
    clips = [synthetic(kind, 16_000, 3.0) for kind in ("chirp", "noise")]
    expected = [mfcc(clip, config) for clip in clips]

    def again(place):
        return [mfcc(clips[place], config) for _ in range(50)]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(again, (0, 1)))
    for features, right in zip(found, expected, strict=True):
        for each in features:
            np.testing.assert_array_equal(each, right)


@pytest.mark.parametrize("name", ["default", "paper"])
def test_features_are_those_of_the_golden_file(name, each_kernel):
    """A change of the front end makes every published model wrong: it must not go unnoticed."""
    with np.load(GOLDEN) as golden:
        # The golden file is NumPy's, whose mel spectra are in single precision: where the compiled
        # kernel rounds once, it may be two units in the last place away.
        rtol = 2**-22 if each_kernel == "compiled" else 0
        np.testing.assert_allclose(golden_features()[name], golden[name], rtol=rtol, atol=1e-4)
