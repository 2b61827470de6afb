"""Raw PCM from a pipe."""

from __future__ import annotations

import io
import select
import time
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from edge_ser.audio.io import AudioChunk, Float32, check_finite, check_rate, to_mono
from edge_ser.audio.sources.base import Idle, SourceItem
from edge_ser.audio.sources.queue import TICK_S
from edge_ser.errors import AudioError, ConfigError

_ENCODINGS = {
    "s16le": ("<i2", 32_768.0),
    "s32le": ("<i4", 2_147_483_648.0),
    "f32le": ("<f4", 1.0),
}
PCM_ENCODINGS = tuple(_ENCODINGS)
"""Sample formats of raw PCM, named as in ffmpeg's `-f`."""

MAX_CHANNELS = 64


class PcmSource:
    """Interleaved raw PCM on a pipe as a `Source`: what has come is heard without waiting for more.

    Nothing is dropped: a program that writes faster than recognition reads has to wait. So a whole
    recording may be piped in, and `captured_s` is when it was read.

    Args:
        stream: a binary stream that nobody has read from, e.g. `sys.stdin.buffer`. `Idle`s need one
            with a file descriptor. It is not closed.
        sample_rate: Hz.
        n_channels: interleaved channels.
        encoding: one of PCM_ENCODINGS.
        channel: the channel to take, None for the mean of all.
        block_s: at most so many seconds are read at once.
        name: what to call it.

    Raises:
        ConfigError: an encoding or channel count that is not known.
        AudioError: an impossible rate.
    """

    def __init__(
        self,
        stream: BinaryIO,
        sample_rate: int,
        n_channels: int = 1,
        encoding: str = "s16le",
        channel: int | None = None,
        *,
        block_s: float = 0.05,
        name: str = "stdin",
    ) -> None:
        if encoding not in _ENCODINGS:
            raise ConfigError(
                f"encoding {encoding!r} came, one of {', '.join(PCM_ENCODINGS)} was wanted"
            )
        if not 1 <= n_channels <= MAX_CHANNELS:
            raise ConfigError(f"{n_channels} channels came, 1 to {MAX_CHANNELS} were wanted")
        check_rate(sample_rate)
        self.name = name
        self.live = True
        self.ends = True
        self._stream = stream
        self._rate = sample_rate
        self._channel = channel
        self._frames = Frames(*_ENCODINGS[encoding], n_channels)
        self._block_bytes = max(1, int(block_s * sample_rate)) * self._frames.n_bytes
        self._closed = False

    @property
    def remark(self) -> str | None:
        """What a user should know after the end; None if all is well."""
        if not self._frames.n_torn_bytes:
            return None
        return (
            f"{self.name} ended within a sample: {self._frames.n_torn_bytes} byte(s) of "
            f"{self._frames.n_bytes} were left over and not heard; check --encoding and --channels"
        )

    def __enter__(self) -> PcmSource:
        """Return itself: the stream is open already."""
        return self

    def __exit__(self, *exc: object) -> None:
        """End the iteration."""
        self._closed = True

    def __iter__(self) -> Iterator[SourceItem]:
        """Yield mono chunks until the stream ends; see `remark` then.

        Raises:
            AudioError: nothing was on the stream, or samples that are not finite.
        """
        poll = _poll(self._stream)
        read = getattr(self._stream, "read1", self._stream.read)
        n_samples = 0
        while not self._closed:
            if poll is not None and not poll.poll(TICK_S * 1000):
                yield Idle()
                continue
            data = read(self._block_bytes)
            if not data:
                break
            frames = self._frames.push(data)
            if len(frames):
                check_finite(frames, self.name)
                n_samples += len(frames)
                samples = to_mono(frames, self._channel, self.name)
                yield AudioChunk(samples, self._rate, time.monotonic())
        if n_samples == 0 and not self._closed:
            raise AudioError(
                f"no audio came on {self.name}; pipe raw PCM into it, e.g. ffmpeg -i speech.mp3 "
                "-f s16le -ac 1 -ar 16000 - | edge-ser run --stdin --rate 16000"
            )


class Frames:
    """Cut a stream of bytes into whole frames, a frame being a sample of every channel."""

    def __init__(self, dtype: str, full_scale: float, n_channels: int) -> None:
        self.n_bytes = np.dtype(dtype).itemsize * n_channels
        """Bytes of a frame."""
        self._dtype = dtype
        self._full_scale = np.float32(full_scale)
        self._n_channels = n_channels
        self._rest = b""

    @property
    def n_torn_bytes(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._rest)

    def push(self, data: bytes) -> Float32:
        """Take bytes and return the frames that are whole: [n_frames, n_channels] in [-1, 1]."""
        data = self._rest + data
        whole = len(data) // self.n_bytes * self.n_bytes
        data, self._rest = data[:whole], data[whole:]
        frames: Float32 = np.frombuffer(data, self._dtype).astype(np.float32)
        with np.errstate(invalid="ignore"):  # a NaN is found, and named, by `check_finite`
            frames /= self._full_scale
        return frames.reshape(-1, self._n_channels)


def _poll(stream: BinaryIO) -> select.poll | None:
    """Return what tells whether bytes are there, None for a stream that the system does not know."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return None
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return poll
