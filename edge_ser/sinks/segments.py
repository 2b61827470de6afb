"""All segments in a directory: their names and order, and the limit on what they take."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_ser.errors import ConfigError
from edge_ser.sinks.segment import BLOCK_BYTES, Segment, blocks, repair

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
