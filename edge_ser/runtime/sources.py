"""Raw PCM from a pipe. Files are read by `audio.file_chunks`, microphones by `runtime.microphone`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from edge_ser.audio import Chunk, check_finite, check_rate, to_mono
from edge_ser.errors import AudioError, ConfigError

_ENCODINGS = {
    "s16le": ("<i2", 32_768.0),
    "s32le": ("<i4", 2_147_483_648.0),
    "f32le": ("<f4", 1.0),
}
PCM_ENCODINGS = tuple(_ENCODINGS)
"""Sample formats of raw PCM, named as in ffmpeg's `-f`."""


def pcm_chunks(
    stream: BinaryIO,
    sample_rate: int,
    n_channels: int = 1,
    encoding: str = "s16le",
    channel: int | None = None,
    block_s: float = 0.05,
) -> Iterator[Chunk]:
    """Read interleaved raw PCM until the stream ends, yielding what has come without waiting long.

    Args:
        stream: a binary stream, e.g. `sys.stdin.buffer`.
        sample_rate: Hz.
        n_channels: interleaved channels.
        encoding: one of PCM_ENCODINGS.
        channel: the channel to take, None for the mean of all.
        block_s: at most so many seconds are read at once.

    Raises:
        ConfigError: an encoding or channel count that is not known.
        AudioError: an impossible rate, nothing on the stream, or samples that are not finite.
    """
    if encoding not in _ENCODINGS:
        raise ConfigError(
            f"encoding {encoding!r} came, one of {', '.join(PCM_ENCODINGS)} was wanted"
        )
    if not 1 <= n_channels <= 64:
        raise ConfigError(f"{n_channels} channels came, 1 to 64 were wanted")
    check_rate(sample_rate)
    dtype, scale = _ENCODINGS[encoding]
    frame_bytes = np.dtype(dtype).itemsize * n_channels
    block_bytes = max(1, int(block_s * sample_rate)) * frame_bytes
    read = getattr(stream, "read1", stream.read)
    rest = b""
    n_frames = 0
    while data := read(block_bytes):
        data = rest + data
        whole = len(data) // frame_bytes * frame_bytes
        data, rest = data[:whole], data[whole:]
        if not data:
            continue
        frames = np.frombuffer(data, dtype).astype(np.float32).reshape(-1, n_channels)
        check_finite(frames, "stdin")
        samples = to_mono(frames / np.float32(scale), channel, "stdin")
        n_frames += len(samples)
        yield Chunk(samples, sample_rate)
    if n_frames == 0:
        raise AudioError(
            "no audio came on stdin; pipe raw PCM into it, e.g. "
            "ffmpeg -i speech.mp3 -f s16le -ac 1 -ar 16000 - | edge-ser run --stdin --rate 16000"
        )
