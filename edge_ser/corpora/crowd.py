"""Speech without a label for each clip: neutral by intent, or unlabelled; whole or by halves."""

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
    """A part of a crowd corpus that depends on nothing but the content of each file."""

    TRAIN = "train"
    """Files whose SHA-256 begins with an even hexadecimal digit."""
    HELD = "held"
    """The others: for gates, never trained on."""


def load_crowd(name: str, root: Path, role: Role, half: Half | None = None) -> tuple[Clip, ...]:
    """Return every audio file below root as a clip with the emotion of the role, sorted by path.

    The speaker is unknown, also where root has folders: the files of a crowd do not say who speaks.
    Where the speakers are known, `csv:` and `folder:` name them. The audio is not decoded; for a
    half the bytes of the files are read.

    Args:
        name: name of the corpus.
        root: the folder.
        role: `Role.NEUTRAL` or `Role.UNLABELLED`.
        half: which half; None: all files.

    Raises:
        CorpusError: root is not a folder with audio, a file cannot be read, or the half is empty.
    """
    files = find_audio(root, AUDIO_SUFFIXES, name)
    kept = [file for file in files if half is None or half_of(file.path) is half]
    if half is not None and not kept:
        raise CorpusError(
            f"{name}: none of the {len(files)} audio files in {root} falls into the half "
            f"{half.value}; expected one or more; leave #{half.value} out, or add recordings"
        )
    return tuple(_clip(name, file, role) for file in kept)


def half_of(path: Path) -> Half:
    """Return the half that a file belongs to, wherever it lies and whatever it is called.

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
