"""Audio input: decode files, mix to mono, resample, check. Every chunk carries its sample rate."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from edge_ser._util.suffixes import AUDIO_SUFFIXES
from edge_ser.errors import AudioError

_UNKNOWN_FROM = 0x7FFFF000
"""Declared sizes from here on are placeholders: a writer to a pipe cannot fill in the size. sox writes
this value, arecord and ffmpeg larger ones."""


@dataclass(frozen=True)
class DataChunk:
    """The samples of a WAV file."""

    start: int
    """Offset of the first sample, in bytes."""
    declared: int
    """Size of the samples according to the header, in bytes."""
    held: int
    """Bytes from `start` to the end of the file."""
    byte_rate: int
    """Bytes per second according to the header."""

    @property
    def is_truncated(self) -> bool:
        """Whether the header declares more than the file holds."""
        return self.held < self.declared < _UNKNOWN_FROM and self.byte_rate > 0

    @property
    def is_unfinished(self) -> bool:
        """Whether the header declares no samples although the file holds some."""
        return self.declared == 0 and self.held > 0


def find_data(file: BinaryIO) -> DataChunk | None:
    """Return the data chunk of a WAV file, or None if the file is not a WAV file.

    Args:
        file: open for reading, at its start; the position is changed.
    """
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    byte_rate = 0
    while len(header := file.read(8)) == 8:
        name, size = header[:4], struct.unpack("<I", header[4:])[0]
        if name == b"data":
            start = file.tell()
            return DataChunk(start, size, file.seek(0, io.SEEK_END) - start, byte_rate)
        body = file.read(min(size, 64))
        file.seek(size + size % 2 - len(body), io.SEEK_CUR)
        if name == b"fmt " and len(body) >= 12:
            byte_rate = struct.unpack("<I", body[8:12])[0]
    return None


class FinishedWav(io.FileIO):
    """An unfinished WAV file that reads as if its header had been filled in."""

    def __init__(self, path: Path, data: DataChunk) -> None:
        super().__init__(str(path), "rb")
        size = min(data.held, 0xFFFFFFFF)
        riff = min(data.start + data.held - 8, 0xFFFFFFFF)
        self._patches = ((4, struct.pack("<I", riff)), (data.start - 4, struct.pack("<I", size)))

    def readinto(self, buffer: Any) -> int:
        """Read as `io.FileIO`, with both sizes replaced."""
        begin = self.tell()
        n = super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        for position, patch in self._patches:
            for offset, value in enumerate(patch, position - begin):
                if 0 <= offset < n:
                    view[offset] = value
        return n


Float32 = NDArray[np.float32]

MIN_RATE, MAX_RATE = 4_000, 768_000
"""Sample rates, in Hz, supported for speech and by the resampler."""

FULL_SCALE = 0.999
"""Magnitude from which a sample counts as clipped; the maximum of 16-bit audio is 0.99997."""

MOST_PER_BYTE = 10_000
"""Largest plausible number of samples per channel and byte: FLAC stores thousands of silent samples in
one byte."""

SILENCE_DBFS = -120.0
"""Level reported for digital silence."""


@dataclass(frozen=True)
class AudioChunk:
    """A piece of a mono stream: float32 [n_samples] in [-1, 1] at `sample_rate` Hz."""

    samples: Float32
    sample_rate: int
    captured_s: float | None = None
    """`time.monotonic()` at which the last sample was captured; None for audio that is not live."""


def dbfs(samples: Float32) -> float:
    """Return the RMS level in dB relative to full scale (a full-scale square wave is 0)."""
    if len(samples) == 0:
        return SILENCE_DBFS
    power = float(np.dot(samples, samples)) / len(samples)
    return max(SILENCE_DBFS, 10.0 * float(np.log10(power))) if power > 0 else SILENCE_DBFS


def to_mono(samples: Float32, channel: int | None, source: str) -> Float32:
    """Reduce [n_samples, n_channels] to [n_samples]: one channel, or the mean of all.

    Raises:
        AudioError: the channel does not exist.
    """
    n_channels = samples.shape[1]
    if channel is None:
        return samples[:, 0] if n_channels == 1 else samples.mean(axis=1, dtype=np.float32)
    if not 0 <= channel < n_channels:
        raise AudioError(
            f"{source} has {n_channels} channel(s), got channel {channel}; "
            f"choose 0 to {n_channels - 1}"
        )
    return np.ascontiguousarray(samples[:, channel])


LOUDEST = 1e9
"""Magnitude beyond which a sample counts as damaged."""


def is_usable(samples: Float32) -> bool:
    """Return whether all samples are finite and no larger than LOUDEST in magnitude."""
    # A small sum of squares rules out NaN and large values, and is cheap.
    if np.vdot(samples, samples) <= LOUDEST:
        return True
    with np.errstate(invalid="ignore"):  # signalling NaNs would warn
        return bool((np.abs(samples) <= LOUDEST).all())


def check_finite(samples: Float32, source: str) -> None:
    """Reject NaN, infinity and implausible values, which would corrupt later windows.

    Args:
        samples: [n_samples] or [n_samples, n_channels].
        source: name of the audio in the error.

    Raises:
        AudioError: a sample is not finite, or exceeds LOUDEST.
    """
    if not is_usable(samples):
        good = (np.abs(samples) <= LOUDEST).reshape(len(samples), -1).all(axis=1)
        bad = len(samples) - int(np.count_nonzero(good))
        raise AudioError(
            f"{source}: expected samples in [-1, 1], got {bad} sample(s) that are NaN, infinite or "
            f"beyond {LOUDEST:g}; repair the recording or the program that wrote it"
        )


class Resampler:
    """Resample a stream, chunk by chunk, with soxr's HQ filter; equal rates pass through."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        check_rate(rate_in)
        self._stream = (
            None
            if rate_in == rate_out
            else soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality="HQ")
        )

    def push(self, samples: Float32, last: bool = False) -> Float32:
        """Take samples at the input rate and return those that are ready at the output rate."""
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(samples, last=last), dtype=np.float32)


