"""Own recordings, listed in a CSV file or in one folder for each label."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge_ser._util.suffixes import AUDIO_SUFFIXES
from edge_ser.corpora.clip import UNKNOWN_SPEAKER, Clip, speaker_id
from edge_ser.corpora.files import AudioFile, find_audio, is_audio
from edge_ser.corpora.labels import clean_text, shared_emotion
from edge_ser.errors import CorpusError

_REQUIRED = ("path", "emotion", "speaker")
_COLUMNS = "path,emotion,speaker[,gender][,channel]"
_GENDERS = {"": None, "male": "male", "m": "male", "female": "female", "f": "female"}


def load_manifest(name: str, csv_path: Path) -> tuple[Clip, ...]:
    """Return the clips listed in a CSV file with a header line, sorted by path.

    Columns: path (relative to the CSV file, or absolute), emotion, speaker (`?`: unknown), and
    optionally gender (male, female) and channel (from 0); others are ignored. UTF-8, commas. The
    audio files must exist; they are not opened.

    Raises CorpusError, with the line number, for invalid rows.
    """
    if not csv_path.exists():
        raise CorpusError(f"{name}: the file {csv_path} does not exist")
    if csv_path.is_dir():
        raise CorpusError(
            f"{name}: {csv_path} is a folder; give a CSV file with the columns {_COLUMNS}, "
            f"or write folder:{name}={csv_path}"
        )
    clips: list[Clip] = []
    lines: dict[str, int] = {}
    for line, row in _rows(csv_path):
        where = f"{csv_path} line {line}"
        clip = _clip_of_row(name, csv_path.parent, row, where)
        same = os.path.abspath(clip.path)
        if same in lines:
            raise CorpusError(
                f"{where}: duplicate path {row['path']}, already on line {lines[same]}"
            )
        lines[same] = line
        clips.append(clip)
    if not clips:
        raise CorpusError(f"{csv_path}: no clip below the header line")
    return tuple(sorted(clips, key=lambda clip: clip.group))


def _rows(csv_path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number (from 1) and values by column; a missing value is empty."""
    try:
        with csv_path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = _header(csv_path, next(reader, []))
            for values in reader:
                if len(values) > len(header):
                    raise CorpusError(
                        f"{csv_path} line {reader.line_num}: {len(values)} values for "
                        f"{len(header)} columns; put a value with a comma in double quotes"
                    )
                if values:
                    padded = values + [""] * (len(header) - len(values))
                    row = dict(zip(header, map(clean_text, padded), strict=True))
                    # File names are bytes to the system: NFC could name another file.
                    row["path"] = padded[header.index("path")].strip()
                    yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise CorpusError(f"{csv_path}: not UTF-8 text; save it as CSV (UTF-8)") from error
    except csv.Error as error:
        raise CorpusError(f"{csv_path} line {reader.line_num}: not CSV: {error}") from error
    except OSError as error:
        raise CorpusError(f"{csv_path}: cannot be read: {error.strerror}") from error


def _header(csv_path: Path, values: list[str]) -> list[str]:
    header = [clean_text(value).lower() for value in values]
    for column in _REQUIRED:
        if header.count(column) != 1:
            problem = "twice" if column in header else "missing"
            raise CorpusError(
                f"{csv_path} line 1: the column {column} is {problem}; expected {_COLUMNS}, "
                f"found {','.join(header) or 'nothing'}"
            )
    return header


def _clip_of_row(name: str, base: Path, row: Mapping[str, str], where: str) -> Clip:
    for column in _REQUIRED:
        if not row[column]:
            advice = f"; write {UNKNOWN_SPEAKER} if unknown" if column == "speaker" else ""
            raise CorpusError(f"{where}: empty value for {column}{advice}")
    path = base / row["path"]
    if not path.is_file():
        raise CorpusError(f"{where}: the file {path} does not exist")
    if not is_audio(path.name, AUDIO_SUFFIXES):
        raise CorpusError(
            f"{where}: {path.name} is not audio: expected {', '.join(AUDIO_SUFFIXES)}"
        )
    return Clip(
        path=path,
        corpus=name,
        speaker=speaker_id(name, row["speaker"]),
        emotion=shared_emotion(row["emotion"]),
        label=row["emotion"],
        gender=_gender(row.get("gender", ""), where),
        group=f"{name}/{clean_text(Path(row['path']).as_posix())}",
        channel=_channel(row.get("channel", ""), where),
    )


def _gender(text: str, where: str) -> str | None:
    if text.lower() not in _GENDERS:
        raise CorpusError(f"{where}: unknown gender {text!r}; expected male, female or nothing")
    return _GENDERS[text.lower()]


def _channel(text: str, where: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise CorpusError(f"{where}: channel {text!r} is not a whole number from 0")
    return int(text)


def load_folder(name: str, root: Path) -> tuple[Clip, ...]:
    """Return the clips in root/label/*.wav and root/label/speaker/*.wav, sorted by path.

    Without a speaker folder the speaker is unknown (see `speaker_known`). The audio is not opened.

    Raises CorpusError if root is not a folder with audio, or if audio lies elsewhere below it.
    """
    return tuple(_clip_of_file(name, root, file) for file in find_audio(root, AUDIO_SUFFIXES, name))


def _clip_of_file(name: str, root: Path, file: AudioFile) -> Clip:
    folders = [clean_text(folder) for folder in file.relative.parent.parts]
    if len(folders) not in (1, 2):
        raise CorpusError(
            f"{name}: {file.relative} in {root} does not lie in a label folder; "
            "expected LABEL/FILE or LABEL/SPEAKER/FILE"
        )
    label = folders[0]
    return Clip(
        path=file.path,
        corpus=name,
        speaker=speaker_id(name, folders[1] if len(folders) == 2 else UNKNOWN_SPEAKER),
        emotion=shared_emotion(label),
        label=label,
        gender=None,
        group=f"{name}/{clean_text(file.relative.as_posix())}",
        channel=None,
    )
