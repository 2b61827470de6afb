"""The seven public corpora, read from the folder that people unpack them into."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from edge_ser.corpora.clip import Clip, speaker_id
from edge_ser.corpora.files import OFFICIAL_SUFFIXES, AudioFile, find_audio
from edge_ser.corpora.info import CorpusInfo
from edge_ser.corpora.names import PARSERS, OfficialName
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


# EMOVO was recorded with two different microphones: their mean cancels by up to 8 dB.
_CHANNELS = {"EMOVO": 0}

_N_SHOWN = 3


def load_official(info: CorpusInfo, root: Path) -> tuple[Clip, ...]:
    """Return the speech clips of a public corpus below root, sorted by relative path.

    A part of a corpus is a legitimate corpus: compare with `info.n_clips` where it matters. A
    copy of the tree within itself, as some downloads bring, is passed over. The audio is not
    opened.

    Raises CorpusError when root holds something else, or something else as well.
    """
    files = find_audio(root, OFFICIAL_SUFFIXES, info.name)
    named = _parse(info, root, files)
    speech = {file: name for file, name in named.items() if name.speech}
    if not speech:
        raise CorpusError(
            f"{info.name}: the {len(files)} audio files in {root} are songs or sound of videos "
            f"({_show(files)}); expected speech clips like {info.example}"
        )
    kept = _without_copies(info, root, speech)
    genders = crema_d_genders(root, kept) if info.name == "CREMA-D" else {}
    return tuple(_clip(info, file, speech[file], genders) for file in kept)


def _parse(
    info: CorpusInfo, root: Path, files: Sequence[AudioFile]
) -> dict[AudioFile, OfficialName]:
    named: dict[AudioFile, OfficialName] = {}
    strange: list[AudioFile] = []
    for file in files:
        name = PARSERS[info.name](file.stem, file.folder)
        if name is None:
            strange.append(file)
        else:
            named[file] = name
    if not strange:
        return named

    found = (
        f"{len(strange)} of the {len(files)} audio files in {root} are not"
        if named
        else f"none of the {len(files)} audio files in {root} is"
    )
    raise CorpusError(
        f"{info.name}: {found} named like a clip of this corpus ({_show(strange)}); "
        f"expected names like {info.example} ({info.layout}); "
        + _advice(strange, "DIR" if named else str(root))
    )


def _advice(strange: Sequence[AudioFile], place: str) -> str:
    """Return what to do about files with foreign names, by the corpus most of them fit."""
    for other, parse in PARSERS.items():
        n_fitting = sum(parse(file.stem, file.folder) is not None for file in strange)
        if n_fitting == len(strange):
            return f"these look like {other}: use {other}={place}"
        if 2 * n_fitting > len(strange):
            return f"most of these look like {other}: give each corpus a folder of its own"
    return "give the folder that holds this corpus and no other audio"


def _without_copies(
    info: CorpusInfo, root: Path, speech: dict[AudioFile, OfficialName]
) -> list[AudioFile]:
    """Return one file for each clip: the one that lies least deep."""
    kept: dict[str, AudioFile] = {}
    for file in sorted(speech, key=lambda file: len(file.relative.parts)):
        first = kept.setdefault(speech[file].key, file)
        if first is not file and not _is_nested_copy(file.relative, first.relative):
            raise CorpusError(
                f"{info.name}: {first.relative} and {file.relative} in {root} are the same clip "
                f"by name; keep one of them, or give the folder of one set"
            )
    chosen = set(kept.values())
    return [file for file in speech if file in chosen]


def _is_nested_copy(deep: PurePosixPath, shallow: PurePosixPath) -> bool:
    """Return whether the deep path is the shallow one with folders put in between."""
    remaining = iter(deep.parts)
    return all(part in remaining for part in shallow.parts)


def _clip(info: CorpusInfo, file: AudioFile, name: OfficialName, genders: dict[str, str]) -> Clip:
    return Clip(
        path=file.path,
        corpus=info.name,
        speaker=speaker_id(info.name, name.speaker),
        emotion=info.labels[name.label],
        label=name.label,
        gender=name.gender or genders.get(name.speaker),
        group=f"{info.name}/{name.group or name.key}",
        channel=_CHANNELS.get(info.name),
    )


def _show(files: Iterable[AudioFile]) -> str:
    names = [file.relative.as_posix() for file in files]
    return ", ".join(names[:_N_SHOWN]) + (", …" if len(names) > _N_SHOWN else "")
