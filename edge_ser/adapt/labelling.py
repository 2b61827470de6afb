"""Manual labels of recorded utterances: a CSV file, and the audio of the utterances in a folder.

The audio is copied from the recordings, because these are deleted when their limit is reached, and
because each clip of a corpus is a separate file. Files are readable by their owner only.
"""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from edge_ser._util.files import replacing
from edge_ser.corpora import UNKNOWN_SPEAKER
from edge_ser.errors import ConfigError, EventError, OutputError
from edge_ser.recognition.events import Recorded, from_json

_COLUMNS = ("path", "emotion", "speaker")
_PADDING_S = 0.25
"""Padding around the speech of a clip in seconds, as in live recognition."""

PLAYERS = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("aplay", "-q"),
    ("paplay",),
)
"""Commands that play a file; the first installed one is used."""


@dataclass(frozen=True)
class Label:
    """Manual label of an utterance."""

    emotion: str
    speaker: str


@dataclass(frozen=True)
class RecordedUtterance:
    """Utterance in a recording."""

    wav: Path
    recorded: Recorded

    @property
    def name(self) -> str:
        """Name of the utterance's audio file; deterministic."""
        return f"{self.wav.stem}-{round(1000 * self.recorded.from_s):07}.wav"

    @property
    def margin(self) -> float:
        """Difference of the two largest probabilities."""
        first, second = sorted((*self.recorded.probs.values(), 0.0), reverse=True)[:2]
        return first - second


def recorded_utterances(directory: Path) -> tuple[RecordedUtterance, ...]:
    """Return the utterances of `run --record`: near misses first, ordered by margin.

    Raises:
        ConfigError: no such folder, or no utterance in it.
    """
    if not directory.is_dir():
        raise ConfigError(
            f"there is no folder {directory}; record with: edge-ser run --mic --record"
        )
    found = [
        RecordedUtterance(wav, event)
        for lines in sorted(directory.glob("heard-*.jsonl"))
        for event in _events(lines)
        if (wav := directory / Path(event.file).name).is_file()
    ]
    if not found:
        raise ConfigError(
            f"{directory} holds no recorded utterance; expected recordings of `edge-ser run --mic "
            f"--record {directory}`"
        )
    return tuple(sorted(found, key=lambda u: (not u.recorded.near_miss, u.margin, u.name)))


class LabelFile:
    """CSV file of labels, as `--corpus csv:NAME=FILE` takes it, and a folder with the audio.

    Args:
        path: the CSV file, created if missing; existing labels are preserved.

    Raises:
        ConfigError: another ending than .csv, or a file of other columns.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() != ".csv":
            raise ConfigError(f"--out: expected a name that ends in .csv, got {path}")
        self.path = path
        self.folder = path.with_suffix("")
        self._rows = _read_rows(path) if path.exists() else {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, utterance: RecordedUtterance) -> bool:
        return self._key(utterance) in self._rows

    def add(self, utterance: RecordedUtterance, label: Label) -> None:
        """Write the audio of an utterance and its label.

        Raises:
            OutputError: the recording cannot be read, or is truncated.
            ConfigError: a file cannot be written.
        """
        cut(utterance, self.folder / utterance.name)
        self._rows[self._key(utterance)] = label
        self._write()

    def remove(self, utterance: RecordedUtterance) -> None:
        """Remove a label and its audio, if present."""
        if self._rows.pop(self._key(utterance), None) is not None:
            self._write()
            (self.folder / utterance.name).unlink(missing_ok=True)

    def _key(self, utterance: RecordedUtterance) -> str:
        return f"{self.folder.name}/{utterance.name}"

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows((key, one.emotion, one.speaker) for key, one in self._rows.items())
        with replacing(self.path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")


def cut(utterance: RecordedUtterance, out: Path) -> None:
    """Write an utterance with 0.25 s of padding as 16-bit WAV, readable by its owner only.

    Raises:
        OutputError: the recording cannot be read, or is truncated.
        ConfigError: the file cannot be written.
    """
    begin_s = max(0.0, utterance.recorded.from_s - _PADDING_S)
    try:
        with soundfile.SoundFile(str(utterance.wav)) as file:
            rate = file.samplerate
            file.seek(min(round(begin_s * rate), file.frames))
            n = round((utterance.recorded.to_s + _PADDING_S - begin_s) * rate)
            samples = file.read(n, dtype="int16")
    except (soundfile.LibsndfileError, OSError) as error:
        raise OutputError(f"{utterance.wav} cannot be read ({error}); skip it") from None
    if not len(samples):
        raise OutputError(f"{utterance.wav} ends before the utterance; skip it")
    with _private_folder(out.parent), replacing(out) as temporary:
        soundfile.write(str(temporary), samples, rate, subtype="PCM_16", format="WAV")
    out.chmod(0o600)


def find_player(which: Callable[[str], str | None] = shutil.which) -> tuple[str, ...]:
    """Return the command that plays a file, without the file name; empty if none is installed."""
    return next((player for player in PLAYERS if which(player[0])), ())


def play(utterance: RecordedUtterance, player: Sequence[str], scratch: Path) -> None:
    """Play an utterance through a file in a folder.

    Raises:
        OutputError: the recording cannot be read, or the player fails.
    """
    path = scratch / utterance.name
    cut(utterance, path)
    done = subprocess.run(
        [*player, str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    path.unlink(missing_ok=True)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise OutputError(
            f"{player[0]} cannot play it ({reason[0] if reason else 'no reason given'})"
        )


def _events(lines: Path) -> Iterator[Recorded]:
    """Yield the utterance events of a recording; lines of other versions are skipped."""
    text = lines.read_text(encoding="utf-8", errors="replace")
    for line in text.splitlines():
        with contextlib.suppress(EventError):
            event = from_json(line)
            if isinstance(event, Recorded):
                yield event


def _read_rows(path: Path) -> dict[str, Label]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
            fields = tuple(rows[0]) if rows else _COLUMNS
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as CSV ({error}); name another file") from None
    if fields != _COLUMNS:
        raise ConfigError(
            f"{path}: expected the columns {','.join(_COLUMNS)}, got {','.join(map(str, fields))}; name "
            "another file"
        )
    return {
        row["path"]: Label(row["emotion"] or "", row["speaker"] or UNKNOWN_SPEAKER) for row in rows
    }


@contextlib.contextmanager
def _private_folder(folder: Path) -> Iterator[None]:
    """Make a folder for its owner only, if it is missing."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written ({error.strerror}); choose another folder"
        ) from None
    yield


def clean_speaker(text: str) -> str:
    """Return a speaker's name without characters that are reserved in corpora."""
    return " ".join(text.replace("/", " ").split()) or UNKNOWN_SPEAKER
