"""`edge-ser pretrain`: pretrain an encoder on unlabelled speech."""

from __future__ import annotations

from pathlib import Path

import click

from edge_ser.cli._shared.cache import default_cache
from edge_ser.cli._shared.options import (
    cache_option,
    config_option,
    corpus_option,
    microphones_option,
    noise_option,
    resume_option,
    run_directory_option,
    train_device_option,
    train_seed_option,
    train_threads_option,
)
from edge_ser.cli._shared.training_session import (
    choose_device,
    read_config,
    require_training_packages,
    resumable,
    show_epochs,
    show_start,
)


@click.command(name="pretrain")
@corpus_option(
    "Training speech, as for `edge-ser train`; its labels are not used. Repeat for several."
)
@run_directory_option
@resume_option("Continue the run in --out after its last epoch.")
@config_option("JSON file with settings, as for `edge-ser train`; overrides the recipe distilled.")
@train_seed_option
@train_device_option
@train_threads_option("CPU threads of each process.  [default: half the processors]")
@cache_option("Cache of the teacher's frames of each clip.  [default: ~/.cache/edge-ser]")
@noise_option
@microphones_option
def command(
    corpora: tuple[str, ...],
    out: Path,
    resume: bool,
    config_file: Path | None,
    seed: int | None,
    device: str,
    threads: int | None,
    cache: Path | None,
    noise: tuple[Path, ...],
    microphones: tuple[Path, ...],
) -> None:
    """Train an encoder to reproduce a speech encoder's outputs on unlabelled speech.

    \b
      edge-ser pretrain --corpus RAVDESS=DIR --corpus unlabelled:crowd=DIR \\
        --out runs/encoder
      edge-ser train --recipe distilled --corpus EMO-DB=DIR --encoder runs/encoder \\
        --out runs/emodb

    Any speech is suitable, except clips for later tests: `edge-ser train --encoder` refuses test and
    validation clips that the encoder was trained on. To continue an interrupted run:
    `edge-ser pretrain --resume --out RUN`.
    """
    if resume and (corpora or config_file or seed is not None or noise or microphones):
        raise click.UsageError("--resume takes all settings from the run; give only --out")
    if not resume and not corpora:
        raise click.UsageError(
            "expected --corpus NAME=DIR, got none; for example: --corpus RAVDESS=DIR"
        )
    require_training_packages()

    from rich.console import Console

    from edge_ser.training import recipes
    from edge_ser.training.augmentation.sounds import Sounds
    from edge_ser.training.config import TrainConfig
    from edge_ser.training.distillation.pretrain import (
        plan_pretraining,
        replan_pretraining,
        start_pretraining,
    )
    from edge_ser.training.distributed import find_process_group

    group = find_process_group()
    console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=not group.is_main)
    if resume:
        job = replan_pretraining(out)
    else:
        given = {} if seed is None else {"seed": seed}
        config = read_config(TrainConfig, config_file, given, recipes.DISTILLED)
        job = plan_pretraining(corpora, config, Sounds.find(noise, microphones))
    console.print(f"{len(job.clips)} clips of {len(job.corpora)} corpora, labels not used")
    training_device = choose_device(device, threads, group)
    with group.connected(training_device):
        cache_dir = cache or default_cache()
        trainer = show_start(
            console,
            lambda show: start_pretraining(
                job, out, training_device, show, resume, cache_dir, group
            ),
        )
        with resumable("pretrain", out, lambda: trainer.history):
            show_epochs(console, trainer)
    console.print(
        f"next: edge-ser train --corpus NAME=DIR --encoder {out} --out runs/model", markup=False
    )
