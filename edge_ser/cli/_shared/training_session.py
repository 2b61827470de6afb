"""Settings, device, progress and Ctrl-C of `train` and `pretrain`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from edge_ser._util.callbacks import OnProgress
from edge_ser.cli._shared.progress import progress_bars, stage_bars
from edge_ser.errors import ConfigError, TrainingError, missing_extra

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from edge_ser.training.baselines.paper.settings import PaperConfig
    from edge_ser.training.config import TrainConfig
    from edge_ser.training.distributed import ProcessGroup
    from edge_ser.training.trainer import Trainer

Config = TypeVar("Config", "TrainConfig", "PaperConfig")


def require_training_packages() -> None:
    """Raise a MissingDependency if a package of the `train` extra is not installed."""
    for package in ("torch", "safetensors", "matplotlib"):
        try:
            __import__(package)
        except ImportError:
            raise missing_extra(package, "train") from None


def read_config(
    kind: type[Config],
    path: Path | None,
    given: Mapping[str, float],
    base: Mapping[str, object] = MappingProxyType({}),
) -> Config:
    """Return the settings: `base`, overridden by the file, then by the options in `given`."""
    from edge_ser._util.files import read_json
    from edge_ser._util.records import build
    from edge_ser.training.recipes import overlaid

    data = {} if path is None else read_json(path)
    if isinstance(data, dict):
        data = overlaid(base, data)
    return dataclasses.replace(build(kind, data, str(path)), **given)  # type: ignore[arg-type]


def choose_device(name: str, threads: int | None, group: ProcessGroup) -> torch.device:
    """Return the training device and set the number of torch threads.

    Raises:
        ConfigError: no CUDA device, or fewer devices than processes.
    """
    import torch

    torch.set_num_threads(threads or max(1, (os.cpu_count() or 2) // 2 // group.local_size))
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device cuda requires a CUDA device, torch finds none; use --device cpu"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and group.size > 1:
        if group.local_size > (n_gpus := torch.cuda.device_count()):
            raise ConfigError(
                f"torchrun started {group.local_size} processes here, torch finds {n_gpus} CUDA "
                f"device(s); use --nproc-per-node {n_gpus}, or --device cpu"
            )
        return torch.device("cuda", group.local_rank)
    return torch.device(name)


@contextmanager
def resumable(command: str, out: Path, history: Callable[[], Sized]) -> Iterator[None]:
    """Report Ctrl-C as a TrainingError that says how to continue.

    Args:
        command: `train` or `pretrain`.
        out: the run directory.
        history: returns the complete epochs.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise TrainingError(
            f"stopped after {len(history())} complete epoch(s); "
            f"continue with: edge-ser {command} --resume --out {out}"
        ) from None


def show_start(console: Console, start: Callable[[OnProgress], Trainer]) -> Trainer:
    """Return the trainer of `start`, with a progress bar for each preparation stage.

    Args:
        console: output of the bars.
        start: called with a function that takes the name of a stage and its progress in [0, 1].
    """
    from edge_ser.training.model import count_parameters

    with stage_bars(console) as on_progress:
        trainer = start(on_progress)
    done = len(trainer.history)
    console.print(
        f"{trainer.record.model.n_classes} classes, {count_parameters(trainer.model):,} parameters, "
        f"on {trainer.device}"
        + (f", {trainer.group.size} processes" if trainer.group.size > 1 else "")
        + (f", resumed after epoch {done}" if done else "")
    )
    return trainer


def show_epochs(console: Console, trainer: Trainer) -> None:
    """Train all epochs and print a line for each."""
    total = sum(phase.epochs for phase in trainer.phases)
    with progress_bars(console) as progress:
        run = progress.add_task("training", total=total, completed=len(trainer.history))
        steps = progress.add_task("epoch")
        for epoch in trainer.epochs(
            lambda done, of: progress.update(steps, completed=done, total=of)
        ):
            progress.update(run, completed=epoch.epoch + 1)
            validation = ""
            if epoch.wa is not None and epoch.uar is not None:
                validation = (
                    f"  validation: loss {epoch.validation_loss:.3f}  WA {epoch.wa:6.1%}  "
                    f"UAR {epoch.uar:6.1%}" + ("  [green]best[/]" if epoch.best else "")
                )
            loss = f"{epoch.phase:<9}  loss {epoch.train_loss:.3f}"
            console.print(f"epoch {epoch.epoch + 1:3}/{total}  {loss}{validation}")
    best = trainer.best
    if len(trainer.history) < total:
        console.print(f"stopped early: no improvement for {trainer.stale_epochs} epochs")
    console.print(f"kept: epoch {best.epoch + 1}")
