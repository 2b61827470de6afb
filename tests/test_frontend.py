"""The front end against librosa and scipy, streaming against offline, and today against before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_ser import audio
from edge_ser.card import FrontendConfig
from edge_ser.errors import AudioError, ConfigError
from edge_ser.frontend import (
    DELTA_WIDTH,
    StreamingMfcc,
    dct_basis,
    delta_kernels,
    hz_to_mel,
    log_mel,
    mel_edges,
    mel_filterbank,
    mel_to_hz,
    mfcc,
    window,
)

GOLDEN = Path(__file__).parent / "golden" / "frontend.npz"

CONFIGS = {
    "default": FrontendConfig(),
    "paper": FrontendConfig.paper(),
    "htk": FrontendConfig(mel_scale="htk", n_mels=40, n_mfcc=13, window="hamming"),
    "dct_none": FrontendConfig(dct_norm="none", n_mfcc=20),
    "blackman_centred": FrontendConfig(window="blackman", center=True, log_floor=1e-8),
    "boxcar_whole_frame": FrontendConfig(window="boxcar", win_length=512),
    "preemphasis_deltas": FrontendConfig(preemphasis=0.97, deltas=1, n_mfcc=13),
    "two_deltas_centred": FrontendConfig(deltas=2, center=True, n_mels=40, n_mfcc=13),
    "odd": FrontendConfig(n_fft=511, win_length=399, hop_length=157, center=True, n_mels=40),
    "odd_window_in_even_frame": FrontendConfig(win_length=321, n_mels=40),
    "8kHz": FrontendConfig(
        sample_rate=8_000,
        n_fft=256,
        win_length=200,
        hop_length=80,
        n_mels=32,
        n_mfcc=13,
        fmax=3_800,
    ),
    "48kHz": FrontendConfig(
        sample_rate=48_000, n_fft=2_048, win_length=1_200, hop_length=480, fmax=24_000
    ),
}
SIGNALS = ("tone 110", "tone 440", "tone 1000", "tone 3521.7", "chirp", "noise", "impulse")

each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def synthetic(kind: str, sample_rate: int, seconds: float = 0.6) -> np.ndarray:
    """Return float32 [n_samples] of a signal in SIGNALS."""
    t = np.arange(int(seconds * sample_rate)) / sample_rate
    name, _, frequency = kind.partition(" ")
    if name == "tone":
        samples = 0.5 * np.sin(2 * np.pi * float(frequency) * t)
    elif name == "chirp":
        samples = 0.5 * scipy.signal.chirp(t, 50, seconds, 0.45 * sample_rate)
    elif name == "noise":
        samples = 0.1 * np.random.default_rng(7).standard_normal(len(t))
    else:
        samples = (np.arange(len(t)) == len(t) // 2).astype(float)
    return samples.astype(np.float32)


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
    got, wanted = mfcc(samples, config), librosa_mfcc(samples, config)
    assert got.dtype == np.float32
    assert got.shape == wanted.shape == (config.n_features, config.n_frames(len(samples)))
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-3)


# --- librosa and scipy -------------------------------------------------------------------


@pytest.mark.parametrize("kind", SIGNALS)
@each_config
def test_equals_librosa_on_synthetic_signals(config, kind):
    assert_equals_librosa(synthetic(kind, config.sample_rate), config)


@each_config
def test_equals_librosa_on_the_example_clips(config, example_clips):
    for clip in example_clips:
        assert_equals_librosa(audio.load(clip, config.sample_rate), config)


@each_config
def test_mel_filterbank_equals_librosa(config):
    wanted = librosa.filters.mel(
        sr=config.sample_rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.fmin,
        fmax=config.fmax,
        htk=config.mel_scale == "htk",
        norm="slaney" if config.mel_scale == "slaney" else None,
    )
    np.testing.assert_allclose(mel_filterbank(config), wanted, rtol=1e-5, atol=1e-9)


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
    wanted = scipy.signal.get_window(name, length, fftbins=True)
    np.testing.assert_allclose(window(config), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("norm", "scipy_norm"), [("ortho", "ortho"), ("none", None)])
def test_dct_basis_equals_scipy(norm, scipy_norm):
    config = FrontendConfig(dct_norm=norm, n_mels=33, n_mfcc=17)
    wanted = scipy.fft.dct(np.eye(33), type=2, norm=scipy_norm, axis=0)[:17]
    np.testing.assert_allclose(dct_basis(config), wanted, rtol=0, atol=1e-12)


def test_delta_kernels_equal_savitzky_golay():
    kernels = delta_kernels(2)

    assert kernels.shape == (2, DELTA_WIDTH)
    for order in (1, 2):
        wanted = scipy.signal.savgol_coeffs(DELTA_WIDTH, order, deriv=order, use="dot")
        np.testing.assert_allclose(kernels[order - 1], wanted, rtol=0, atol=1e-7)


def test_delta_kernels_of_no_derivative_are_empty():
    assert delta_kernels(0).shape == (0, DELTA_WIDTH)


# --- what the definition promises ---------------------------------------------------------


def test_digital_silence_is_the_log_floor_everywhere():
    config = FrontendConfig(log_floor=1e-8)
    np.testing.assert_allclose(log_mel(np.zeros(1_000, np.float32), config), -80.0, rtol=1e-6)


def test_what_follows_does_not_change_earlier_frames():
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

    assert "holds 511 samples" in str(raised.value)
    assert "one frame needs 512" in str(raised.value)
    assert "16000 Hz" in str(raised.value)


def test_no_audio_at_all_has_no_frames_even_when_centred():
    config = FrontendConfig.paper()
    assert config.n_frames(0) == 0
    with pytest.raises(AudioError, match="holds 0 samples"):
        mfcc(np.zeros(0, np.float32), config)


def test_one_frame_is_enough():
    assert mfcc(np.zeros(512, np.float32), FrontendConfig()).shape == (40, 1)
    assert mfcc(np.zeros(1, np.float32), FrontendConfig(center=True)).shape == (40, 1)


@pytest.mark.parametrize("n_fft", [511, 512])
@pytest.mark.parametrize("center", [False, True])
def test_n_frames_is_what_mfcc_returns(n_fft, center):
    config = FrontendConfig(n_fft=n_fft, n_mels=20, n_mfcc=5, center=center)
    for n_samples in np.random.default_rng(3).integers(0, 3_000, 60):
        samples = np.zeros(n_samples, np.float32)
        if config.n_frames(n_samples):
            assert mfcc(samples, config).shape == (5, config.n_frames(n_samples))
        else:
            with pytest.raises(AudioError):
                mfcc(samples, config)


# --- streaming ---------------------------------------------------------------------------


@st.composite
def small_configs(draw):
    """Few wide bands, so that any FFT size will do; hops beyond the window and the frame."""
    n_fft = draw(st.integers(128, 400))
    return FrontendConfig(
        n_fft=n_fft,
        win_length=draw(st.integers(2, n_fft)),
        hop_length=draw(st.integers(1, 600).map(lambda hop: max(hop, 20))),
        n_mels=6,
        n_mfcc=draw(st.integers(1, 6)),
        fmin=200.0,
        window=draw(st.sampled_from(["hann", "hamming", "boxcar"])),
        preemphasis=draw(st.sampled_from([0.0, 0.97])),
        deltas=draw(st.integers(0, 2)),
        center=draw(st.booleans()),
    )


def stream_in_chunks(samples: np.ndarray, config: FrontendConfig, sizes: list[int]) -> np.ndarray:
    """Push pieces of these sizes, then the rest, and put together what comes out."""
    stream = StreamingMfcc(config)
    pieces = np.split(samples, np.minimum(np.cumsum(sizes), len(samples)))
    return np.concatenate([stream.push(piece) for piece in pieces] + [stream.flush()], axis=1)


def assert_streams_as_offline(config: FrontendConfig, n_samples: int, sizes: list[int]) -> None:
    samples = synthetic("noise", 16_000)[:n_samples]

    streamed = stream_in_chunks(samples, config, sizes)

    assert streamed.dtype == np.float32
    assert streamed.shape == (config.n_features, config.n_frames(n_samples))
    if streamed.shape[1]:
        # rtol: one unit in the last place of a large zeroth coefficient is more than atol.
        np.testing.assert_allclose(streamed, mfcc(samples, config), rtol=1e-6, atol=1e-5)


@settings(max_examples=150, deadline=None)
@given(
    config=small_configs(),
    n_samples=st.integers(0, 6_000),
    sizes=st.lists(st.sampled_from([0, 1, 2, 7, 160, 399, 400, 1_601]), max_size=12),
)
@example(config=FrontendConfig.paper(), n_samples=6_000, sizes=[0, 1, 0, 2_047, 1])
@example(config=FrontendConfig(deltas=2, preemphasis=0.97), n_samples=6_000, sizes=[1] * 5 + [600])
def test_streaming_equals_offline(config, n_samples, sizes):
    assert_streams_as_offline(config, n_samples, sizes)


@pytest.mark.parametrize("center", [False, True])
def test_streaming_with_gaps_between_frames(center):
    """A hop longer than the frame: the samples between two frames count although no frame has them."""
    assert_streams_as_offline(FrontendConfig(hop_length=1_000, center=center), 6_000, [100] * 60)


def test_a_stream_sample_by_sample():
    assert_streams_as_offline(FrontendConfig(deltas=1, center=True), 1_500, [1] * 1_500)


@pytest.mark.parametrize("config", [FrontendConfig(), FrontendConfig.paper()])
def test_a_stream_without_audio_has_no_frames(config):
    stream = StreamingMfcc(config)
    assert stream.push(np.zeros(0, np.float32)).shape == (config.n_features, 0)
    assert stream.flush().shape == (config.n_features, 0)


def test_frames_come_with_their_last_sample():
    stream = StreamingMfcc(FrontendConfig())
    samples = synthetic("noise", 16_000)
    assert stream.push(samples[:511]).shape[1] == 0
    assert stream.push(samples[511:512]).shape[1] == 1
    assert stream.push(samples[512:671]).shape[1] == 0
    assert stream.push(samples[671:672]).shape[1] == 1


@pytest.mark.parametrize("end", ["flush", "reset"])
def test_after_the_end_a_new_stream_begins(end):
    config = FrontendConfig(deltas=1, preemphasis=0.97, center=True)
    samples = synthetic("chirp", 16_000)
    used = StreamingMfcc(config)
    used.push(synthetic("noise", 16_000)[:3_333])
    getattr(used, end)()

    again = np.concatenate([used.push(samples), used.flush()], axis=1)

    np.testing.assert_array_equal(again, stream_in_chunks(samples, config, []))


def test_a_long_stream_keeps_little():
    stream = StreamingMfcc(FrontendConfig(deltas=2))
    kept = set()
    for _ in range(200):
        stream.push(np.zeros(800, np.float32))
        kept.add((len(stream._samples), stream._static.shape))
    assert max(n_samples for n_samples, _ in kept) < 512
    assert {shape for _, shape in kept} <= {(40, n) for n in range(DELTA_WIDTH)}


# --- refused configurations ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        *((name, 0, "a whole number above 0") for name in ("sample_rate", "n_fft", "win_length")),
        *((name, -1, "a whole number above 0") for name in ("hop_length", "n_mels", "n_mfcc")),
        ("sample_rate", 16_000.0, "a whole number above 0"),
        ("hop_length", True, "a whole number above 0"),
        ("win_length", 513, "at most n_fft"),
        ("n_mfcc", 65, "at most n_mels"),
        ("window", "kaiser", "one of hann, hamming, blackman, boxcar"),
        ("mel_scale", "bark", "one of slaney, htk"),
        ("dct_norm", "slaney", "one of ortho, none"),
        ("log_floor", 0.0, "a power above 0"),
        ("log_floor", float("nan"), "a power above 0"),
        ("log_floor", float("inf"), "a power above 0"),
        ("preemphasis", 1.0, "in [0, 1)"),
        ("preemphasis", -0.1, "in [0, 1)"),
        ("preemphasis", float("nan"), "in [0, 1)"),
        ("deltas", 3, "0, 1 or 2"),
        ("deltas", -1, "0, 1 or 2"),
    ],
)
def test_invalid_field(field, value, wanted):
    with pytest.raises(ConfigError) as raised:
        FrontendConfig(**{field: value})
    assert str(raised.value).startswith(f"{field} is {value!r}, wanted: {wanted}")


@pytest.mark.parametrize(
    "changes",
    [{"fmin": -1.0}, {"fmin": 7_600.0}, {"fmax": 8_000.1}, {"fmax": float("nan")}],
)
def test_invalid_frequencies(changes):
    with pytest.raises(ConfigError) as raised:
        FrontendConfig(**changes)
    assert "fmin, fmax" in str(raised.value)
    assert str(*changes.values()) in str(raised.value)
    assert "0 <= fmin < fmax <= 8000 Hz" in str(raised.value)


@pytest.mark.parametrize("changes", [{"deltas": 1.0}, {"deltas": True}, {"center": 1}])
def test_types_that_json_would_not_give_back_are_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        FrontendConfig(**changes)


def test_a_log_floor_that_is_zero_in_single_precision_is_refused():
    """Silence would become minus infinity, and NaN after the DCT."""
    with pytest.raises(ConfigError, match="log_floor is 1e-60"):
        FrontendConfig(log_floor=1e-60)


def test_too_many_mel_bands_name_the_numbers_and_the_remedy():
    with pytest.raises(ConfigError) as raised:
        mel_filterbank(FrontendConfig(n_mels=200))
    assert "of 200 mel bands hold no FFT bin at n_fft 512 and 16000 Hz" in str(raised.value)
    assert "take fewer n_mels or a larger n_fft" in str(raised.value)


# --- memory that is kept from call to call ------------------------------------------------


def test_what_was_returned_stays_as_it_was():
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
        for config, wanted in zip(configs, alone, strict=True):
            np.testing.assert_array_equal(mfcc(samples, config), wanted)


def test_threads_compute_at_the_same_time():
    config = FrontendConfig()
    clips = [synthetic(kind, 16_000, 3.0) for kind in ("chirp", "noise")]
    wanted = [mfcc(clip, config) for clip in clips]

    def again(place):
        return [mfcc(clips[place], config) for _ in range(50)]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(again, (0, 1)))
    for features, right in zip(found, wanted, strict=True):
        for each in features:
            np.testing.assert_array_equal(each, right)


def test_an_older_numpy_computes_the_same(monkeypatch):
    """Before 2.0 the FFT takes no memory of ours."""
    samples = synthetic("chirp", 16_000)
    wanted = mfcc(samples, FrontendConfig())
    monkeypatch.setattr("edge_ser.frontend._RFFT_OUT", False)
    np.testing.assert_array_equal(mfcc(samples, FrontendConfig()), wanted)


# --- golden vectors -----------------------------------------------------------------------


def golden_features() -> dict[str, np.ndarray]:
    """Compute what GOLDEN holds. The chirp is rounded to 16 bits: every libm gives the same."""
    features = {}
    for name in ("default", "paper"):
        config = CONFIGS[name]
        chirp = synthetic("chirp", config.sample_rate, 0.5)
        features[name] = mfcc((np.round(chirp * 32_767) / 32_768).astype(np.float32), config)
    return features


@pytest.mark.parametrize("name", ["default", "paper"])
def test_features_are_those_of_the_golden_file(name):
    """A change of the front end makes every published model wrong: it must not go unnoticed."""
    with np.load(GOLDEN) as golden:
        np.testing.assert_allclose(golden_features()[name], golden[name], rtol=0, atol=1e-4)


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **golden_features())
    print(f"wrote {GOLDEN}")
