"""Audio files below a folder, in the same order on every machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edge_ser.corpora.labels import clean_text
from edge_ser.errors import CorpusError

OFFICIAL_SUFFIXES = (".wav", ".flac")
"""Suffixes of the public corpora: that of the release, and a lossless one to save space."""


@dataclass(frozen=True)
class AudioFile:
    """Audio file below a corpus folder; it is not opened."""

    path: Path
    """Path of the file."""
    relative: PurePosixPath
    """Path relative to the corpus folder."""
    folder: str
    """Name of the parent folder, which may be the corpus folder."""

    @property
    def stem(self) -> str:
        """File name without suffix."""
        return self.relative.stem


def find_audio(root: Path, suffixes: tuple[str, ...], corpus: str) -> tuple[AudioFile, ...]:
    """Return the audio files below root, sorted by relative path; links are followed.

    Hidden files and folders are skipped, including those that macOS adds to archives
    (`._name.wav`, `__MACOSX`). The audio is not opened.

    Raises CorpusError, with the name of the corpus, if root is not a readable folder, holds no audio,
    or holds a broken link to audio.
    """
    try:
        if not root.exists():
            raise CorpusError(f"{corpus}: the folder {root} does not exist")
        if not root.is_dir():
            raise CorpusError(
                f"{corpus}: {root} is a file; give the folder that holds the recordings"
            )
        paths = list(_walk(root, suffixes, (os.path.realpath(root),)))
    except OSError as error:
        raise CorpusError(
            f"{corpus}: cannot read {error.filename or root}: {error.strerror}"
        ) from error
    if not paths:
        raise CorpusError(
            f"{corpus}: no audio in {root} or below; looked for {', '.join(suffixes)}"
        )
    for path in paths:
        if not path.exists():
            raise CorpusError(
                f"{corpus}: {path} is a link to a file that is not there; "
                "fetch the audio, or remove the link"
            )
    found = [_audio_file(path, root) for path in paths]
    return tuple(sorted(found, key=lambda file: clean_text(file.relative.as_posix())))


def is_audio(name: str, suffixes: tuple[str, ...]) -> bool:
    """Return whether a file name has one of the suffixes, in any case."""
    return name.lower().endswith(suffixes) and not name.startswith(".")


def _walk(folder: Path, suffixes: tuple[str, ...], above: tuple[str, ...]) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if entry.is_dir():
                real = os.path.realpath(path)
                # A link to a parent folder would cause an endless loop.
                if real not in above:
                    yield from _walk(path, suffixes, (*above, real))
            elif is_audio(entry.name, suffixes):
                yield path


def _audio_file(path: Path, root: Path) -> AudioFile:
    relative = PurePosixPath(path.relative_to(root).as_posix())
    return AudioFile(path, relative, folder=Path(os.path.abspath(path.parent)).name)
