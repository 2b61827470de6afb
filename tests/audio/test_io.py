"""Audio files of every kind, good and broken; resampling; levels."""

from __future__ import annotations

import io
import os
import re
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_ser.audio import io as audio
from edge_ser.errors import AudioError

RATES = (8_000, 16_000, 22_050, 44_100, 48_000)


def tone(sample_rate: int, seconds: float = 0.5, amplitude: float = 0.5) -> np.ndarray:
    """Return 440 Hz, float32 [n_samples]."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


def wav_bytes(samples: np.ndarray, riff_size: int | None = None, data_size: int | None = None):
    """Return a 16-bit WAV at 16 kHz, with these sizes in its header where given."""
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="WAV", subtype="PCM_16")
    content = bytearray(file.getvalue())
    if riff_size is not None:
        content[4:8] = struct.pack("<I", riff_size)
    if data_size is not None:
        at = content.index(b"data") + 4
        content[at : at + 4] = struct.pack("<I", data_size)
    return bytes(content)


def decode(path: Path, **options: object) -> np.ndarray:
    """Return all samples of a file, at its own rate."""
    return np.concatenate([c.samples for c in audio.file_chunks(path, **options)])


# --- formats, widths, rates ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_U8", 1 / 128),
        ("a.wav", "PCM_16", 1 / 32_768),
        ("a.wav", "PCM_24", 1e-6),
        ("a.wav", "PCM_32", 1e-6),
        ("a.wav", "FLOAT", 0),
        ("a.wav", "DOUBLE", 0),
        ("a.WAV", "PCM_16", 1 / 32_768),
        ("a.flac", "PCM_24", 1e-6),
        ("a.aiff", "PCM_16", 1 / 32_768),
        ("a.au", "PCM_16", 1 / 32_768),
        ("a.w64", "PCM_16", 1 / 32_768),
        ("a.caf", "PCM_16", 1 / 32_768),
    ],
)
def test_every_width_decodes_to_the_same_samples(tmp_path, name, subtype, tolerance):
    soundfile.write(tmp_path / name, tone(16_000), 16_000, subtype=subtype)

    samples = decode(tmp_path / name)

    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, tone(16_000), rtol=0, atol=tolerance)


@pytest.mark.parametrize(("name", "subtype"), [("a.ogg", "VORBIS"), ("a.mp3", None)])
def test_lossy_formats_keep_the_tone(tmp_path, name, subtype):
    soundfile.write(tmp_path / name, tone(16_000), 16_000, subtype=subtype)

    samples = audio.load(tmp_path / name, 16_000)

    spectrum = np.abs(np.fft.rfft(samples[2_000:6_000] * np.hanning(4_000)))
    assert np.argmax(spectrum) == 440 * 4_000 / 16_000
    assert audio.dbfs(samples[2_000:6_000]) == pytest.approx(audio.dbfs(tone(16_000)), abs=0.3)


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 22_050, 32_000, 44_100, 96_000, 192_000])
def test_any_rate_is_resampled_to_the_same_tone(tmp_path, sample_rate):
    """Not only the pitch and the level: no sample is shifted by the resampler's delay."""
    soundfile.write(tmp_path / "a.wav", tone(sample_rate), sample_rate, subtype="PCM_24")

    samples = audio.load(tmp_path / "a.wav", 16_000)

    assert samples.dtype == np.float32
    assert abs(len(samples) - 8_000) <= 1
    inner = slice(800, 7_200)
    np.testing.assert_allclose(samples[inner], tone(16_000)[inner], rtol=0, atol=1e-4)


def test_resampling_does_not_fold_high_tones_back(tmp_path):
    t = np.arange(48_000) / 48_000
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 12_000 * t), 48_000)
    assert audio.dbfs(audio.load(tmp_path / "a.wav", 16_000)[1_000:-1_000]) < -80


@pytest.mark.parametrize("n_samples", [1, 2, 100])
def test_a_few_samples_can_be_loaded(tmp_path, n_samples):
    soundfile.write(tmp_path / "a.wav", tone(48_000)[:n_samples], 48_000)
    assert abs(len(audio.load(tmp_path / "a.wav", 16_000)) - n_samples / 3) <= 1


@pytest.mark.parametrize("block_s", [1e-9, 0.013, 0.25, 10])
def test_chunks_add_up_to_the_file(tmp_path, block_s):
    soundfile.write(tmp_path / "a.wav", tone(8_000)[:500], 8_000, subtype="FLOAT")

    chunks = list(audio.file_chunks(tmp_path / "a.wav", block_s=block_s))

    assert {chunk.sample_rate for chunk in chunks} == {8_000}
    assert len(chunks[0].samples) == min(500, max(1, int(block_s * 8_000)))
    np.testing.assert_array_equal(np.concatenate([c.samples for c in chunks]), tone(8_000)[:500])


def test_the_example_clips_load(example_clips):
    for clip in example_clips:
        samples = audio.load(clip, 16_000)
        assert 16_000 < len(samples) < 64_000
        assert -60 < audio.dbfs(samples) < 0


