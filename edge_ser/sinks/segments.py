"""Segments of a recording: WAV files that can be read while unfinished, with their events beside them.

`SegmentStore` holds all segments of a directory: their names and order, and the limit on their size.
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
"""Files take whole blocks of a disk."""
_OURS = re.compile(r"heard-(\d{8,})-\d{8}T\d{6}Z\.(wav|jsonl|unreadable)")
_ROOM_BYTES = 262_144
"""What has to be free on the disk for a segment to begin, so that it is not full again at once."""


class SegmentStore:
    """All segments of a directory. One at a time may write to it, which a lock on it ensures.

    Args:
        directory: made where it is missing, for its owner only.
        limit_bytes: of all segments together.
        wall_clock: seconds since 1970.

    Raises:
        ConfigError: the directory cannot be written, or somebody else records to it.
    """

    def __init__(
        self, directory: Path, limit_bytes: int, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes
        self.repaired = 0
        """Segments that a killed run left unfinished."""
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
            OSError: the disk does not take it, or has hardly any room left.
        """
        disk = os.statvfs(self.directory)
        if disk.f_bavail * disk.f_frsize < _ROOM_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        # What somebody deleted meanwhile makes room, and no number is used twice.
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
        """Return whether a segment takes so much of the limit that the next one should begin."""
        return segment.n_bytes >= self.limit_bytes // 4

    def append(self, segment: Segment, pcm: bytes = b"", event: bytes = b"") -> None:
        """Append to a segment, after deleting the oldest ones where the limit asks for it.

        Raises:
            OSError: the disk does not take it.
        """
        self._make_room(len(pcm) + len(event) + 2 * BLOCK_BYTES, segment)
        if pcm:
            segment.write_audio(pcm)
        if event:
            segment.write_event(event)

    def finish(self, segment: Segment) -> None:
        """Finish a segment and count it.

        Raises:
            OSError: the disk does not take it.
        """
        if segment.finish():
            self._sizes[segment.number] = segment.n_bytes

    def close(self) -> None:
        """Let others record here."""
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
        doomed = set()
        for number in sorted(others):
            if excess <= 0:
                break
            doomed.add(number)
            excess -= others[number]
        if not doomed:
            return
        for number, path in self._files():
            if number in doomed:
                path.unlink(missing_ok=True)
        for number in doomed:
            del self._sizes[number]


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
