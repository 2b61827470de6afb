"""Audio file as a source. `audio.io.find_audio` lists the files of a directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_ser.audio.io import file_chunks, find_audio
from edge_ser.audio.sources.base import SourceItem
from edge_ser.errors import AudioError


class FileSource:
    """Audio file as a `Source`, decoded in chunks.

    Args:
        path: any format that libsndfile reads (WAV, FLAC, OGG, MP3, AIFF, ...), any rate and width.
        channel: index of the channel; None for the mean of all.
    """

    def __init__(self, path: Path, channel: int | None = None) -> None:
        self.name = str(path)
        self.live = False
        self.ends = True
        self._path = path
        self._channel = channel

    def __enter__(self) -> FileSource:
        """Check that the file exists.

        Raises:
            AudioError: it is missing, or a directory.
        """
        find_audio(self._path)
        if self._path.is_dir():
            raise AudioError(f"{self._path} is a directory; expected a file, name one in it")
        return self

    def __exit__(self, *exc: object) -> None:
        """Do nothing: a file is open only while it is iterated over."""

    def __iter__(self) -> Iterator[SourceItem]:
        """Yield mono chunks of one second, without `captured_s`.

        Raises:
            AudioError: unreadable, empty or truncated, or with samples that are not finite.
        """
        return file_chunks(self._path, self._channel)
