"""Recordings for scenes: found, read in pieces, repeated without a click, refused if unfit."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from edge_ser.errors import AudioError, ConfigError
from edge_ser.training.augmentation.sounds import NoiseRecordings, Sounds, load_responses, seamless

RATE = 16_000


def write(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_piece_is_part_of_a_recording(tmp_path):
    long = rng().normal(0, 0.1, 5 * RATE).astype(np.float32)
    write(tmp_path / "noise" / "long.wav", long)
    noise = NoiseRecordings([tmp_path / "noise"], RATE)

    pieces = [noise.piece(RATE, rng(seed)) for seed in range(5)]

    starts = set()
    for piece in pieces:
        assert piece.dtype == np.float32
        (start,) = np.flatnonzero(long == piece[0])
        np.testing.assert_array_equal(piece, long[start : start + RATE])
        starts.add(int(start))
    assert len(starts) == 5
    np.testing.assert_array_equal(noise.piece(RATE, rng(3)), pieces[3])


@pytest.mark.parametrize("rate", [8_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_other_rates_and_channels_are_brought_to_one(tmp_path, rate, channels):
    t = np.arange(3 * rate) / rate
    tone = np.repeat(0.3 * np.sin(2 * np.pi * 1000 * t)[:, None], channels, 1)
    write(tmp_path / "noise" / "tone.wav", tone, rate)

    piece = NoiseRecordings([tmp_path / "noise"], RATE).piece(RATE, rng())

    assert piece.shape == (RATE,)
    assert np.abs(np.fft.rfft(piece)).argmax() == 1000


def test_a_short_recording_is_repeated_without_a_click(tmp_path):
    t = np.arange(round(0.3037 * RATE)) / RATE
    write(tmp_path / "noise" / "hum.wav", 0.3 * np.sin(2 * np.pi * 50 * t))

    piece = NoiseRecordings([tmp_path / "noise"], RATE).piece(3 * RATE, rng())

    assert len(piece) == 3 * RATE
    assert np.abs(np.diff(piece)).max() < 0.012  # a click would be a step of up to 0.6
    assert np.abs(piece[-RATE:]).max() > 0.2


@pytest.mark.parametrize("n_samples", [1, 2, 3, 100, 5_000])
def test_a_loop_closes(n_samples):
    samples = np.linspace(0, 1, n_samples, dtype=np.float32)

    loop = seamless(samples, RATE)

    assert 0 < len(loop) <= n_samples
    if n_samples >= 100:
        assert abs(loop[0] - loop[-1]) < 0.05  # the ramp itself jumps by 1


def test_the_power_of_noise_stays_even_at_the_seam():
    loop = seamless(rng().normal(0, 0.1, RATE).astype(np.float32), RATE)

    assert np.std(loop[:800]) == pytest.approx(np.std(loop[800:]), rel=0.1)


def test_silent_places_are_drawn_again(tmp_path):
    barks = np.zeros(20 * RATE, np.float32)
    barks[: 10 * RATE] = rng().normal(0, 0.1, 10 * RATE)
    write(tmp_path / "noise" / "barks.wav", barks)
    noise = NoiseRecordings([tmp_path / "noise"], RATE)

    assert all(noise.piece(RATE, rng(seed)).any() for seed in range(20))


def test_silence_only_is_silence(tmp_path):
    write(tmp_path / "noise" / "nothing.wav", np.zeros(RATE))

    assert not NoiseRecordings([tmp_path / "noise"], RATE).piece(2 * RATE, rng()).any()


def test_folders_are_drawn_alike_whatever_they_hold(tmp_path):
    for number in range(9):
        write(tmp_path / "many" / f"{number}.wav", np.full(RATE, 0.1))
    write(tmp_path / "one" / "a.wav", np.full(RATE, -0.1))
    noise = NoiseRecordings([tmp_path / "many", tmp_path / "one"], RATE)

    from_one = sum(noise.piece(100, rng(seed))[0] < 0 for seed in range(200))

    assert 70 < from_one < 130


def test_what_is_found(tmp_path, monkeypatch):
    write(tmp_path / "street" / "a.wav", np.full(RATE, 0.1))
    write(tmp_path / "mics" / "m.wav", np.full(10, 0.1))
    monkeypatch.chdir(tmp_path)

    sounds = Sounds.find(["street"], ["mics"])

    assert sounds.noise == (str(tmp_path / "street"),)
    assert sounds.microphones == (str(tmp_path / "mics"),)
    assert sounds.names == ("street", "mics")
    assert len(sounds.digest) == 64
    assert Sounds.find(["street"], ["mics"]) == sounds
    assert Sounds.find() == Sounds()
    others = [Sounds.find(["street"]), Sounds.find(["mics"], ["street"]), Sounds.find([], ["mics"])]
    assert len({sounds.digest, *(other.digest for other in others)}) == 4


@pytest.mark.parametrize("change", ["content", "new", "gone", "order"])
def test_changed_recordings_have_another_digest(tmp_path, change):
    for name, level in (("a", 0.1), ("b", 0.2)):
        write(tmp_path / "n" / f"{name}.wav", np.full(RATE, level))
    before = Sounds.find([tmp_path / "n"])
    {
        "content": lambda: write(tmp_path / "n" / "a.wav", np.full(RATE + 1, 0.3)),
        "new": lambda: write(tmp_path / "n" / "c.wav", np.full(RATE, 0.3)),
        "gone": (tmp_path / "n" / "a.wav").unlink,
        "order": lambda: (tmp_path / "n" / "a.wav").rename(tmp_path / "n" / "z.wav"),
    }[change]()

    assert Sounds.find([tmp_path / "n"]).digest != before.digest


@pytest.mark.parametrize("make", [lambda _: None, lambda p: p.mkdir(), lambda p: p.touch()])
def test_a_folder_without_recordings_is_named(tmp_path, make):
    make(tmp_path / "noise")

    with pytest.raises(ConfigError, match=r"--noise.*noise"):
        Sounds.find([tmp_path / "noise"])
    with pytest.raises(ConfigError, match="--microphones"):
        Sounds.find(microphones=[tmp_path / "noise"])


@pytest.mark.parametrize("content", [b"", b"no audio at all"])
def test_noise_that_is_no_audio_is_named(tmp_path, content):
    (tmp_path / "bad.wav").write_bytes(content)

    with pytest.raises(AudioError, match=r"bad\.wav"):
        NoiseRecordings([tmp_path], RATE)


def test_noise_without_samples_is_named(tmp_path):
    write(tmp_path / "empty.wav", np.zeros(0))

    with pytest.raises(AudioError, match=r"empty\.wav"):
        NoiseRecordings([tmp_path], RATE)


def test_noise_that_was_cut_short_is_named(tmp_path):
    path = write(tmp_path / "cut.wav", rng().normal(0, 0.1, 3 * RATE))
    noise = NoiseRecordings([tmp_path], RATE)
    path.write_bytes(path.read_bytes()[:RATE])

    with pytest.raises(AudioError, match=r"cut\.wav"):
        noise.piece(round(2.9 * RATE), rng())


def test_noise_with_damaged_numbers_is_named(tmp_path):
    write(tmp_path / "nan.wav", np.full(RATE, np.nan))

    with pytest.raises(AudioError, match=r"nan\.wav"):
        NoiseRecordings([tmp_path], RATE).piece(100, rng())


def test_impulse_responses_are_loaded_at_the_rate(tmp_path):
    click = np.zeros(4_800)
    click[48] = 1
    write(tmp_path / "m.wav", click, 48_000)

    (response,) = load_responses([tmp_path], RATE)

    assert np.abs(response).argmax() == 16


@pytest.mark.parametrize("samples", [np.full(3 * RATE, 0.1), np.zeros(100)], ids=["long", "silent"])
def test_what_is_no_impulse_response_is_named(tmp_path, samples):
    write(tmp_path / "speech.wav", samples)

    with pytest.raises(AudioError, match=r"speech\.wav"):
        load_responses([tmp_path], RATE)
