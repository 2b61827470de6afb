"""Crowd corpora: speech that is neutral by intent or unlabelled, complete or one half of it."""

from __future__ import annotations

import enum
from pathlib import Path

from edge_ser._util.hashing import content_digest
from edge_ser._util.suffixes import AUDIO_SUFFIXES
from edge_ser.corpora.clip import UNKNOWN_SPEAKER, Clip, Role, speaker_id
from edge_ser.corpora.files import AudioFile, find_audio
from edge_ser.corpora.labels import UNLABELLED, clean_text
from edge_ser.errors import CorpusError

_EMOTIONS = {Role.NEUTRAL: "neutral", Role.UNLABELLED: UNLABELLED}


class Half(str, enum.Enum):
    """Half of a crowd corpus, determined only by the content of each file."""

    TRAIN = "train"
    """Files whose SHA-256 begins with an even hexadecimal digit."""
    HELD = "held"
    """All other files: for gates, never for training."""


def load_crowd(name: str, root: Path, role: Role, half: Half | None = None) -> tuple[Clip, ...]:
    """Return every audio file below root as a clip with the emotion of the role, sorted by path.

    The speaker is unknown, even if root has folders; use `csv:` or `folder:` for known speakers. The
    audio is not decoded; for a half the bytes of the files are read.

    Args:
        name: name of the corpus.
        root: the folder.
        role: `Role.NEUTRAL` or `Role.UNLABELLED`.
        half: the half; None for all files.

    Raises:
        CorpusError: root is not a folder with audio, a file cannot be read, or the half is empty.
    """
    files = find_audio(root, AUDIO_SUFFIXES, name)
    selected = [file for file in files if half is None or half_of(file.path) is half]
    if half is not None and not selected:
        raise CorpusError(
            f"{name}: expected one or more files of the half {half.value}, got none of the "
            f"{len(files)} audio files in {root}; leave #{half.value} out, or add recordings"
        )
    return tuple(_clip(name, file, role) for file in selected)


def half_of(path: Path) -> Half:
    """Return the half that a file belongs to, independent of its path and name.

    Raises:
        CorpusError: the file cannot be read.
    """
    digit = content_digest(path)[:1] or "0"
    return Half.HELD if int(digit, 16) % 2 else Half.TRAIN


def _clip(name: str, file: AudioFile, role: Role) -> Clip:
    return Clip(
        path=file.path,
        corpus=name,
        speaker=speaker_id(name, UNKNOWN_SPEAKER),
        emotion=_EMOTIONS[role],
        label=role.value,
        gender=None,
        group=f"{name}/{clean_text(file.relative.as_posix())}",
        channel=None,
        role=role,
    )