# --- channels ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_the_mean_of_all_channels_or_one_of_them(tmp_path, n_channels):
    gains = np.arange(1, n_channels + 1) / n_channels
    soundfile.write(tmp_path / "a.wav", tone(16_000)[:, None] * gains, 16_000, subtype="FLOAT")

    mean = decode(tmp_path / "a.wav")
    last = decode(tmp_path / "a.wav", channel=n_channels - 1)

    assert mean.ndim == last.ndim == 1
    np.testing.assert_allclose(mean, tone(16_000) * gains.mean(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(last, tone(16_000), rtol=0, atol=1e-6)
    assert last.flags.c_contiguous


@pytest.mark.parametrize("channel", [-1, 2])
def test_a_channel_that_is_not_there(tmp_path, channel):
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 2)), 16_000)
    with pytest.raises(AudioError) as raised:
        audio.load(tmp_path / "a.wav", 16_000, channel=channel)
    assert "a.wav has 2 channel(s)" in str(raised.value)
    assert f"channel {channel};" in str(raised.value)
    assert "0 to 1" in str(raised.value)


# --- broken files ------------------------------------------------------------------------


def refusal(path: Path) -> str:
    """Return the message with which a file is refused."""
    with pytest.raises(AudioError) as raised:
        decode(path)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_missing_file(tmp_path):
    assert str(tmp_path / "missing.wav") in refusal(tmp_path / "missing.wav")


@pytest.mark.parametrize(
    "content", [b"", b"R", b"RIFF", b"RIFF\0\0\0\0WAVE", b"hello, world\n" * 99]
)
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a"])
def test_something_other_than_audio(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name)
    assert str(tmp_path / name) in message
    assert "ffmpeg" in message


@pytest.mark.parametrize("name", ["voice", "voice.bin", "voice.flac", "voice.raw"])
def test_an_ending_does_not_matter_for_a_file_that_is_named(tmp_path, name):
    """By itself, soundfile takes .raw for samples without a header and wants to know their rate."""
    (tmp_path / name).write_bytes(wav_bytes(tone(16_000)))
    assert len(decode(tmp_path / name)) == 8_000


def test_samples_without_a_header(tmp_path):
    (tmp_path / "a.raw").write_bytes((tone(16_000) * 32_767).astype("<i2").tobytes())
    assert "ffmpeg" in refusal(tmp_path / "a.raw")


def test_a_name_that_is_not_utf8(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    path.write_bytes(wav_bytes(tone(16_000)))
    assert len(decode(path)) == 8_000


@pytest.mark.parametrize("name", ["a.wav", "a.ogg", "a.aiff"])
def test_no_samples(tmp_path, name):
    soundfile.write(tmp_path / name, np.zeros(0), 16_000)
    assert f"{name} contains no" in refusal(tmp_path / name)


def test_a_wav_cut_in_the_middle(tmp_path):
    content = wav_bytes(tone(16_000, 1.0))
    (tmp_path / "a.wav").write_bytes(content[: len(content) - 16_000])
    message = refusal(tmp_path / "a.wav")
    assert re.findall(r"\d\.\d\d s", message) == ["1.00 s", "0.50 s"]


def test_a_wav_cut_behind_other_chunks(tmp_path):
    """Chunks of odd size are padded: the data chunk is found behind them."""
    content = wav_bytes(tone(16_000, 1.0))
    at = content.index(b"data")
    notes = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    (tmp_path / "complete.wav").write_bytes(content[:at] + notes + content[at:])
    (tmp_path / "cut.wav").write_bytes((content[:at] + notes + content[at:])[:-8_000])
    assert len(decode(tmp_path / "complete.wav")) == 16_000
    assert re.findall(r"\d\.\d\d s", refusal(tmp_path / "cut.wav")) == ["1.00 s", "0.75 s"]


def test_a_flac_cut_in_the_middle(tmp_path):
    soundfile.write(tmp_path / "a.flac", tone(16_000, 3.0), 16_000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    message = refusal(tmp_path / "a.flac")
    assert "truncated" in message or "ffmpeg" in message


def test_an_mp3_whose_header_contradicts_itself(tmp_path):
    """It says that it was padded by more than it holds: libsndfile counts 2**63 samples then.

    Read on, it would be silence for ever.
    """
    path = tmp_path / "a.mp3"
    soundfile.write(path, tone(16_000, 0.05), 16_000, "MPEG_LAYER_III", format="MP3")
    content = bytearray(path.read_bytes())
    content[content.index(b"LAME3.100") + 21] = 0x64
    path.write_bytes(content)
    assert "damaged" in refusal(path)


def test_ten_minutes_of_silence_in_a_small_file(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(16_000 * 600, dtype=np.int16), 16_000)
    assert path.stat().st_size * 100 < 16_000 * 600
    assert len(decode(path)) == 16_000 * 600


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(0xFFFFFFFF, id="ffmpeg"),
        pytest.param(0x7FFFF000, id="sox"),
        pytest.param(0x7FFFFF00, id="arecord, unknown length"),
        pytest.param(0x80000000, id="arecord, largest file"),
    ],
)
def test_a_wav_that_was_written_to_a_pipe(tmp_path, size):
    """The writer could not go back and fill the size in: it stands for "unknown"."""
    content = wav_bytes(tone(16_000), min(0xFFFFFFFF, size + 36), size)
    (tmp_path / "a.wav").write_bytes(content)
    np.testing.assert_allclose(decode(tmp_path / "a.wav"), tone(16_000), rtol=0, atol=1 / 32_768)


