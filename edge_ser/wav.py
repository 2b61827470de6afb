"""What the header of a WAV file promises, against what the file holds.

libsndfile shortens a truncated file without a word, and finds nothing in one whose recorder was killed
before it filled in the size.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

_UNKNOWN_FROM = 0x7FFFF000
"""Writers to a pipe cannot go back to fill in the size: sox leaves this, arecord and ffmpeg more."""


@dataclass(frozen=True)
class DataChunk:
    """The samples of a WAV file."""

    start: int
    """Byte at which they begin."""
    declared: int
    """Bytes of samples by the header."""
    held: int
    """Bytes from `start` to the end of the file."""
    byte_rate: int
    """Bytes a second, by the header."""

    @property
    def is_truncated(self) -> bool:
        """Whether the header promises more than there is."""
        return self.held < self.declared < _UNKNOWN_FROM and self.byte_rate > 0

    @property
    def is_unfinished(self) -> bool:
        """Whether the header still says that there is nothing, and there is something."""
        return self.declared == 0 and self.held > 0


def find_data(file: BinaryIO) -> DataChunk | None:
    """Return the data chunk of a WAV file, or None where the file is no such thing.

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
        for place, patch in self._patches:
            for offset, value in enumerate(patch, place - begin):
                if 0 <= offset < n:
                    view[offset] = value
        return n
