"""Pretraining of the encoder: it learns to imitate the teacher on speech without labels."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from edge_ser._util.callbacks import OnProgress
from edge_ser._util.hashing import content_digest
from edge_ser.corpora import Clip, load_corpora
from edge_ser.errors import ConfigError, TrainingError
from edge_ser.training.augmentation.sounds import Sounds
from edge_ser.training.classes import Classes
from edge_ser.training.config import TrainConfig
from edge_ser.training.distillation.encoder_record import EncoderRecord
from edge_ser.training.distributed import SINGLE_PROCESS, ProcessGroup
from edge_ser.training.features import FeatureHead, measure_normalization
from edge_ser.training.job import absolute_spec, compute_speech, uses_of
from edge_ser.training.run_record import refuse_unusable
from edge_ser.training.sampling import sampling_weights
from edge_ser.training.trainer import Trainer

_N_CLASSES = 2
"""Outputs of the classification head, which pretraining does not use."""


@dataclass(frozen=True)
class PretrainJob:
    """Speech to train on, and the settings."""

    corpora: tuple[str, ...]
    clips: tuple[Clip, ...]
    config: TrainConfig
    sounds: Sounds = field(default_factory=Sounds)


def plan_pretraining(
    corpora: Sequence[str], config: TrainConfig, sounds: Sounds | None = None
) -> PretrainJob:
    """Return the pretraining job for corpora.

    Args:
        corpora: `NAME=DIR` each, labelled or unlabelled.
        config: settings with `imitation_epochs` and `teacher_weight` above 0.
        sounds: recordings for the scenes of the augmentation.

    Raises:
        ConfigError, CorpusError: settings or corpora that do not fit.
    """
    if not config.imitation_epochs:
        raise ConfigError(
            "expected imitation_epochs above 0, got 0; set it in --config, for example "
            '{"imitation_epochs": 40, "teacher_weight": 20}'
        )
    sounds = sounds or Sounds()
    config.augment.scene.require_sounds(sounds)
    return PretrainJob(tuple(map(absolute_spec, corpora)), load_corpora(corpora), config, sounds)


def replan_pretraining(run: Path) -> PretrainJob:
    """Return the job of an interrupted run.

    Raises:
        TrainingError: no run there.
        CorpusError: the corpora are missing.
    """
    record = EncoderRecord.load(run)
    return PretrainJob(record.corpora, load_corpora(record.corpora), record.config, record.sounds)


def start_pretraining(
    job: PretrainJob,
    run: Path,
    device: torch.device,
    progress: OnProgress = lambda *_: None,
    resume: bool = False,
    cache: Path | None = None,
    group: ProcessGroup = SINGLE_PROCESS,
) -> Trainer:
    """Compute features and the teacher's output, and return the trainer; arguments as `job.start`.

    Raises:
        TrainingError: the directory holds another run, or other speech than before.
        AudioError: a clip cannot be read.
        ConfigError, MissingDependency: the directory cannot be written, or no teacher is installed.
    """
    config = job.config
    if group.is_main:
        refuse_unusable(run, resume)
    contents = tuple(sorted({content_digest(clip.path) for clip in job.clips}))
    record = None
    if resume:
        record = EncoderRecord.load(run)
        if record.contents != contents:
            raise TrainingError(
                f"expected the speech that {run} was started with, got other files; restore them, or "
                "pretrain anew in another directory"
            )
    bank, teacher_targets = compute_speech(job.clips, config, job.sounds, progress, cache)
    if record is None:
        record = EncoderRecord(
            config=config,
            model=config.model(_N_CLASSES),
            normalization=measure_normalization(bank, FeatureHead(config.frontend)),
            corpora=job.corpora,
            used=uses_of(job.clips),
            contents=contents,
            sounds=job.sounds,
            created=datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat(),
        )
        if group.is_main:
            record.save(run)
    sampling = sampling_weights(job.clips, config.balance, config.crowd_share, config.draws_clips)
    classes = Classes.none(_N_CLASSES)
    trainer = Trainer(
        record, bank, classes, {}, run, device, teacher_targets, group, sampling=sampling
    )
    if resume:
        trainer.resume()
    return trainer
