"""Run of the paper's recipe, from corpora to weights, metrics and plots."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from edge_ser._util.callbacks import OnShare
from edge_ser.card import Accuracy
from edge_ser.corpora import Terms
from edge_ser.errors import ConfigError
from edge_ser.metrics import weighted_accuracy
from edge_ser.scores import Scores
from edge_ser.splits import SplitConfig, fold_digest
from edge_ser.splits.choice import NONE
from edge_ser.training.baselines.paper.features import FeatureRows, PaperRows, prepare
from edge_ser.training.baselines.paper.settings import PaperConfig, deviations
from edge_ser.training.baselines.paper.trainer import PaperTrainer
from edge_ser.training.checkpoint import LAST, save_checkpoint, with_prefix
from edge_ser.training.job import DataSplit, split_again, split_corpora, write_figures
from edge_ser.training.model import count_parameters
from edge_ser.training.plots import draw_paper_curves
from edge_ser.training.run_record import PAPER, RunFacts, refuse_unusable

WEIGHTS = "weights.safetensors"
"""File of the network (`network.*`) and the rows' mean and deviation (`standardizer.*`)."""


@dataclass(frozen=True, kw_only=True)
class PaperRecord(RunFacts):
    """Record of a run of the paper's recipe."""

    recipe: str = PAPER
    config: PaperConfig
    notes: tuple[str, ...]
    """Deviations from the paper's recipe."""
    length: int
    """Length of a row."""
    n_parameters: int


@dataclass(frozen=True)
class PaperJob(DataSplit):
    """A split of clips and the settings of the paper's recipe."""

    config: PaperConfig

    @property
    def notes(self) -> tuple[str, ...]:
        """Deviations from the paper's recipe."""
        return deviations(self.config, self.fold)


@dataclass(frozen=True)
class PaperRun:
    """Run with computed features; iterate over `trainer.epochs`, then call `finish`."""

    job: PaperJob
    run: Path
    rows: PaperRows
    trainer: PaperTrainer


def plan(
    corpora: Sequence[str],
    config: PaperConfig,
    labels: str | None = None,
    split: SplitConfig | None = None,
    terms: Terms | None = None,
) -> PaperJob:
    """Split the corpora as `job.split_corpora` does, without validation clips.

    Raises:
        ConfigError: validation speakers are named, or the fold has no test clips.
        ConfigError, CorpusError, LeakError: see `split_corpora`.
    """
    split = split or SplitConfig()
    requested = split.validation_speakers
    if requested.strip().lower() not in ("", NONE):
        raise ConfigError(
            f"--validation-speakers {requested} is not used: the paper's recipe trains for a fixed "
            "number of epochs; leave the option out"
        )
    split = dataclasses.replace(split, validation_speakers=NONE)
    data_split = split_corpora(corpora, config.seed, labels, split, terms)
    if not data_split.fold.test:
        raise ConfigError(
            "expected test clips, got none: the network of the paper's recipe is not exported, so "
            "a run without a test has no use; name --test-speakers, or leave the option out"
        )
    return PaperJob(**vars(data_split), config=config)


def replan(run: Path) -> PaperJob:
    """Return the job of an interrupted run; raises as `job.replan`."""
    record = PaperRecord.load(run)
    return PaperJob(**vars(split_again(run, record, record.config.seed)), config=record.config)


def start(
    job: PaperJob,
    run: Path,
    device: torch.device,
    progress: OnShare = lambda _: None,
    resume: bool = False,
) -> PaperRun:
    """Compute the features, write the record and return the run, ready to train.

    Args:
        job: clips and settings.
        run: the run directory.
        device: device of the network.
        progress: called after each clip with the share of the features that is done.
        resume: continue after the last complete epoch.

    Raises:
        TrainingError: the directory holds another run, or a checkpoint that does not belong to it.
        ConfigError: the directory cannot be written.
        AudioError: a clip cannot be read, or is too short.
    """
    refuse_unusable(run, resume)
    config = job.config
    rows = prepare(job.fold, job.labels, config.copies, FeatureRows(config.seed), progress)
    # Not the rows themselves: their last bits depend on the number of threads.
    identity = {
        "settings": dataclasses.asdict(config),
        "labels": job.labels,
        "fold": fold_digest(job.fold),
    }
    trainer = PaperTrainer(
        config, rows.train, rows.targets, len(job.labels), device, run / LAST, identity
    )
    if resume:
        trainer.resume()
    else:
        PaperRecord(
            config=config,
            notes=job.notes,
            length=rows.train.shape[1],
            n_parameters=count_parameters(trainer.network),
            **job.facts,
        ).save(run)
    return PaperRun(job, run, rows, trainer)


def finish(started: PaperRun) -> tuple[Accuracy, ...]:
    """Evaluate the last epoch on the test rows; write weights, metrics and plots."""
    job, rows, trainer = started.job, started.rows, started.trainer
    tensors = with_prefix("network", trainer.network.state_dict())
    tensors |= with_prefix(
        "standardizer",
        {
            "mean": torch.from_numpy(rows.standardizer.mean),
            "std": torch.from_numpy(rows.standardizer.std),
        },
    )
    save_checkpoint(started.run / WEIGHTS, tensors, {"labels": job.labels})
    scores = Scores.of(trainer.predict(rows.test), job.targets(job.fold.test))
    draw_paper_curves(
        started.run / "curves.png",
        [epoch.loss for epoch in trainer.history],
        [epoch.accuracy for epoch in trainer.history],
        weighted_accuracy(scores.confusion),
    )
    return write_figures(job, started.run, {"test": scores})