@pytest.mark.parametrize("riff_size", [0, 8, 36, 0xFFFFFFFF])
def test_a_wav_whose_recorder_was_killed(tmp_path, riff_size):
    """The size in the header is still 0; 36 is what Python's `wave` leaves."""
    (tmp_path / "a.wav").write_bytes(wav_bytes(tone(16_000), riff_size, 0))
    np.testing.assert_allclose(decode(tmp_path / "a.wav"), tone(16_000), rtol=0, atol=1 / 32_768)


def test_a_wav_of_pythons_wave_module(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((tone(16_000) * 32_767).astype("<i2").tobytes())
    np.testing.assert_allclose(decode(tmp_path / "a.wav"), tone(16_000), rtol=0, atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers(tmp_path, bad):
    samples = tone(16_000)
    samples[[5, 7_000]] = bad
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    assert "2 sample(s)" in refusal(tmp_path / "a.wav")


def test_infinities_that_cancel_between_channels(tmp_path):
    """Their mean is NaN; NumPy would warn of it before the error says what is wrong."""
    samples = np.tile(np.array([[np.inf, -np.inf]], dtype=np.float32), (10, 1))
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    assert "10 sample(s)" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize("sample_rate", [1, 2_000, 3_999, 800_000])
def test_rates_that_cannot_be_speech(tmp_path, sample_rate):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), sample_rate)
    with pytest.raises(AudioError, match=rf"\b4000 to 768000 Hz\b.*\b{sample_rate} Hz"):
        decode(tmp_path / "a.wav")


def test_a_directory_is_not_a_file(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes(tone(16_000)))
    assert "directory" in refusal(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """Simulated: whoever runs the tests as root may read everything."""
    (tmp_path / "a.wav").write_bytes(wav_bytes(tone(16_000)))

    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "Permission denied" in refusal(tmp_path / "a.wav")


# --- finding files -----------------------------------------------------------------------


def test_a_directory_is_searched_in_order(tmp_path):
    for name in ("b/2.wav", "b/1.FLAC", "a/z.mp3", "c.opus", ".hidden.wav", "._c.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()

    found = audio.find_audio(tmp_path)

    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["a/z.mp3", "b/1.FLAC", "b/2.wav", "c.opus"]


def test_a_named_file_is_taken_whatever_its_ending(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert audio.find_audio(tmp_path / "notes.txt") == (tmp_path / "notes.txt",)


def test_a_directory_without_audio(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(AudioError, match=r"\(\.wav, "):
        audio.find_audio(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(AudioError, match=r"\bmissing\b"):
        audio.find_audio(tmp_path / "missing")


# --- resampler and levels ----------------------------------------------------------------


@pytest.mark.parametrize("rate_out", [16_000, 22_050])
@pytest.mark.parametrize("rate_in", RATES)
def test_resampling_in_chunks_is_resampling_at_once(rate_in, rate_out):
    rng = np.random.default_rng(rate_in)
    samples = (0.2 * rng.standard_normal(rate_in)).astype(np.float32)
    cuts = np.sort(rng.integers(0, rate_in, 40)).repeat(2)  # every other piece is empty

    complete = audio.Resampler(rate_in, rate_out).push(samples, last=True)
    stream = audio.Resampler(rate_in, rate_out)
    pieces = [stream.push(piece) for piece in np.split(samples, cuts)]
    pieces.append(stream.push(np.zeros(0, np.float32), last=True))

    streamed = np.concatenate(pieces)
    assert streamed.dtype == np.float32
    assert len(streamed) == len(complete) == rate_out
    np.testing.assert_allclose(streamed, complete, rtol=0, atol=1e-4)


def test_equal_rates_pass_through_untouched():
    samples = tone(16_000)
    assert audio.Resampler(16_000, 16_000).push(samples) is samples


@pytest.mark.parametrize("sample_rate", [0, -16_000, 3_999, 768_001])
def test_the_resampler_refuses_impossible_rates(sample_rate):
    with pytest.raises(AudioError, match=f" {sample_rate} Hz"):
        audio.Resampler(sample_rate, 16_000)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.ones(100), 0.0),
        (np.tile([1.0, -1.0], 50), 0.0),
        (np.full(100, 0.1), -20.0),
        (tone(16_000, amplitude=1.0), -3.01),
        (np.full(100, 1e-7), audio.SILENCE_DBFS),
        (np.zeros(100), audio.SILENCE_DBFS),
        (np.zeros(0), audio.SILENCE_DBFS),
    ],
)
def test_levels_of_known_signals(samples, expected):
    assert audio.dbfs(np.asarray(samples, np.float32)) == pytest.approx(expected, abs=0.01)
