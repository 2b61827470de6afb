"""One segment of a recording: a WAV file that can be read while it is unfinished, and its events."""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path

_UNKNOWN_SIZE = 0xFFFFFFFF
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
BLOCK_BYTES = 4096
"""Files take whole blocks of a disk."""


class Segment:
    """A WAV file and the events beside it, being written.

    Args:
        stem: where, without the suffix.
        number: its place in the order of all.
        sample_rate: Hz.
        at_s: stream time of the first sample, in seconds.

    Raises:
        OSError: it cannot be made; nothing is left then.
    """

    def __init__(self, stem: Path, number: int, sample_rate: int, at_s: float = 0.0) -> None:
        self.number, self.sample_rate, self.at_s = number, sample_rate, at_s
        self.n_audio_bytes = self._n_event_bytes = 0
        self._paths = (stem.with_suffix(".wav"), stem.with_suffix(".jsonl"))
        self._files: list[int] = []
        try:
            for path in self._paths:
                self._files.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            _write(self._files[0], _header(sample_rate))
        except OSError:
            self._close()
            self._remove()
            raise

    @property
    def name(self) -> str:
        """Name of the WAV file."""
        return self._paths[0].name

    @property
    def end_s(self) -> float:
        """Stream time of the end of what is written, in seconds."""
        return self.at_s + self.n_audio_bytes / 2 / self.sample_rate

    @property
    def n_bytes(self) -> int:
        """Bytes on the disk, in whole blocks."""
        return blocks(_HEADER.size + self.n_audio_bytes) + blocks(self._n_event_bytes)

    def write_audio(self, pcm: bytes) -> None:
        """Append samples.

        Raises:
            OSError: the disk does not take them.
        """
        _write(self._files[0], pcm)
        self.n_audio_bytes += len(pcm)

    def write_event(self, line: bytes) -> None:
        """Append an event, a whole line.

        Raises:
            OSError: the disk does not take it.
        """
        _write(self._files[1], line)
        self._n_event_bytes += len(line)

    def finish(self) -> bool:
        """Fill in the size and close; return whether there is anything to keep.

        Raises:
            OSError: the disk does not take it; the files are closed all the same.
        """
        try:
            kept = _finish_audio(self._files[0])
            _finish_lines(self._files[1])
        finally:
            self._close()
        if not kept:
            self._remove()
        return kept

    def _close(self) -> None:
        for file in self._files:
            with contextlib.suppress(OSError):
                os.close(file)
        self._files.clear()

    def _remove(self) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)


def repair(wav: Path) -> bool:
    """Finish what a killed run left, if it did; return whether it was so and there is audio in it.

    What has no audio is deleted. A file whose header a power cut has taken gets the suffix
    `.unreadable`, so that nobody stumbles over it.

    Raises:
        OSError: the disk does not take it.
    """
    lines = wav.with_suffix(".jsonl")
    with contextlib.closing(_Descriptor(wav)) as file:
        state = _state(file.number)
        kept = state == "unfinished" and _finish_audio(file.number)
    if kept and lines.is_file() and not lines.is_symlink():
        with contextlib.closing(_Descriptor(lines)) as file:
            _finish_lines(file.number)
    if state == "unreadable":
        wav.rename(wav.with_suffix(".unreadable"))
    elif state == "unfinished" and not kept:
        wav.unlink()
        lines.unlink(missing_ok=True)
    return kept


def blocks(n_bytes: int) -> int:
    """Return how many bytes a file of `n_bytes` takes on the disk."""
    return -(-n_bytes // BLOCK_BYTES) * BLOCK_BYTES


class _Descriptor:
    """A file open for repair."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDWR | os.O_NOFOLLOW)

    def close(self) -> None:
        os.close(self.number)


def _header(sample_rate: int) -> bytes:
    size = _UNKNOWN_SIZE
    return _HEADER.pack(
        *(b"RIFF", size, b"WAVE", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16),
        *(b"data", size),
    )


def _state(file: int) -> str:
    """Return `finished`, `unfinished` or, after a power cut that took the header, `unreadable`."""
    size = os.fstat(file).st_size
    if size == 0:
        return "unfinished"
    head = os.pread(file, _HEADER.size, 0)
    if len(head) < _HEADER.size or (head[:4], head[8:12]) != (b"RIFF", b"WAVE"):
        return "unreadable"
    return "unfinished" if head[-4:] == struct.pack("<I", _UNKNOWN_SIZE) else "finished"


def _finish_audio(file: int) -> bool:
    """Write the size of what is there into the header; return whether there are samples."""
    n_bytes = max(0, os.fstat(file).st_size - _HEADER.size) // 2 * 2
    if n_bytes == 0:
        return False
    os.ftruncate(file, _HEADER.size + n_bytes)
    # The samples first: a header must never promise what a power cut can take away.
    os.fsync(file)
    os.pwrite(file, struct.pack("<I", _HEADER.size - 8 + n_bytes), 4)
    os.pwrite(file, struct.pack("<I", n_bytes), _HEADER.size - 4)
    os.fsync(file)
    return True


def _finish_lines(file: int) -> None:
    """Cut off a line that was not written to its end."""
    size = os.fstat(file).st_size
    tail = os.pread(file, 1_000_000, max(0, size - 1_000_000))
    whole = tail.rfind(b"\n") + 1
    os.ftruncate(file, max(0, size - len(tail)) + whole)


def _write(file: int, data: bytes) -> None:
    """Write all of it: a disk that is getting full takes a part and refuses the rest later."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
