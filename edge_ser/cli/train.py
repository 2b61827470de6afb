"""`edge-ser train`: train a model on speech corpora and write a run directory."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser._util.callbacks import OnProgress
from edge_ser.cli._shared.cache import default_cache
from edge_ser.cli._shared.options import (
    cache_option,
    config_option,
    corpus_option,
    folds_option,
    labels_option,
    microphones_option,
    noise_option,
    resume_option,
    run_directory_option,
    train_device_option,
    train_seed_option,
    train_threads_option,
    validation_speakers_option,
    weights_licence_option,
)
from edge_ser.cli._shared.progress import progress_bars, stage_bars
from edge_ser.cli._shared.training_session import (
    choose_device,
    read_config,
    require_training_packages,
    resumable,
    show_epochs,
    show_start,
)
from edge_ser.corpora import Terms, parse_licences
from edge_ser.errors import ConfigError
from edge_ser.splits import PROTOCOLS, SplitConfig
from edge_ser.training.run_record import (
    COMPACT,
    DISTILLED,
    PAPER,
    RECIPE_ALIASES,
    RECIPES,
    recipe_of,
)

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from edge_ser.training.baselines.paper.run import PaperJob, PaperRun
    from edge_ser.training.baselines.paper.trainer import PaperTrainer
    from edge_ser.training.job import Job
    from edge_ser.training.trainer import Trainer

_PROTOCOL_HELP = "\b\nProtocols, and what training and test clips share:\n" + "\n".join(
    textwrap.fill(
        f"{protocol.name:<21}{protocol.declares}",
        width=76,
        initial_indent="  ",
        subsequent_indent=" " * 23,
        break_on_hyphens=False,
    )
    for protocol in PROTOCOLS.values()
)


class Recipe(click.Choice):  # type: ignore[type-arg]  # (generic since click 8.2 only)
    """Parameter type: the name of a recipe; former names are accepted as aliases."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Return the current name of the recipe."""
        return super().convert(RECIPE_ALIASES.get(str(value), value), param, ctx)


