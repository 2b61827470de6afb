"""Segments of a recording: WAV files, readable while unfinished, and JSON-lines files of their events.

`SegmentStore` manages all segments of a directory: their names, order and size limit.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import struct
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_ser.errors import ConfigError

_UNKNOWN_SIZE = 0xFFFFFFFF
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
BLOCK_BYTES = 4096
"""Block size of a disk, in bytes."""
_OURS = re.compile(r"heard-(\d{8,})-\d{8}T\d{6}Z\.(wav|jsonl|unreadable)")
_ROOM_BYTES = 262_144
"""Free disk space required to begin a segment."""


class SegmentStore:
    """All segments of a directory. A lock on the directory ensures a single writer.

    Args:
        directory: created if missing, for its owner only.
        limit_bytes: size limit of all segments together.
        wall_clock: seconds since 1970.

    Raises:
        ConfigError: the directory cannot be written, or another process records to it.
    """

    def __init__(
        self, directory: Path, limit_bytes: int, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes
        self.repaired = 0
        """Number of segments left unfinished by a killed run."""
        self._wall_clock = wall_clock
        self._lock = -1
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with tempfile.TemporaryFile(dir=directory, buffering=0) as probe:
                probe.write(bytes(BLOCK_BYTES))
            self.repaired = sum(repair(p) for _, p in self._files() if p.suffix == ".wav")
            self._sizes = self._scan()
        except BlockingIOError:
            self.close()
            raise ConfigError(
                f"{directory} is being recorded to by another edge-ser; choose another directory"
            ) from None
        except OSError as error:
            self.close()
            raise ConfigError(
                f"recordings cannot be written to {directory} ({error.strerror}); choose another "
                "directory, or make room"
            ) from None
        self._next = max(self._sizes, default=0) + 1

    def begin(self, sample_rate: int, at_s: float = 0.0) -> Segment:
        """Return a new segment, whose first sample has the stream time `at_s`.

        Raises:
            OSError: writing fails, or there is too little free space.
        """
        disk = os.statvfs(self.directory)
        if disk.f_bavail * disk.f_frsize < _ROOM_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        # Scan again: files may have been deleted meanwhile. No number is used twice.
        self._sizes = self._scan()
        self._next = max(self._next, max(self._sizes, default=0) + 1)
        self._make_room(2 * BLOCK_BYTES, None)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall_clock()))
        segment = Segment(
            self.directory / f"heard-{self._next:08}-{stamp}", self._next, sample_rate, at_s
        )
        self._next += 1
        return segment

    def is_full(self, segment: Segment) -> bool:
        """Return whether a segment is so large that the next one should begin."""
        return segment.n_bytes >= self.limit_bytes // 4

    def append(self, segment: Segment, pcm: bytes = b"", event: bytes = b"") -> None:
        """Append to a segment, after deleting the oldest ones to meet the limit.

        Raises:
            OSError: writing fails.
        """
        self._make_room(len(pcm) + len(event) + 2 * BLOCK_BYTES, segment)
        if pcm:
            segment.write_audio(pcm)
        if event:
            segment.write_event(event)

    def finish(self, segment: Segment) -> None:
        """Finish a segment and count its size.

        Raises:
            OSError: writing fails.
        """
        if segment.finish():
            self._sizes[segment.number] = segment.n_bytes

    def close(self) -> None:
        """Release the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _files(self) -> Iterator[tuple[int, Path]]:
        for path in sorted(self.directory.iterdir()):
            if (name := _OURS.fullmatch(path.name)) and path.is_file() and not path.is_symlink():
                yield int(name[1]), path

    def _scan(self) -> dict[int, int]:
        sizes: dict[int, int] = defaultdict(int)
        for number, path in self._files():
            sizes[number] += blocks(path.stat().st_size)
        return dict(sizes)

    def _make_room(self, n_bytes: int, current: Segment | None) -> None:
        taken = n_bytes + (current.n_bytes if current else 0)
        others = {n: size for n, size in self._sizes.items() if not current or n != current.number}
        excess = taken + sum(others.values()) - self.limit_bytes
        expired = set()
        for number in sorted(others):
            if excess <= 0:
                break
            expired.add(number)
            excess -= others[number]
        if not expired:
            return
        for number, path in self._files():
            if number in expired:
                path.unlink(missing_ok=True)
        for number in expired:
            del self._sizes[number]


