"""The seven public corpora: parsers of their official file names, and their folders."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edge_ser.corpora.clip import Clip, speaker_id
from edge_ser.corpora.files import OFFICIAL_SUFFIXES, AudioFile, find_audio
from edge_ser.corpora.info import CorpusInfo
from edge_ser.errors import CorpusError

_FILE_NAME = "VideoDemographics.csv"
_AUDIO_FOLDER = "AudioWAV"


def crema_d_genders(root: Path, files: Iterable[AudioFile]) -> dict[str, str]:
    """Return actor → "male" or "female", from the corpus' VideoDemographics.csv.

    The file is searched in root, and beside each AudioWAV folder, also in a subfolder meta/. Without
    the file the result is empty, and gender is unknown.

    Raises CorpusError if the file is invalid.
    """
    folders = sorted({file.path.parent.absolute() for file in files})
    beside = (folder.parent for folder in folders if folder.name == _AUDIO_FOLDER)
    for folder in (root, *beside):
        for path in (folder / _FILE_NAME, folder / "meta" / _FILE_NAME):
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


# EMOVO was recorded with two different microphones: averaging them cancels by up to 8 dB.
_CHANNELS = {"EMOVO": 0}

_N_SHOWN = 3


def load_official(info: CorpusInfo, root: Path) -> tuple[Clip, ...]:
    """Return the speech clips of a public corpus below root, sorted by relative path.

    A part of a corpus is accepted: compare with `info.n_clips` if completeness matters. A nested copy
    of the tree, which some downloads have, is skipped. The audio is not opened.

    Raises CorpusError if root holds other files.
    """
    files = find_audio(root, OFFICIAL_SUFFIXES, info.name)
    named = _parse(info, root, files)
    speech = {file: name for file, name in named.items() if name.speech}
    if not speech:
        raise CorpusError(
            f"{info.name}: the {len(files)} audio files in {root} are songs or sound of videos "
            f"({_show(files)}); expected speech clips like {info.example}"
        )
    unique = _without_copies(info, root, speech)
    genders = crema_d_genders(root, unique) if info.name == "CREMA-D" else {}
    return tuple(_clip(info, file, speech[file], genders) for file in unique)


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


def _advice(strange: Sequence[AudioFile], folder: str) -> str:
    """Return a remedy for files with foreign names, by the corpus that most of them fit."""
    for other, parse in PARSERS.items():
        n_fitting = sum(parse(file.stem, file.folder) is not None for file in strange)
        if n_fitting == len(strange):
            return f"these look like {other}: use {other}={folder}"
        if 2 * n_fitting > len(strange):
            return f"most of these look like {other}: give each corpus a folder of its own"
    return "give the folder that holds this corpus and no other audio"


def _without_copies(
    info: CorpusInfo, root: Path, speech: dict[AudioFile, OfficialName]
) -> list[AudioFile]:
    """Return one file for each clip: the one with the shortest path."""
    unique: dict[str, AudioFile] = {}
    for file in sorted(speech, key=lambda file: len(file.relative.parts)):
        first = unique.setdefault(speech[file].key, file)
        if first is not file and not _is_nested_copy(file.relative, first.relative):
            raise CorpusError(
                f"{info.name}: {first.relative} and {file.relative} in {root} are the same clip "
                f"by name; keep one of them, or give the folder of one set"
            )
    chosen = set(unique.values())
    return [file for file in speech if file in chosen]


def _is_nested_copy(deep: PurePosixPath, shallow: PurePosixPath) -> bool:
    """Return whether the deep path is the shallow one with additional folders in between."""
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


@dataclass(frozen=True)
class OfficialName:
    """Fields of an official file name."""

    key: str
    """Official file name without suffix, unique for each clip."""
    speaker: str
    """Speaker within the corpus."""
    label: str
    """Key of `CorpusInfo.labels`."""
    gender: str | None = None
    """"male" or "female"; None if the name does not encode it."""
    group: str | None = None
    """Key of another clip with the same audio; None if there is none."""
    speech: bool = True
    """False for other content of the corpus: songs, and sound tracks of videos."""


NameParser = Callable[[str, str], OfficialName | None]
"""(file name without suffix, folder name) → fields of the name, or None for a foreign name."""

# Modality - vocal channel - emotion - intensity - statement - repetition - actor.
_RAVDESS = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-0[12]-0[12]-0[12]-(0[1-9]|1\d|2[0-4])", re.ASCII)
_RAVDESS_LABELS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
# The release holds the first repetition twice, sample for sample, under both names.
_RAVDESS_SAME_AUDIO = {"03-01-03-01-02-02-07": "03-01-03-01-02-01-07"}


def _ravdess(stem: str, _folder: str) -> OfficialName | None:
    match = _RAVDESS.fullmatch(stem)
    if match is None:
        return None
    modality, vocal_channel, emotion, actor = match.groups()
    return OfficialName(
        key=stem,
        speaker=actor,
        label=_RAVDESS_LABELS[emotion],
        gender="male" if int(actor) % 2 else "female",
        group=_RAVDESS_SAME_AUDIO.get(stem),
        speech=(modality, vocal_channel) == ("03", "01"),
    )


_EMO_DB = re.compile(r"(03|08|09|1[0-6])([ab]\d\d)([WLEAFTN])([a-z])", re.ASCII | re.IGNORECASE)
_EMO_DB_MEN = {"03", "10", "11", "12", "15"}


def _emo_db(stem: str, _folder: str) -> OfficialName | None:
    match = _EMO_DB.fullmatch(stem)
    if match is None:
        return None
    speaker, text, label, take = match.groups()
    return OfficialName(
        key=f"{speaker}{text.lower()}{label.upper()}{take.lower()}",
        speaker=speaker,
        label=label.upper(),
        gender="male" if speaker in _EMO_DB_MEN else "female",
    )


# OA: one official file, OA_bite_neutral, lacks a letter.
_TESS = re.compile(
    r"(OAF?|YAF)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)", re.ASCII | re.IGNORECASE
)


def _tess(stem: str, _folder: str) -> OfficialName | None:
    match = _TESS.fullmatch(stem)
    if match is None:
        return None
    speaker, word, label = match.groups()
    speaker = "YAF" if speaker.upper() == "YAF" else "OAF"
    return OfficialName(
        key=f"{speaker}_{word.lower()}_{label.lower()}",
        speaker=speaker,
        label=label.lower(),
        gender="female",
    )


_SAVEE = re.compile(r"(?:(DC|JE|JK|KL)_)?(a|d|f|h|n|sa|su)(\d\d)", re.ASCII | re.IGNORECASE)
_SAVEE_SPEAKERS = {"DC", "JE", "JK", "KL"}


def _savee(stem: str, folder: str) -> OfficialName | None:
    match = _SAVEE.fullmatch(stem)
    if match is None:
        return None
    speaker = (match[1] or folder).upper()
    if speaker not in _SAVEE_SPEAKERS:
        return None
    label = match[2].lower()
    return OfficialName(
        key=f"{speaker}_{label}{match[3]}", speaker=speaker, label=label, gender="male"
    )


# Sentences: b short, l long, n nonsense, d questions.
_EMOVO = re.compile(
    r"(dis|gio|neu|pau|rab|sor|tri)-([fm][1-3])-(?:b[1-3]|l[1-4]|n[1-5]|d[12])",
    re.ASCII | re.IGNORECASE,
)


def _emovo(stem: str, _folder: str) -> OfficialName | None:
    match = _EMOVO.fullmatch(stem.lower())
    if match is None:
        return None
    label, speaker = match.groups()
    return OfficialName(
        key=match[0],
        speaker=speaker,
        label=label,
        gender="female" if speaker.startswith("f") else "male",
    )


_CREMA_D = re.compile(
    r"(10[0-8]\d|109[01])_(?:DFA|IEO|IOM|ITH|ITS|IWL|IWW|MTI|TAI|TIE|TSI|WSI)"
    r"_(ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX)",
    re.ASCII,
)


def _crema_d(stem: str, _folder: str) -> OfficialName | None:
    match = _CREMA_D.fullmatch(stem.upper())
    if match is None:
        return None
    speaker, label = match.groups()
    return OfficialName(key=match[0], speaker=speaker, label=label)


# 90 sentences, in most emotions by most speakers.
_NEMO = re.compile(
    r"(EB0|IC0|KD0|KS0|MK0|MP0|SM0|TP0|WR0)_(anger|fear|happiness|neutral|sadness|surprised)"
    r"_([1-9]|[1-8]\d|90)",
    re.ASCII | re.IGNORECASE,
)
_NEMO_MEN = {"KS0", "MP0", "SM0", "TP0", "WR0"}


def _nemo(stem: str, _folder: str) -> OfficialName | None:
    match = _NEMO.fullmatch(stem)
    if match is None:
        return None
    speaker, label, sentence = match[1].upper(), match[2].lower(), match[3]
    return OfficialName(
        key=f"{speaker}_{label}_{sentence}",
        speaker=speaker,
        label=label,
        gender="male" if speaker in _NEMO_MEN else "female",
    )


PARSERS: dict[str, NameParser] = {
    "RAVDESS": _ravdess,
    "EMO-DB": _emo_db,
    "TESS": _tess,
    "SAVEE": _savee,
    "EMOVO": _emovo,
    "CREMA-D": _crema_d,
    "nEMO": _nemo,
}
"""Corpus of `CORPORA` → parser of its file names."""
