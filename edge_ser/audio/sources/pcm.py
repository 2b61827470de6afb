"""Raw PCM from a pipe as a source."""

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
    """Interleaved raw PCM from a pipe as a `Source`; available samples are yielded without delay.

    Nothing is dropped: a program that writes faster than recognition reads is blocked. So a complete
    recording may be piped in, and `captured_s` is the time of reading.

    Args:
        stream: an unread binary stream, e.g. `sys.stdin.buffer`; `Idle` items need a file descriptor.
            It is not closed.
        sample_rate: Hz.
        n_channels: number of interleaved channels.
        encoding: one of PCM_ENCODINGS.
        channel: index of the channel; None for the mean of all.
        block_s: largest number of seconds read at once.
        name: name in events and errors.

    Raises:
        ConfigError: unsupported encoding or channel count.
        AudioError: unsupported sample rate.
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
                f"expected one of the encodings {', '.join(PCM_ENCODINGS)}, got {encoding!r}"
            )
        if not 1 <= n_channels <= MAX_CHANNELS:
            raise ConfigError(f"expected 1 to {MAX_CHANNELS} channels, got {n_channels}")
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
        """Warning for the user after the end; None if there is none."""
        if not self._frames.n_torn_bytes:
            return None
        return (
            f"{self.name} ended within a sample: {self._frames.n_torn_bytes} byte(s) of "
            f"{self._frames.n_bytes} were left over and not read; check --encoding and --channels"
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
            AudioError: the stream is empty, or has samples that are not finite.
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
                f"no audio received on {self.name}; pipe raw PCM into it, e.g. ffmpeg -i speech.mp3 "
                "-f s16le -ac 1 -ar 16000 - | edge-ser run --stdin --rate 16000"
            )


class Frames:
    """Split a stream of bytes into complete frames; a frame is one sample of every channel."""

    def __init__(self, dtype: str, full_scale: float, n_channels: int) -> None:
        self.n_bytes = np.dtype(dtype).itemsize * n_channels
        """Bytes per frame."""
        self._dtype = dtype
        self._full_scale = np.float32(full_scale)
        self._n_channels = n_channels
        self._rest = b""

    @property
    def n_torn_bytes(self) -> int:
        """Bytes of the incomplete last frame."""
        return len(self._rest)

    def push(self, data: bytes) -> Float32:
        """Take bytes and return the complete frames, float32 [n_frames, n_channels] in [-1, 1]."""
        data = self._rest + data
        complete = len(data) // self.n_bytes * self.n_bytes
        data, self._rest = data[:complete], data[complete:]
        frames: Float32 = np.frombuffer(data, self._dtype).astype(np.float32)
        with np.errstate(invalid="ignore"):  # `check_finite` reports NaN
            frames /= self._full_scale
        return frames.reshape(-1, self._n_channels)


def _poll(stream: BinaryIO) -> select.poll | None:
    """Return a poll object for a stream; None if it has no file descriptor."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return None
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return poll
