"""`edge-ser train --recipe paper`: the paper's network trained before one's eyes, and measured."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ser.cli._shared.progress import progress_bars, stage_bars
from edge_ser.cli._shared.training_session import resumable
from edge_ser.cli.tables.train import show_job, show_result
from edge_ser.errors import ConfigError
from edge_ser.training.run_record import PAPER

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from edge_ser.training.baselines.paper.run import PaperJob, PaperRun
    from edge_ser.training.baselines.paper.trainer import PaperTrainer


def train_paper(
    console: Console, job: PaperJob, out: Path, device: torch.device, resume: bool
) -> None:
    """Train by the paper's recipe, write the run directory and show the figures.

    Raises:
        EdgeSerError: what `paper.run` raises.
        TrainingError: it was stopped; the message says how to go on.
    """
    from edge_ser.training.baselines.paper.run import finish

    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError(
            f"{os.environ['WORLD_SIZE']} processes came, the paper's recipe trains in one; start it "
            "without torchrun"
        )
    show_job(console, job)
    for note in job.notes:
        console.print(f"not as in the paper: {note}", markup=False)
    started = _start(console, job, out, device, resume)
    with resumable("train", out, lambda: started.trainer.history):
        _train(console, started.trainer)
    show_result(console, PAPER, job, finish(started), out)


def _start(
    console: Console, job: PaperJob, out: Path, device: torch.device, resume: bool
) -> PaperRun:
    from edge_ser.training.baselines.paper.run import start
    from edge_ser.training.model import count_parameters

    with stage_bars(console) as on_progress:
        started = start(job, out, device, lambda share: on_progress("features", share), resume)
    rows, trainer = started.rows, started.trainer
    n_rows, length = rows.train.shape
    console.print(
        f"{n_rows:,} rows of {length:,} numbers to learn from; {len(job.labels)} classes, "
        f"{count_parameters(trainer.network):,} parameters, on {device}"
        + (f", resumed after epoch {len(trainer.history)}" if resume else "")
    )
    return started


def _train(console: Console, trainer: PaperTrainer) -> None:
    total = trainer.config.epochs
    with progress_bars(console) as progress:
        task = progress.add_task("training", total=total, completed=len(trainer.history))
        for epoch in trainer.epochs(lambda share: progress.update(task, completed=share * total)):
            console.print(
                f"epoch {epoch.epoch + 1:3}/{total}  loss {epoch.loss:.3f}  "
                f"training accuracy {epoch.accuracy:6.1%}"
            )