class Segment:
    """WAV file being written, with a file of its events.

    Args:
        stem: path without the suffix.
        number: position in the order of all segments.
        sample_rate: Hz.
        at_s: stream time of the first sample, in seconds.

    Raises:
        OSError: a file cannot be created; none is left behind.
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
        """Stream time of the end of the written audio, in seconds."""
        return self.at_s + self.n_audio_bytes / 2 / self.sample_rate

    @property
    def n_bytes(self) -> int:
        """Size on the disk in bytes, rounded up to blocks."""
        return blocks(_HEADER.size + self.n_audio_bytes) + blocks(self._n_event_bytes)

    def write_audio(self, pcm: bytes) -> None:
        """Append samples.

        Raises:
            OSError: writing fails.
        """
        _write(self._files[0], pcm)
        self.n_audio_bytes += len(pcm)

    def write_event(self, line: bytes) -> None:
        """Append an event as a complete line.

        Raises:
            OSError: writing fails.
        """
        _write(self._files[1], line)
        self._n_event_bytes += len(line)

    def finish(self) -> bool:
        """Fill in the size and close the files; return whether there is audio.

        Raises:
            OSError: writing fails; the files are closed anyway.
        """
        try:
            has_audio = _finish_audio(self._files[0])
            _finish_lines(self._files[1])
        finally:
            self._close()
        if not has_audio:
            self._remove()
        return has_audio

    def _close(self) -> None:
        for file in self._files:
            with contextlib.suppress(OSError):
                os.close(file)
        self._files.clear()

    def _remove(self) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)


def repair(wav: Path) -> bool:
    """Finish a segment that a killed run left; return whether it was unfinished and has audio.

    A segment without audio is deleted. A file that lost its header in a power failure gets the suffix
    `.unreadable`.

    Raises:
        OSError: writing fails.
    """
    lines = wav.with_suffix(".jsonl")
    with contextlib.closing(_Descriptor(wav)) as file:
        state = _state(file.number)
        repaired = state == "unfinished" and _finish_audio(file.number)
    if repaired and lines.is_file() and not lines.is_symlink():
        with contextlib.closing(_Descriptor(lines)) as file:
            _finish_lines(file.number)
    if state == "unreadable":
        wav.rename(wav.with_suffix(".unreadable"))
    elif state == "unfinished" and not repaired:
        wav.unlink()
        lines.unlink(missing_ok=True)
    return repaired


def blocks(n_bytes: int) -> int:
    """Return the size on the disk of a file of `n_bytes`, in bytes."""
    return -(-n_bytes // BLOCK_BYTES) * BLOCK_BYTES


class _Descriptor:
    """File open for repair."""

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
    """Return `finished`, `unfinished` or, without a valid header, `unreadable`."""
    size = os.fstat(file).st_size
    if size == 0:
        return "unfinished"
    head = os.pread(file, _HEADER.size, 0)
    if len(head) < _HEADER.size or (head[:4], head[8:12]) != (b"RIFF", b"WAVE"):
        return "unreadable"
    return "unfinished" if head[-4:] == struct.pack("<I", _UNKNOWN_SIZE) else "finished"


def _finish_audio(file: int) -> bool:
    """Write the actual size into the header; return whether there are samples."""
    n_bytes = max(0, os.fstat(file).st_size - _HEADER.size) // 2 * 2
    if n_bytes == 0:
        return False
    os.ftruncate(file, _HEADER.size + n_bytes)
    # Samples first: the header must never declare samples that a power failure could lose.
    os.fsync(file)
    os.pwrite(file, struct.pack("<I", _HEADER.size - 8 + n_bytes), 4)
    os.pwrite(file, struct.pack("<I", n_bytes), _HEADER.size - 4)
    os.fsync(file)
    return True


def _finish_lines(file: int) -> None:
    """Truncate an incomplete last line."""
    size = os.fstat(file).st_size
    tail = os.pread(file, 1_000_000, max(0, size - 1_000_000))
    complete = tail.rfind(b"\n") + 1
    os.ftruncate(file, max(0, size - len(tail)) + complete)


def _write(file: int, data: bytes) -> None:
    """Write all data: a disk that runs full accepts a part only."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
