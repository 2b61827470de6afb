"""`edge-ser label`: label recorded utterances by hand, near misses first."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli._shared.options import out_option

if TYPE_CHECKING:
    from edge_ser.adapt.labelling import Label, LabelFile, RecordedUtterance

_HELP = "number = label, number NAME = label and speaker, p = play, s = skip, b = back, q = quit"


@click.command(name="label")
@click.argument("folder", type=click.Path(path_type=Path))
@out_option(
    "CSV file of labels; the audio of the utterances is stored in a folder of the same name beside it."
)
@click.option("--speaker", default="?", show_default=True, help="Speaker; ? if unknown.")
@click.option("--near-misses", is_flag=True, help="Ask about near misses only.")
def command(folder: Path, out: Path, speaker: str, near_misses: bool) -> None:
    """Label the utterances that `run --record FOLDER` stored, near misses first.

    \b
      edge-ser run --mic --record kept
      edge-ser label kept --out site.csv
      edge-ser adapt --corpus csv:site=site.csv --out site.onnx

    Answers are read from standard input, one a line: the number of a label (and, after a blank, the
    speaker's name, which also applies to the next utterances), p to play, s to skip, b to go back, q
    to quit. Each answer is written at once; utterances with a label are not asked for again.
    """
    from edge_ser.adapt.labelling import LabelFile, recorded_utterances

    labels = LabelFile(out)
    utterances = recorded_utterances(folder)
    waiting = [
        u for u in utterances if u not in labels and (u.recorded.near_miss or not near_misses)
    ]
    n_near = sum(u.recorded.near_miss for u in utterances)
    click.echo(
        f"{len(utterances)} utterances, {n_near} near misses; {len(labels)} labelled, "
        f"{len(waiting)} to label"
    )
    if waiting:
        click.echo(_HELP)
        _ask_all(waiting, labels, speaker)
    click.echo(f"{len(labels)} labels in {out}")
    if len(labels):
        click.echo(f"next: edge-ser adapt --corpus csv:site={out} --out site.onnx")


def _ask_all(waiting: list[RecordedUtterance], labels: LabelFile, speaker: str) -> None:
    from edge_ser.adapt.labelling import Label

    index = 0
    while index < len(waiting):
        utterance = waiting[index]
        _show(utterance, index, len(waiting))
        answer = _answer(utterance, speaker)
        if answer == "q":
            return
        if answer == "b":
            index = max(0, index - 1)
            labels.remove(waiting[index])
            continue
        if isinstance(answer, Label):
            labels.add(utterance, answer)
            speaker = answer.speaker
        index += 1


def _show(utterance: RecordedUtterance, index: int, n: int) -> None:
    recorded = utterance.recorded
    near = f"near miss: {', '.join(recorded.reasons)}" if recorded.near_miss else "not close"
    click.echo(
        f"\n[{index + 1}/{n}] {recorded.time}  {utterance.wav.name}  {recorded.from_s:.1f}–"
        f"{recorded.to_s:.1f} s  ({near})"
    )
    choices = (
        f"{number} {label} {100 * p:.0f}%"
        for number, (label, p) in enumerate(recorded.probs.items(), 1)
    )
    click.echo("   ".join(choices))


def _answer(utterance: RecordedUtterance, speaker: str) -> Label | str:
    """Return a label, or `s`, `b`, `q`; ask again after `p` and after an invalid line."""
    from edge_ser.adapt.labelling import Label, clean_speaker

    names = list(utterance.recorded.probs)
    while True:
        click.echo(f"{speaker}> ", nl=False)
        line = sys.stdin.readline()
        if not line:
            click.echo()
            return "q"
        word, _, name = line.strip().partition(" ")
        key = word.lower()
        if key in {"s", "b", "q"}:
            return key
        if key == "p":
            _play(utterance)
        elif key in names or (key.isdecimal() and 1 <= int(key) <= len(names)):
            emotion = key if key in names else names[int(key) - 1]
            return Label(emotion, clean_speaker(name or speaker))
        else:
            click.echo(f"expected 1 to {len(names)}, p, s, b or q, got {word or 'nothing'}")


def _play(utterance: RecordedUtterance) -> None:
    from edge_ser.adapt.labelling import find_player, play
    from edge_ser.errors import OutputError

    player = find_player()
    if not player:
        click.echo("no player found; install one of ffplay (ffmpeg), aplay (alsa-utils), paplay")
        return
    with tempfile.TemporaryDirectory() as scratch:
        try:
            play(utterance, player, Path(scratch))
        except OutputError as error:
            click.echo(str(error))
