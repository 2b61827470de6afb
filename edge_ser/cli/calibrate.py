"""`edge-ser calibrate`: select and show calibration sets for INT8 models."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli._shared.options import (
    CalibrationFolder,
    channel_option,
    corpus_option,
    model_option,
    out_option,
    seed_option,
    speakers_option,
)
from edge_ser.cli._shared.progress import counting_bar
from edge_ser.cli._shared.tables import plain_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from edge_ser.card import ModelCard
    from edge_ser.corpora import Clip
    from edge_ser.quantization.calibration_sampling import WindowPool
    from edge_ser.quantization.calibration_set import CalibrationClip, CalibrationSet


@click.group(name="calibrate")
def command() -> None:
    """Select or show a calibration set for INT8 models.

    A calibration set is a folder of feature windows and a manifest. It holds no audio, so an INT8
    model can be built again without the recordings.
    """


@command.command(name="select", short_help="Select windows of speech.")
@corpus_option("Labelled speech, named as for `train`. Repeat for several.")
@click.option(
    "--wav",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Recordings of the site without labels, in place of --corpus.",
)
@model_option(
    "ONNX file or name of a bundled model that defines front end and window.  [default: bundled]"
)
@click.option(
    "--clips",
    "n_clips",
    type=click.IntRange(1, 100_000),
    default=96,
    show_default=True,
    help="Number of windows to select.",
)
@out_option("Output folder of the set.")
@speakers_option("Only these speakers of --corpus.  [default: the model's training speakers]")
@channel_option("Channel of --wav, as for `run`.  [default: the mean of all channels]")
@click.option("--licence", help="Licence of the recordings.  [default: that of the corpora]")
@seed_option("Random seed.")
def select(
    corpora: tuple[str, ...],
    wav: Path | None,
    model: Path | None,
    n_clips: int,
    out: Path,
    speakers: str | None,
    channel: int | None,
    licence: str | None,
    seed: int,
) -> None:
    """Select windows of speech, balanced over class, speaker and level, and store their features.

    \b
      edge-ser calibrate select --corpus RAVDESS=DIR --out calibration/ravdess
      edge-ser calibrate select --wav recordings --out calibration/site

    Windows are cut as in `edge-ser run`. One window is drawn from each recording, or from each
    window-length segment of a long recording. Recordings that are silent or shorter than a window are
    skipped and counted. The same seed and recordings give the same set.
    """
    if bool(corpora) == (wav is not None):
        given = "both" if corpora else "neither"
        raise click.UsageError(f"expected one of --corpus NAME=DIR and --wav FOLDER, got {given}")
    if speakers and wav:
        raise click.UsageError("--speakers requires --corpus: the speakers of --wav are unknown")
    if channel is not None and corpora:
        raise click.UsageError("--channel requires --wav; a corpus defines its channel")

    from rich.console import Console

    from edge_ser.inference.loader import open_runner
    from edge_ser.quantization.calibration_sampling import cautions, site_clips

    card = open_runner(model).card
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    clips = site_clips(wav, channel) if wav else _labelled(console, corpora, speakers, card)
    made, pool = _make(console, clips, card, n_clips, seed, licence)
    made.save(out)
    for reason, n in pool.refused.items():
        limit = f" ({card.window_s:g} s)" if "window" in reason.value else ""
        console.print(f"skipped: {n} recordings {reason.value}{limit}")
    if len(made.clips) < n_clips:
        console.print(
            f"expected {n_clips} windows, got {len(made.clips)}: too little speech",
            style="yellow",
        )
    for caution in cautions(made, card):
        console.print(f"note: {caution}", style="yellow")
    console.print(f"licence: {made.licence}")
    console.print(f"written: {out}, {_size(made)}, digest {made.digest}")
    console.print(f"next: edge-ser calibrate show {out}")


@command.command(name="show", short_help="Show the content of a set.")
@click.argument("folder", required=False, type=CalibrationFolder())
@click.option(
    "--files",
    is_flag=True,
    help="Also list every window, with the first digits of its file's digest.",
)
def show(folder: Path | None, files: bool) -> None:
    """Show the calibration set in FOLDER (default: the bundled model's set, `default`).

    The digest is verified first; a damaged or changed set is refused.
    """
    from rich.console import Console

    from edge_ser.quantization.calibration_set import CalibrationSet, default_calibration

    folder = folder or default_calibration()
    loaded = CalibrationSet.load(folder)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    frontend = ", ".join(f"{k} {v}" for k, v in dataclasses.asdict(loaded.frontend).items())
    console.print(f"{folder}: {_size(loaded)}, seed {loaded.seed}")
    console.print(f"digest: {loaded.digest}")
    console.print(f"front end: {frontend}")
    console.print(f"licence: {loaded.licence}")
    console.print(_by_class(loaded.clips))
    console.print(_by_speaker(loaded.clips))
    if files:
        console.print(_by_file(loaded.clips))


def _labelled(
    console: Console, corpora: tuple[str, ...], speakers: str | None, card: ModelCard
) -> tuple[Clip, ...]:
    from edge_ser.corpora import load_corpora
    from edge_ser.quantization.calibration_sampling import eligible
    from edge_ser.splits.choice import named_speakers

    clips = load_corpora(corpora)
    if speakers:
        names = named_speakers(clips, speakers, "calibration")
        clips = tuple(clip for clip in clips if clip.speaker in names)
    found = eligible(clips, card, any_speaker=bool(speakers))
    if n := found.unknown_emotion:
        console.print(f"left out: {n} clips of emotions that {card.name} has no label for")
    if n := found.other_speakers:
        console.print(f"left out: {n} clips of speakers that {card.name} was not trained on")
    return found.clips


def _make(
    console: Console,
    clips: tuple[Clip, ...],
    card: ModelCard,
    n_clips: int,
    seed: int,
    licence: str | None,
) -> tuple[CalibrationSet, WindowPool]:
    from edge_ser.quantization.calibration_sampling import choose, scan

    with counting_bar(console, "measuring levels", len(clips)) as step:
        pool = scan(clips, card, seed, step)
    n_windows = min(n_clips, len(pool.candidates))
    with counting_bar(console, "computing features", n_windows) as step:
        return choose(pool, card, n_clips=n_clips, seed=seed, licence=licence, progress=step), pool


def _size(loaded: CalibrationSet) -> str:
    n, n_features, n_frames = loaded.windows.shape
    windows = "window" if n == 1 else "windows"
    return f"{n} {windows} of {loaded.window_s:g} s ({n_features} features, {n_frames} frames)"


def _by_class(clips: tuple[CalibrationClip, ...]) -> Table:
    from edge_ser.corpora import sort_emotions
    from edge_ser.quantization.calibration_sampling import LEVELS

    table = plain_table("class", right=(*LEVELS, "all", "dBFS"))
    names = sort_emotions(clip.emotion for clip in clips)
    for name, subset in [(n, [c for c in clips if c.emotion == n]) for n in names] + [
        ("all", [*clips])
    ]:
        counts = Counter(clip.level for clip in subset)
        levels = [str(counts[level]) for level in LEVELS]
        table.add_row(name or "not labelled", *levels, str(len(subset)), _range(subset))
    ranges = [_range([c for c in clips if c.level == level]) for level in LEVELS]
    table.add_row("dBFS", *ranges, "", "")
    return table


def _by_speaker(clips: tuple[CalibrationClip, ...]) -> Table:
    table = plain_table("speaker", right=("windows", "files", "classes", "dBFS"))
    for name in sorted({clip.speaker for clip in clips}):
        subset = [clip for clip in clips if clip.speaker == name]
        n_files = len({c.sha256 for c in subset})
        n_classes = len({c.emotion for c in subset} - {""})
        table.add_row(name, str(len(subset)), str(n_files), str(n_classes), _range(subset))
    return table


def _by_file(clips: tuple[CalibrationClip, ...]) -> Table:
    table = plain_table("file", "corpus", right=("from, s", "dBFS"), then=("SHA-256 begins",))
    for c in clips:
        table.add_row(c.name, c.corpus, f"{c.start_s:.2f}", f"{c.level_dbfs:.1f}", c.sha256[:16])
    return table


def _range(clips: list[CalibrationClip]) -> str:
    levels = [clip.level_dbfs for clip in clips]
    return f"{min(levels):.0f} to {max(levels):.0f}" if levels else ""