@click.command(name="train", epilog=_PROTOCOL_HELP)
@corpus_option(
    "Corpus: RAVDESS, EMO-DB, TESS, SAVEE, EMOVO, CREMA-D or nEMO with its folder; or "
    "folder:NAME=DIR (label/speaker/clip.wav), csv:NAME=FILE, neutral:NAME=DIR or "
    "unlabelled:NAME=DIR for your own recordings. Repeat for several."
)
@run_directory_option
@resume_option("Continue the run in --out after its last epoch.")
@click.option(
    "--recipe",
    type=Recipe(RECIPES),
    help="compact: the network that edge-ser ships. distilled: the same network with a speech encoder "
    "as teacher; more accurate, slower to start. paper: the network of arXiv 2507.03251 with its "
    "features, augmented copies and optimiser; it cannot be exported.  [default: compact]",
)
@click.option(
    "--protocol",
    type=click.Choice(tuple(PROTOCOLS)),
    help="What training and test clips may share; see below.  [default: speaker-independent]",
)
@folds_option(
    "drawn, leave-one-speaker-out or a number of folds of speakers; for clip-grouped a number "
    "of folds of clips.  [default: drawn; 5 for clip-grouped]"
)
@click.option(
    "--fold",
    metavar="NAME",
    help="Fold to train, if the protocol has several: 1, EMO-DB/03, TESS.",
)
@click.option(
    "--test-speakers",
    metavar="A,B,...",
    help="Test speakers (1,11 or RAVDESS/1,EMO-DB/03), or none.  [default: a fifth of each corpus]",
)
@validation_speakers_option(
    "Speakers on which the epoch is selected, drawn, or none for a fixed number of epochs.  "
    "[default: a sixth of the others; none for clip-grouped, paper and --recipe paper]"
)
@labels_option("Emotions to learn, or all.  [default: those that every corpus has]")
@weights_licence_option(
    "Licence of the weights, for `edge-ser export`; commercial refuses corpora that forbid it."
)
@click.option(
    "--corpus-licence",
    "corpus_licences",
    multiple=True,
    metavar="NAME=TERMS",
    help="Licence of your own recordings, for the card. Repeat for several.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="Largest number of epochs; exact for --recipe paper.  [default: 60; distilled: 24; paper: 100]",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="Stop after this many epochs without improvement; not for --recipe paper.  [default: 20]",
)
@click.option(
    "--batch-size", type=click.IntRange(2), help="Clips in a batch.  [default: 32; paper: 16]"
)
@click.option(
    "--learning-rate", type=float, help="Peak learning rate.  [default: 0.002; paper: 1e-05]"
)
@train_seed_option
@config_option("JSON file with settings, as under `config` in a run.json; options override it.")
@train_device_option
@train_threads_option("CPU threads of each process.  [default: half the processors]")
@cache_option(
    "Cache of the features of each clip and the teacher's frames: about 0.1 MB a clip and "
    "variant.  [default: ~/.cache/edge-ser]"
)
@click.option(
    "--unlabelled",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Speech without labels, for distillation from the teacher (imitation_epochs in --config): "
    "every audio file below DIR. Repeat for several.",
)
@click.option(
    "--encoder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Start from the encoder of a run of `edge-ser pretrain` with the same channels and strides.",
)
@noise_option
@microphones_option
def command(
    corpora: tuple[str, ...],
    out: Path,
    resume: bool,
    recipe: str | None,
    protocol: str | None,
    folds: str | None,
    fold: str | None,
    test_speakers: str | None,
    validation_speakers: str | None,
    labels: str | None,
    weights_licence: str | None,
    corpus_licences: tuple[str, ...],
    config_file: Path | None,
    device: str,
    threads: int | None,
    cache: Path | None,
    unlabelled: tuple[Path, ...],
    encoder: Path | None,
    noise: tuple[Path, ...],
    microphones: tuple[Path, ...],
    **settings: float | None,
) -> None:
    """Train the compact attention 1D-CNN and measure it on test speakers.

    \b
      edge-ser train --corpus EMO-DB=DIR --out runs/emodb
      edge-ser train --corpus RAVDESS=DIR --test-speakers 1,11 --out runs/ravdess
      edge-ser train --recipe distilled --corpus RAVDESS=DIR --out runs/distilled
      edge-ser train --recipe paper --protocol paper --corpus EMO-DB=DIR \\
        --out runs/paper

    The default protocol is speaker-independent: no speaker of the validation or test clips is in
    training. Before every training the split is checked for leaks, and any overlap that the protocol
    does not declare is refused. RUN then holds run.json, the checkpoints, metrics.json, curves.png and
    confusion matrices. To continue an interrupted run: `edge-ser train --resume --out RUN`.

    --recipe paper splits the clips in the same way, trains for a fixed number of epochs without
    validation, and writes the last weights and the mean and deviation of the rows to
    weights.safetensors; its settings file has the fields of PaperConfig.

    On several GPUs: torchrun --nproc-per-node 2 -m edge_ser train ...
    """
    given = {name: value for name, value in settings.items() if value is not None}
    options = {
        "protocol": protocol,
        "folds": folds,
        "fold": fold,
        "test_speakers": test_speakers,
        "validation_speakers": validation_speakers,
    }
    split = SplitConfig(**{name: value for name, value in options.items() if value})
    terms = Terms(weights_licence or "", parse_licences(corpus_licences))
    stated = (given, labels, weights_licence, corpus_licences, *options.values())
    speech = (corpora, unlabelled, encoder, noise, microphones)
    if resume and any((recipe, config_file, *speech, *stated)):
        raise click.UsageError("--resume takes all settings from the run; give only --out")
    corpora += tuple(f"unlabelled:{path.absolute().name}={path}" for path in unlabelled)
    if not resume and not corpora:
        raise click.UsageError(
            "expected --corpus NAME=DIR, got none; for example: --corpus RAVDESS=DIR"
        )
    if recipe == PAPER:
        _refuse_for_paper("patience" in given, noise or microphones, unlabelled or encoder)
    require_training_packages()

    from rich.console import Console

    from edge_ser.training import recipes
    from edge_ser.training.augmentation.sounds import Sounds
    from edge_ser.training.config import TrainConfig
    from edge_ser.training.distributed import find_process_group
    from edge_ser.training.job import plan, replan, start

    group = find_process_group()
    console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=not group.is_main)
    if (recipe_of(out) if resume else recipe) == PAPER:
        from edge_ser.training.baselines.paper import run as paper
        from edge_ser.training.baselines.paper.settings import PaperConfig

        if resume:
            paper_job = paper.replan(out)
        else:
            paper_config = read_config(PaperConfig, config_file, given)
            paper_job = paper.plan(corpora, paper_config, labels, split, terms)
        _train_paper(console, paper_job, out, choose_device(device, threads, group), resume)
        return
    if resume:
        job = replan(out)
    else:
        base = recipes.DISTILLED if recipe == DISTILLED else {}
        config = read_config(TrainConfig, config_file, given, base)
        job = plan(corpora, config, labels, split, terms, Sounds.find(noise, microphones))
    training_device = choose_device(device, threads, group)
    cache_dir = cache or default_cache()
    with group.connected(training_device):
        _train_compact(
            console,
            job,
            out,
            lambda show: start(job, out, training_device, show, resume, cache_dir, group, encoder),
        )


