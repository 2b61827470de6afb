"""The gender of CREMA-D's actors, which its file names do not tell."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from edge_ser.corpora.files import AudioFile
from edge_ser.errors import CorpusError

_FILE_NAME = "VideoDemographics.csv"
_AUDIO_FOLDER = "AudioWAV"


def crema_d_genders(root: Path, files: Iterable[AudioFile]) -> dict[str, str]:
    """Return actor → "male" or "female", from the corpus' VideoDemographics.csv.

    The file is looked for in root, and beside each AudioWAV folder, there and in meta/. Without
    it the result is empty: gender is then not known.

    Raises CorpusError when the file is there and is not what it should be.
    """
    folders = sorted({file.path.parent.absolute() for file in files})
    beside = (folder.parent for folder in folders if folder.name == _AUDIO_FOLDER)
    for place in (root, *beside):
        for path in (place / _FILE_NAME, place / "meta" / _FILE_NAME):
            if path.is_file():
                return _read(path)
    return {}


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sexes = {row["ActorID"]: row["Sex"].lower() for row in csv.DictReader(file)}
    except (KeyError, AttributeError, csv.Error, UnicodeDecodeError, OSError) as error:
        raise CorpusError(
            f"CREMA-D: {path} cannot be used; expected the corpus' own file with the columns "
            "ActorID and Sex; restore it, or remove it to go without gender"
        ) from error
    return {actor: sex for actor, sex in sexes.items() if sex in ("male", "female")}