def check_rate(sample_rate: int) -> None:
    """Reject sample rates that are not supported.

    Raises:
        AudioError: outside MIN_RATE to MAX_RATE.
    """
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise AudioError(
            f"expected a sample rate of {MIN_RATE} to {MAX_RATE} Hz, got {sample_rate} Hz; "
            "record the speech at 16000 Hz or more"
        )


def find_audio(path: Path) -> tuple[Path, ...]:
    """Return `path` itself if it is a file, or the audio files below a directory, sorted.

    Raises:
        AudioError: the path does not exist, or is a directory without audio.
    """
    if path.is_dir():
        found = sorted(
            p
            for p in path.rglob("*")
            if p.suffix.lower() in AUDIO_SUFFIXES
            and not any(part.startswith(".") for part in p.relative_to(path).parts)
            and p.is_file()
        )
        if not found:
            raise AudioError(
                f"{path} contains no audio ({', '.join(AUDIO_SUFFIXES)}); name another path"
            )
        return tuple(found)
    if not path.exists():
        raise AudioError(f"there is no file {path}; check the spelling and the current directory")
    return (path,)


def file_chunks(
    path: Path, channel: int | None = None, block_s: float = 1.0
) -> Iterator[AudioChunk]:
    """Decode a file in chunks of about `block_s` seconds, in constant memory.

    Args:
        path: any format that libsndfile reads (WAV, FLAC, OGG, MP3, AIFF, ...), any rate and width.
        channel: index of the channel; None for the mean of all.
        block_s: seconds per chunk.

    Raises:
        AudioError: missing, unreadable, empty or truncated, or with samples that are not finite.
    """
    find_audio(path)
    try:
        with _open(path) as file:
            check_rate(file.samplerate)
            if file.frames == 0:
                raise AudioError(f"{path} contains no samples; record it again")
            size = path.stat().st_size
            if file.frames > MOST_PER_BYTE * size:
                raise AudioError(
                    f"{path} is damaged: its header declares {file.frames / file.samplerate:.3g} s in "
                    f"{size} bytes; copy or record it again"
                )
            n_read = 0
            for block in file.blocks(
                blocksize=max(1, int(block_s * file.samplerate)), dtype="float32", always_2d=True
            ):
                n_read += len(block)
                check_finite(block, str(path))
                yield AudioChunk(to_mono(block, channel, str(path)), file.samplerate)
            if n_read < file.frames:
                raise _truncated(path, file.frames / file.samplerate, n_read / file.samplerate)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path} cannot be read as audio ({error.error_string.rstrip('.')}); expected WAV, "
            "FLAC, OGG, MP3 or another format of libsndfile; convert it, e.g. with ffmpeg"
        ) from None
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror or error}") from None


def load(path: Path, sample_rate: int, channel: int | None = None) -> Float32:
    """Return a complete file as float32 [n_samples] at `sample_rate` Hz; errors as `file_chunks`."""
    pieces: list[Float32] = []
    resampler: Resampler | None = None
    for chunk in file_chunks(path, channel):
        resampler = resampler or Resampler(chunk.sample_rate, sample_rate)
        pieces.append(resampler.push(chunk.samples))
    if resampler is not None:
        pieces.append(resampler.push(np.empty(0, dtype=np.float32), last=True))
    return np.concatenate(pieces)


@contextmanager
def _open(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a file by its descriptor: given a name, soundfile would trust the suffix.

    Raises:
        AudioError: a WAV file whose header declares more than it holds.
    """
    with path.open("rb", buffering=0) as raw:
        data = find_data(raw)
        raw.seek(0)
        if data is not None and data.is_truncated:
            raise _truncated(path, data.declared / data.byte_rate, data.held / data.byte_rate)
        if data is not None and data.is_unfinished:
            with FinishedWav(path, data) as finished, soundfile.SoundFile(finished) as file:
                yield file
        else:
            with soundfile.SoundFile(raw.fileno(), closefd=False) as file:
                yield file


def _truncated(path: Path, declared_s: float, held_s: float) -> AudioError:
    return AudioError(
        f"{path} is truncated: its header declares {declared_s:.2f} s, it holds {held_s:.2f} s; "
        "copy or record it again"
    )
