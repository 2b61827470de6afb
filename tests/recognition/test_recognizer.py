"""Windows over a stream: where they lie, what the network gets, and what comes of it."""

from __future__ import annotations

import dataclasses
import re
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from streams import CARDS, RATE, SensitiveRunner, in_chunks, noise
from support import FakeRunner

from edge_ser.audio.io import SILENCE_DBFS, AudioChunk, dbfs, load
from edge_ser.errors import AudioError, ConfigError, ModelError
from edge_ser.frontend import mfcc
from edge_ser.recognition.classifier import PredictionStream
from edge_ser.recognition.prediction import ClipTally, softmax
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.recognition.windowing import WindowConfig, WindowCutter


def times(predictions) -> list[tuple[float, float]]:
    return [(p.start_s, p.end_s) for p in predictions]


# --- where the windows lie ----------------------------------------------------------------


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("seconds", [1.0, 1.2499, 1.25, 3.1])
def test_windows_lie_a_hop_apart_as_far_as_the_audio_goes(name, seconds):
    recognizer = Recognizer(FakeRunner(CARDS[name]))
    rate = CARDS[name].frontend.sample_rate
    n_samples = round(seconds * rate)

    windows = list(recognizer.stream([AudioChunk(noise(n_samples), rate)]))

    n_windows = 1 + (n_samples - recognizer.window_samples) // recognizer.config.hop_samples
    starts = recognizer.config.hop_samples * np.arange(n_windows)
    assert times(windows) == [(s / rate, (s + rate) / rate) for s in starts.tolist()]
    assert {w.source for w in windows} == {"stream"}
    assert not any(w.final for w in windows)
    assert all(w.compute_ms > 0 for w in windows)


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(sorted(CARDS)),
    rate=st.sampled_from([16_000, 22_050, 44_100]),
    seconds=st.floats(0.3, 2.5),
    window_s=st.floats(0.25, 1.5),
    hop_s=st.floats(0.05, 2.0),
    sizes=st.lists(st.sampled_from([0, 1, 100, 160, 441, 4_000, 17_001]), max_size=10),
)
@example(name="features", rate=RATE, seconds=2.4, window_s=0.5, hop_s=0.9, sizes=[1_000] * 30)
@example(name="paper", rate=22_050, seconds=2.4, window_s=1.0, hop_s=0.2, sizes=[512] * 90)
def test_any_chunking_gives_the_same_predictions(name, rate, seconds, window_s, hop_s, sizes):
    samples = noise(round(seconds * rate))
    at_once, in_pieces = SensitiveRunner(CARDS[name]), SensitiveRunner(CARDS[name])
    options = {"window_s": window_s, "hop_s": hop_s}

    expected = list(Recognizer(at_once, **options).stream([AudioChunk(samples, rate)]))
    got = list(Recognizer(in_pieces, **options).stream(in_chunks(samples, sizes, rate)))

    assert times(got) == times(expected)
    for one, other in zip(got, expected, strict=True):
        assert list(one.probs.values()) == pytest.approx(list(other.probs.values()), abs=1e-5)
        assert one.level_dbfs == pytest.approx(other.level_dbfs, abs=1e-4)
    for one, other in zip(in_pieces.inputs, at_once.inputs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-3)


def test_a_window_comes_with_its_last_sample():
    recognizer = Recognizer(FakeRunner())
    windows = PredictionStream(recognizer.config, recognizer.classifier, "live")
    samples = noise(RATE + 4_000)

    assert list(windows.push(samples[:15_999])) == []
    assert times(windows.push(samples[15_999:16_000])) == [(0.0, 1.0)]
    assert list(windows.push(samples[16_000:19_999])) == []
    assert times(windows.push(samples[19_999:])) == [(0.25, 1.25)]
    assert list(windows.finish()) == []


def test_a_hop_longer_than_the_window_leaves_gaps():
    runner = FakeRunner(CARDS["waveform"])
    samples = noise(3 * RATE)

    recognizer = Recognizer(runner, window_s=0.5, hop_s=1.25)
    windows = list(recognizer.stream(in_chunks(samples, [700] * 80)))

    assert times(windows) == [(0.0, 0.5), (1.25, 1.75), (2.5, 3.0)]
    for start, inputs in zip((0, 20_000, 40_000), runner.inputs, strict=True):
        np.testing.assert_array_equal(inputs[0], samples[start : start + 8_000])


