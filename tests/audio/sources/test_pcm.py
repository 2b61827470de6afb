"""Raw PCM from a pipe."""

from __future__ import annotations

import io
import os
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources import PCM_ENCODINGS, PcmSource
from edge_ser.audio.sources.base import Idle
from edge_ser.errors import AudioError, ConfigError

FULL = {"s16le": ("<i2", 2**15), "s32le": ("<i4", 2**31)}


class Pipe(io.BytesIO):
    """A stream that hands over as little as a pipe may: pieces of these sizes, then the rest."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        super().__init__(content)
        self._sizes = list(sizes)

    def read1(self, n: int) -> bytes:
        return super().read1(min(n, self._sizes.pop(0) if self._sizes else n))


def encode(samples: np.ndarray, encoding: str) -> bytes:
    if encoding == "f32le":
        return samples.astype("<f4").tobytes()
    dtype, full = FULL[encoding]
    return np.round(samples * full).clip(-full, full - 1).astype(dtype).tobytes()


def chunks_of(stream, *args, **options) -> list[AudioChunk]:
    with PcmSource(stream, *args, **options) as source:
        return list(source)


def decode(stream, *args, **options) -> np.ndarray:
    return np.concatenate([c.samples for c in chunks_of(stream, 16_000, *args, **options)])


def ramp(n: int) -> np.ndarray:
    return np.linspace(-1, 0.9, n, dtype=np.float32)


@pytest.mark.parametrize("encoding", PCM_ENCODINGS)
def test_every_encoding(encoding):
    samples = decode(io.BytesIO(encode(ramp(5_000), encoding)), 1, encoding)

    assert samples.dtype == np.float32
    assert samples[0] == -1.0
    np.testing.assert_allclose(samples, ramp(5_000), rtol=0, atol=1 / 2**15)


def test_pieces_carry_the_rate_and_are_not_longer_than_asked():
    stream = io.BytesIO(encode(ramp(5_000), "s16le"))
    chunks = chunks_of(stream, 8_000, block_s=0.1)
    assert {chunk.sample_rate for chunk in chunks} == {8_000}
    assert [len(chunk.samples) for chunk in chunks] == [800] * 6 + [200]


def test_what_has_come_is_not_held_back():
    chunks = chunks_of(Pipe(encode(ramp(100), "s16le"), [20, 60]), 16_000, block_s=1.0)
    assert [len(chunk.samples) for chunk in chunks] == [10, 30, 60]


@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_channels(n_channels):
    gains = np.arange(1, n_channels + 1, dtype=np.float32) / n_channels
    content = encode(ramp(500)[:, None] * gains, "f32le")

    mean = decode(io.BytesIO(content), n_channels, "f32le")
    last = decode(io.BytesIO(content), n_channels, "f32le", channel=n_channels - 1)

    np.testing.assert_allclose(mean, ramp(500) * gains.mean(), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(last, ramp(500))


def test_a_channel_that_is_not_there():
    with pytest.raises(AudioError, match=r"^stdin has 2 channel.*\bchannel 2\b"):
        decode(io.BytesIO(bytes(400)), 2, channel=2)


@settings(deadline=None)
@given(
    n_channels=st.integers(1, 3),
    encoding=st.sampled_from(PCM_ENCODINGS),
    sizes=st.lists(st.integers(1, 30), max_size=20),
    stray=st.integers(0, 1),
)
def test_frames_split_between_reads_are_joined(n_channels, encoding, sizes, stray):
    """A pipe breaks off anywhere, even within a sample; a torn last frame is dropped."""
    frames = ramp(60 * n_channels).reshape(-1, n_channels)
    content = encode(frames, encoding)

    samples = decode(Pipe(content + b"\1" * stray, sizes), n_channels, encoding)

    np.testing.assert_array_equal(samples, decode(io.BytesIO(content), n_channels, encoding))
    assert len(samples) == 60


def test_a_stream_without_read1(tmp_path):
    (tmp_path / "a.pcm").write_bytes(encode(ramp(3_000), "s16le"))
    with (tmp_path / "a.pcm").open("rb", buffering=0) as file:
        assert len(decode(file)) == 3_000


@pytest.mark.parametrize("content", [b"", b"\0"])
def test_nothing_came(content):
    with pytest.raises(AudioError, match=r"\bstdin\b.*--rate 16000\b"):
        chunks_of(io.BytesIO(content), 16_000)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers(bad):
    samples = ramp(100)
    samples[3] = bad
    with pytest.raises(AudioError, match=r"^stdin: .*\b1 sample.*\bNaN\b"):
        decode(io.BytesIO(encode(samples, "f32le")), 1, "f32le")


def test_infinities_that_cancel_between_channels():
    samples = np.array([[np.inf, -np.inf]], dtype=np.float32)
    with pytest.raises(AudioError, match=r"^stdin: .*\b1 sample.*\bNaN\b"):
        decode(io.BytesIO(encode(samples, "f32le")), 2, "f32le")


@pytest.mark.parametrize("encoding", ["s24le", "S16LE", ""])
def test_an_unknown_encoding(encoding):
    with pytest.raises(ConfigError) as raised:
        decode(io.BytesIO(bytes(100)), 1, encoding)
    assert f"got {encoding!r}" in str(raised.value)
    assert "s16le, s32le, f32le" in str(raised.value)


@pytest.mark.parametrize("n_channels", [0, -1, 65])
def test_impossible_channel_counts(n_channels):
    with pytest.raises(ConfigError, match=f"1 to 64 channels, got {n_channels}$"):
        decode(io.BytesIO(bytes(100)), n_channels)


def test_an_impossible_rate():
    with pytest.raises(AudioError, match=r"\b4000\b.*\b100 Hz\b"):
        chunks_of(io.BytesIO(bytes(100)), 100)


def test_a_source_that_ends_within_a_sample_says_so():
    """1,000 stereo frames of 16 bits and 3 bytes of one more, as a crash of the writer leaves them."""
    source = PcmSource(io.BytesIO(encode(ramp(2_000), "s16le") + bytes(3)), 16_000, 2)
    assert source.remark is None
    assert sum(len(chunk.samples) for chunk in source) == 1_000
    assert source.remark.startswith("stdin ")
    assert re.findall(r"\b\d+\b", source.remark)[:2] == ["3", "4"]
    assert all(option in source.remark for option in ("--encoding", "--channels"))


def test_a_pipe_on_which_nothing_comes_ticks_without_work():
    """On a real pipe: idle items go on, and later bytes are read, to the last one."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, PcmSource(stream, 16_000, name="pipe") as source:
        items = iter(source)
        os.write(writing, encode(ramp(800), "s16le"))
        before = time.monotonic()
        first = next(items)
        worked_s = time.process_time()
        ticks = [next(items), next(items)]
        worked_s = time.process_time() - worked_s
        os.write(writing, encode(ramp(500), "s16le"))
        os.close(writing)
        rest = list(items)

    assert isinstance(first, AudioChunk)
    assert before <= first.captured_s <= time.monotonic()
    assert ticks == [Idle(), Idle()]
    assert worked_s < 0.1, "two seconds of waiting are no work"
    assert sum(len(chunk.samples) for chunk in (first, *rest)) == 1_300


def test_a_closed_source_ends():
    stream = io.BytesIO(encode(ramp(5_000), "s16le"))
    with PcmSource(stream, 16_000) as source:
        items = iter(source)
        next(items)
    assert list(items) == []


def test_what_it_is():
    source = PcmSource(io.BytesIO(), 16_000)
    assert (source.name, source.live) == ("stdin", True)


def test_a_nan_that_signals_is_refused_like_any_other():
    """Dividing it warns, and a warning is no message to a user."""
    stream = io.BytesIO(b"\x01\x00\xa0\x7f" * 800)
    with (
        pytest.raises(AudioError, match=r"\b800 sample.*\bNaN\b"),
        PcmSource(stream, 16_000, encoding="f32le") as source,
    ):
        list(source)
