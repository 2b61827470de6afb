"""Output of `train` for any recipe: clips and split before training, figures after it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ser.cli._shared.tables import plain_table
from edge_ser.splits import Shared, speakers
from edge_ser.splits.other import PAPER
from edge_ser.splits.speaker_independent import SPEAKER_INDEPENDENT

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.card import Accuracy
    from edge_ser.training.job import DataSplit
    from edge_ser.training.temperature import Calibration


def show_job(console: Console, job: DataSplit) -> None:
    """Print the content of the corpora, the split and its leaks."""
    from rich.markup import escape

    from edge_ser.corpora import describe

    recordings = {clip.path: clip for clip in job.clips}
    rows = "clips" if len(recordings) == len(job.clips) else "rows"
    for summary in describe(recordings.values()):
        official = summary.n_official
        part = f" of {official}" if official not in (None, summary.n_clips) else ""
        emotions = ", ".join(f"{name} {n}" for name, n in summary.emotions.items())
        known = f"{summary.n_speakers} speakers" if summary.n_speakers else "speakers unknown"
        console.print(
            f"[bold]{escape(summary.corpus)}[/]: {summary.n_clips}{part} clips, "
            f"{known}; {escape(emotions)}"
        )
    if job.left_out:
        left = ", ".join(f"{name} {n}" for name, n in sorted(job.left_out.items()))
        console.print(f"left out, not among the labels: {escape(left)}")
    console.print(f"protocol: [bold]{job.fold.protocol}[/], fold {escape(job.fold.name)}")
    for name, clips in (
        ("training", job.fold.train),
        ("validation", job.fold.validation),
        ("test", job.fold.test),
    ):
        who = ", ".join(speakers(clips)) or "none"
        console.print(f"  {name:<10} {len(clips):5} {rows}: {escape(who)}")
    console.print(f"leaks: {escape(job.leaks.summary)}")


def show_result(
    console: Console, recipe: str, job: DataSplit, accuracies: tuple[Accuracy, ...], out: Path
) -> None:
    """Print the figures, with a warning if copies of test clips were in training."""
    from rich.markup import escape

    table = plain_table("protocol", "split", "corpus", right=("speakers", "clips", "WA", "UAR"))
    for a in accuracies:
        table.add_row(
            a.protocol,
            a.split,
            escape(a.corpus),
            str(len(a.speakers)),
            str(a.n_clips),
            f"{a.wa:.1%}",
            f"{a.uar:.1%}",
        )
    console.print(table)
    if job.fold.protocol == PAPER:
        console.print(_warning(recipe, job, out), markup=False)
    console.print(f"written: {out}", markup=False)


def show_calibration(console: Console, calibration: Calibration) -> None:
    """Print the calibration of the probabilities and the abstain threshold."""
    if not calibration.n_clips:
        console.print("not calibrated: there are no validation clips")
        return
    console.print(
        f"calibrated on {calibration.n_clips} validation clips: temperature "
        f"{calibration.temperature:.2f}, expected calibration error {calibration.ece_before:.3f} "
        f"before, {calibration.ece_after:.3f} after; no label below a probability of "
        f"{calibration.abstain_below:.2f}"
    )


def _warning(recipe: str, job: DataSplit, out: Path) -> str:
    n_rows = sum(o.n_rows for o in job.leaks.found if o.kind == Shared.COPIES and o.held == "test")
    arguments = ["edge-ser", "train", "--recipe", recipe, "--protocol", SPEAKER_INDEPENDENT]
    for corpus in job.corpora:
        arguments += ["--corpus", corpus]
    command = shlex.join([*arguments, "--out", f"{out}-{SPEAKER_INDEPENDENT}"])
    return (
        f"This figure counts clips whose augmented copies were in training ({n_rows:,} of "
        f"{len(job.fold.test):,} test rows) and measures memorisation. For the figure on new "
        f"speakers with the same settings, run: {command}"
    )