# --- what the network gets ----------------------------------------------------------------


def test_a_features_network_gets_the_mfccs_of_exactly_its_window():
    runner = FakeRunner()
    samples = noise(2 * RATE)

    windows = list(Recognizer(runner).stream(in_chunks(samples, [333] * 50)))

    assert len(runner.inputs) == len(windows) == 5
    for i, inputs in enumerate(runner.inputs):
        assert inputs.dtype == np.float32
        assert inputs.flags.c_contiguous
        expected = mfcc(samples[4_000 * i : 4_000 * i + RATE], runner.card.frontend)
        np.testing.assert_allclose(inputs, expected[None], rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("name", ["centred", "deltas", "paper"])
def test_with_context_a_window_gets_its_columns_of_the_whole_recording(name):
    """Frames at its edges see the audio around it, as they do in training."""
    runner = FakeRunner(CARDS[name])
    frontend = runner.card.frontend
    samples = noise(2 * frontend.sample_rate)
    recognizer = Recognizer(runner)

    windows = list(recognizer.stream([AudioChunk(samples, frontend.sample_rate)]))

    complete = mfcc(samples, frontend)
    n_frames = frontend.n_frames(recognizer.window_samples)
    assert len(runner.inputs) == len(windows)
    for i, inputs in enumerate(runner.inputs):
        first = i * recognizer.config.hop_frames
        expected = complete[None, :, first : first + n_frames]
        np.testing.assert_allclose(inputs, expected, rtol=1e-6, atol=1e-4)


def test_a_waveform_network_gets_exactly_the_samples_of_its_window():
    runner = FakeRunner(CARDS["waveform"])
    samples = noise(2 * RATE)

    list(Recognizer(runner).stream(in_chunks(samples, [333] * 50)))

    assert len(runner.inputs) == 5
    for i, inputs in enumerate(runner.inputs):
        assert inputs.flags.c_contiguous
        np.testing.assert_array_equal(inputs, samples[None, 4_000 * i : 4_000 * i + RATE])


@pytest.mark.parametrize("name", CARDS)
def test_a_clip_shorter_than_a_window_is_recognised_as_one_window(name):
    runner = FakeRunner(CARDS[name])
    frontend = runner.card.frontend
    n_samples = round(0.6 * frontend.sample_rate)

    chunks = in_chunks(noise(n_samples), [1_000], frontend.sample_rate)
    (window,) = Recognizer(runner).stream(chunks)

    assert (window.start_s, window.end_s) == (0.0, n_samples / frontend.sample_rate)
    (inputs,) = runner.inputs
    if name == "waveform":
        np.testing.assert_array_equal(inputs[0], noise(n_samples))
    else:
        expected = mfcc(noise(n_samples), frontend)
        np.testing.assert_allclose(inputs[0], expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_the_shortest_clip_that_is_recognised(rate):
    """The card says 0.25 s: exactly that is enough at any rate, a little less is not."""
    enough = rate // 4
    assert len(list(Recognizer(FakeRunner()).stream([AudioChunk(noise(enough), rate)]))) == 1

    with pytest.raises(AudioError) as raised:
        list(
            Recognizer(FakeRunner()).stream(
                [AudioChunk(noise(enough - rate // 100), rate)], "a.wav"
            )
        )
    assert re.match(r"a\.wav: .*\b0\.25 s\b.*\b0\.24 s\b", str(raised.value))


@pytest.mark.parametrize("chunks", [[], [AudioChunk(np.zeros(0, np.float32), RATE)]])
def test_a_stream_without_audio(chunks):
    with pytest.raises(AudioError, match=r"^stream: .*\b0\.25 s\b.*\b0 s\b"):
        list(Recognizer(FakeRunner()).stream(chunks))


# --- window and hop ----------------------------------------------------------------------


def test_window_and_hop_are_the_models_own_unless_asked_otherwise():
    recognizer = Recognizer(FakeRunner())
    assert recognizer.window_samples == 16_000
    assert (recognizer.config.hop_frames, recognizer.config.hop_samples) == (25, 4_000)


@pytest.mark.parametrize(
    ("hop_s", "frames"), [(0.01, 1), (0.0149, 1), (0.016, 2), (0.256, 26), (60.0, 6_000)]
)
def test_hops_are_rounded_to_whole_frames(hop_s, frames):
    recognizer = Recognizer(FakeRunner(), hop_s=hop_s)
    assert (recognizer.config.hop_frames, recognizer.config.hop_samples) == (frames, 160 * frames)


@pytest.mark.parametrize(
    ("window_s", "n_samples"), [(0.25, 4_000), (0.50003, 8_000), (60, 960_000)]
)
def test_windows_are_rounded_to_whole_samples(window_s, n_samples):
    assert Recognizer(FakeRunner(), window_s=window_s).window_samples == n_samples


@pytest.mark.parametrize("window_s", [0.249, 60.1, 0, -1, float("nan"), float("inf")])
def test_windows_that_cannot_be_recognised(window_s):
    with pytest.raises(ConfigError) as raised:
        Recognizer(FakeRunner(), window_s=window_s)
    assert f"got {window_s:g} s;" in str(raised.value)
    assert "0.25 to 60 s" in str(raised.value)
    assert " 1 s" in str(raised.value)


@pytest.mark.parametrize("hop_s", [0.0099, 60.1, 0, -1, float("nan"), float("inf")])
def test_hops_that_cannot_be_made(hop_s):
    with pytest.raises(ConfigError) as raised:
        Recognizer(FakeRunner(), hop_s=hop_s)
    assert f"got {hop_s:g} s" in str(raised.value)
    assert "0.01 to 60 s" in str(raised.value)


# --- silence and levels -------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_has_no_label_and_is_not_shown_to_the_network(level):
    runner = FakeRunner()
    windows = list(Recognizer(runner).stream([AudioChunk(noise(2 * RATE, level), RATE)]))

    assert len(windows) == 5
    assert runner.inputs == []
    for window in windows:
        assert (window.label, window.probs, window.confidence) == (None, {}, None)
        assert SILENCE_DBFS <= window.level_dbfs < -60


@pytest.mark.parametrize(("active_s", "label"), [(0.05, False), (0.09, False), (0.1, True)])
def test_a_tenth_of_the_window_has_to_be_audible(active_s, label):
    samples = np.zeros(RATE, np.float32)
    samples[: int(active_s * RATE)] = noise(int(active_s * RATE))
    (window,) = Recognizer(FakeRunner()).stream([AudioChunk(samples, RATE)])
    assert (window.label is not None) == label


def test_what_counts_as_silence_can_be_set():
    chunk = AudioChunk(noise(RATE, 0.01), RATE)
    (loud,) = Recognizer(FakeRunner(), min_level_dbfs=-50).stream([chunk])
    (quiet,) = Recognizer(FakeRunner(), min_level_dbfs=-30).stream([chunk])
    assert loud.label is not None
    assert quiet.label is None


def test_speech_between_silences():
    samples = np.concatenate([np.zeros(2 * RATE), noise(RATE), np.zeros(2 * RATE)])
    windows = list(Recognizer(FakeRunner()).stream([AudioChunk(samples.astype(np.float32), RATE)]))

    audible = [w.label is not None for w in windows]
    assert audible == [False] * 5 + [True] * 7 + [False] * 5
    tally = ClipTally("a.wav")
    for window in windows:
        tally.add(window)
    audible = [list(w.probs.values()) for w in windows if w.label]
    assert list(tally.final().probs.values()) == pytest.approx(np.mean(audible, axis=0).tolist())
    assert tally.final().end_s == 5.0
    assert tally.final().level_dbfs == max(w.level_dbfs for w in windows) > windows[-1].level_dbfs


def test_levels_and_clipping_of_a_window():
    samples = np.tile(np.float32([0.1, -0.1]), RATE // 2)
    samples[:: RATE // 100] = 1.0
    (window,) = Recognizer(FakeRunner()).stream([AudioChunk(samples, RATE)])
    assert window.level_dbfs == pytest.approx(10 * np.log10(0.01 * 0.99375 + 0.00625), abs=0.01)
    assert window.clipped == pytest.approx(100 / RATE)


def test_clipping_of_a_clip_is_that_of_its_worst_window():
    samples = noise(2 * RATE)
    samples[:100] = -1.0
    tally = ClipTally("a.wav")
    for window in Recognizer(FakeRunner()).stream([AudioChunk(samples, RATE)]):
        tally.add(window)
    assert window.clipped == 0.0
    assert tally.final().clipped == pytest.approx(100 / RATE)


# --- streams that go wrong ----------------------------------------------------------------


def test_the_rate_may_not_change_within_a_stream():
    chunks = [AudioChunk(noise(8_000), RATE), AudioChunk(noise(8_000), 48_000)]
    with pytest.raises(AudioError, match=r"^stream\b.*\b16000\b.*\b48000 Hz\b"):
        list(Recognizer(FakeRunner()).stream(chunks))


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_windows_before_a_broken_sample_are_still_given(rate):
    broken = noise(rate)
    broken[5] = np.nan
    windows = Recognizer(FakeRunner()).stream(
        [AudioChunk(noise(2 * rate), rate), AudioChunk(broken, rate)]
    )

    assert next(windows).label is not None
    with pytest.raises(AudioError, match=r"^stream: .*\b1 sample.*\bNaN\b"):
        list(windows)


def test_an_impossible_rate():
    with pytest.raises(AudioError, match=r"\b4000\b.*\b1000 Hz\b"):
        list(Recognizer(FakeRunner()).stream([AudioChunk(noise(1_000), 1_000)]))


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("hop_s", [0.25, 2.0])
def test_memory_does_not_grow_with_the_stream(name, hop_s):
    cutter = WindowCutter(WindowConfig.from_card(CARDS[name], hop_s=hop_s))
    samples = noise(1_600)
    held = []
    for _ in range(300):
        list(cutter.push(samples))
        features = 0 if cutter._features is None else cutter._features._columns.shape[1]
        held.append((cutter._samples._columns.shape[1], features, len(cutter._mfcc._samples)))

    first, second = np.array(held[:150]).max(axis=0), np.array(held[150:]).max(axis=0)
    assert (second <= first + 1_000).all()
    assert second[0] < 2.2 * (1.2 + hop_s) * CARDS[name].frontend.sample_rate


# --- clips -------------------------------------------------------------------------------


def test_a_clip_is_the_mean_of_its_windows(tmp_path, tiny_model):
    path = tmp_path / "a.wav"
    loudness = np.linspace(0.2, 1, 88_200)
    soundfile.write(path, np.stack([noise(88_200) * loudness] * 2, axis=1), 44_100)

    recognition = Recognizer(tiny_model).recognize(path, vad=False)

    windows, final = recognition.windows, recognition.final
    assert len(windows) == 5
    assert {w.source for w in windows} == {final.source} == {str(path)}
    mean = np.mean([list(w.probs.values()) for w in windows], axis=0)
    assert list(final.probs.values()) == pytest.approx(mean.tolist())
    assert final.label == max(final.probs, key=final.probs.get)
    assert final.confidence == final.probs[final.label]
    assert (final.start_s, final.end_s, final.final) == (0.0, 2.0, True)
    assert final.level_dbfs == max(w.level_dbfs for w in windows) == windows[-1].level_dbfs
    assert final.compute_ms == pytest.approx(sum(w.compute_ms for w in windows))


def test_a_silent_clip_is_an_error(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(2 * RATE), RATE)
    with pytest.raises(AudioError, match=r"\ba\.wav .*\bsilent .*-120 dB"):
        Recognizer(FakeRunner()).recognize(tmp_path / "a.wav", vad=False)


def test_a_clip_without_speech_has_no_label(tmp_path):
    """Silence, hum and noise, also of full level: the voice detector decides."""
    t = np.arange(3 * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in (1, 2, 3, 5))
    recognizer = Recognizer()
    for sound in (np.zeros(3 * RATE), 0.3 * hum, noise(3 * RATE)):
        soundfile.write(tmp_path / "a.wav", sound, RATE)
        windows, final = (r := recognizer.recognize(tmp_path / "a.wav")).windows, r.final
        assert (final.label, final.probs, final.confidence) == (None, {}, None)
        assert final.end_s == 3.0
        assert windows == ()


def test_noise_after_a_clip_takes_no_part_in_it(tmp_path, example_clips):
    samples, rate = soundfile.read(str(example_clips[0]), dtype="float32")
    faint = 1e-3 * np.random.default_rng(0).normal(size=6 * rate)
    soundfile.write(tmp_path / "a.wav", np.concatenate([samples, faint]), rate)
    recognizer = Recognizer()

    alone = recognizer.recognize(example_clips[0]).final
    followed = recognizer.recognize(tmp_path / "a.wav").final

    assert followed.label == alone.label
    assert followed.confidence == pytest.approx(alone.confidence, abs=0.1)


def test_one_channel_of_a_clip(tmp_path):
    both = np.stack([noise(RATE), np.zeros(RATE)], axis=1)
    soundfile.write(tmp_path / "a.wav", both, RATE, subtype="FLOAT")
    runner = FakeRunner(CARDS["waveform"])
    recognizer = Recognizer(runner)

    recognizer.recognize(tmp_path / "a.wav", channel=0, vad=False)

    np.testing.assert_array_equal(runner.inputs[0][0], noise(RATE))
    with pytest.raises(AudioError, match=r"\bsilent\b"):
        recognizer.recognize(tmp_path / "a.wav", channel=1, vad=False)


def test_one_recognizer_serves_many_clips(example_clips, tiny_model):
    """Nothing of one clip is left over for the next."""
    shared = Recognizer(tiny_model)
    for clip in example_clips:
        alone = Recognizer(tiny_model).recognize(clip)
        assert shared.recognize(clip).final.probs == alone.final.probs


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match=r"/missing\.onnx\b"):
        Recognizer(tmp_path / "missing.onnx")


# --- softmax -----------------------------------------------------------------------------


def test_softmax_of_large_logits_is_finite_and_sums_to_one():
    probs = softmax(np.array([1e4, 1e4 - np.log(3), -1e4], np.float32))
    assert probs.tolist() == pytest.approx([0.75, 0.25, 0.0], abs=1e-3)
    assert probs.sum() == pytest.approx(1.0, abs=1e-15)


# --- the bundled model on real speech -------------------------------------------------------


def test_the_bundled_model_on_the_example_clips(example_clips):
    recognizer = Recognizer()
    for clip in example_clips:
        recognition = recognizer.recognize(str(clip))
        for prediction in (*recognition.windows, recognition.final):
            assert tuple(prediction.probs) == recognizer.card.labels
            assert sum(prediction.probs.values()) == pytest.approx(1.0, abs=1e-9)
            assert prediction.label in recognizer.card.labels
            assert prediction.confidence == max(prediction.probs.values())
        assert recognition.final.end_s <= soundfile.info(str(clip)).duration + 1e-9


def test_the_bundled_model_is_deterministic(example_clips):
    first, second = (Recognizer().recognize(example_clips[0]) for _ in range(2))
    timeless = [dataclasses.replace(w, compute_ms=0.0) for w in first.windows]
    assert timeless == [dataclasses.replace(w, compute_ms=0.0) for w in second.windows]


def test_live_windows_of_the_bundled_model_follow_each_other(example_clips):
    samples, rate = soundfile.read(str(example_clips[0]), dtype="float32")
    recognizer = Recognizer(window_s=1.0, hop_s=0.5)
    windows = list(recognizer.stream(in_chunks(samples, [320] * 200, rate)))
    assert len(windows) >= 3
    assert {b.start_s - a.start_s for a, b in pairwise(windows)} == {0.5}


def test_soft_speech_is_no_silence(example_clips):
    """RAVDESS has sentences at -64 dB of full scale."""
    samples = load(example_clips[0], 16_000)
    soft = samples * 10 ** ((-64 - dbfs(samples)) / 20)

    (window,) = Recognizer().stream([AudioChunk(soft.astype(np.float32), 16_000)])

    assert window.level_dbfs == pytest.approx(-64, abs=0.1)
    assert window.label is not None