def _train_compact(
    console: Console, job: Job, out: Path, begin: Callable[[OnProgress], Trainer]
) -> None:
    """Train the compact network, measure it and print the figures."""
    from edge_ser.cli.tables.train import show_calibration, show_job, show_result
    from edge_ser.training.job import finish

    show_job(console, job)
    trainer = show_start(console, begin)
    with resumable("train", out, lambda: trainer.history):
        show_epochs(console, trainer)
    if trainer.group.is_main:
        accuracies, calibration = finish(job, trainer)
        show_result(console, COMPACT, job, accuracies, out)
        show_calibration(console, calibration)
        console.print(f"next: edge-ser export {out} --out model.onnx", markup=False)


def _refuse_for_paper(patience: bool, sounds: object, imitation: object) -> None:
    if patience:
        raise click.UsageError(
            "--patience does not apply to --recipe paper, which trains for a fixed number of epochs; "
            "use --epochs"
        )
    if sounds:
        raise click.UsageError(
            "--noise and --microphones are for scenes, which --recipe paper does not have; remove them, "
            "or train with --recipe compact"
        )
    if imitation:
        raise click.UsageError(
            "--unlabelled and --encoder are for a teacher, which --recipe paper does not have; remove "
            "them, or train with --recipe distilled"
        )


def _train_paper(
    console: Console, job: PaperJob, out: Path, device: torch.device, resume: bool
) -> None:
    """Train with the paper's recipe, write the run directory and print the figures.

    Raises:
        EdgeSerError: raised by `paper.run`.
        TrainingError: training was interrupted; the message holds the command that continues it.
    """
    from edge_ser.cli.tables.train import show_job, show_result
    from edge_ser.training.baselines.paper.run import finish

    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError(
            f"expected one process for the paper's recipe, got {os.environ['WORLD_SIZE']}; start it "
            "without torchrun"
        )
    show_job(console, job)
    for note in job.notes:
        console.print(f"differs from the paper: {note}", markup=False)
    started = _start_paper(console, job, out, device, resume)
    with resumable("train", out, lambda: started.trainer.history):
        _train_paper_epochs(console, started.trainer)
    show_result(console, PAPER, job, finish(started), out)


def _start_paper(
    console: Console, job: PaperJob, out: Path, device: torch.device, resume: bool
) -> PaperRun:
    from edge_ser.training.baselines.paper.run import start
    from edge_ser.training.model import count_parameters

    with stage_bars(console) as on_progress:
        started = start(job, out, device, lambda share: on_progress("features", share), resume)
    rows, trainer = started.rows, started.trainer
    n_rows, length = rows.train.shape
    console.print(
        f"{n_rows:,} training rows of {length:,} values; {len(job.labels)} classes, "
        f"{count_parameters(trainer.network):,} parameters, on {device}"
        + (f", resumed after epoch {len(trainer.history)}" if resume else "")
    )
    return started


def _train_paper_epochs(console: Console, trainer: PaperTrainer) -> None:
    total = trainer.config.epochs
    with progress_bars(console) as progress:
        task = progress.add_task("training", total=total, completed=len(trainer.history))
        for epoch in trainer.epochs(lambda share: progress.update(task, completed=share * total)):
            console.print(
                f"epoch {epoch.epoch + 1:3}/{total}  loss {epoch.loss:.3f}  "
                f"training accuracy {epoch.accuracy:6.1%}"
            )
