"""A training job from corpora to a run directory: choose clips, split, learn, measure, draw."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_ser.card import Accuracy, CorpusUse
from edge_ser.corpora import (
    CORPORA,
    Clip,
    CorpusKind,
    load_corpora,
    parse_spec,
    sort_emotions,
)
from edge_ser.errors import ConfigError, CorpusError, LeakError, TrainingError
from edge_ser.files import write_text
from edge_ser.metrics import confusion, recalls, unweighted_average_recall, weighted_accuracy
from edge_ser.protocols import (
    Fold,
    LeakReport,
    SplitOptions,
    choose_fold,
    data_digest,
    fold_digest,
    make_folds,
    refuse_leaks,
    speakers,
)
from edge_ser.scores import Scores
from edge_ser.training.calibration import Calibration, calibrate
from edge_ser.training.classes import Classes
from edge_ser.training.distributed import ALONE, Team
from edge_ser.training.features import Cepstrum, build_bank, measure_normalization
from edge_ser.training.model import ModelConfig
from edge_ser.training.plots import draw_confusion, draw_curves
from edge_ser.training.run_record import RunFacts, refuse_unusable
from edge_ser.training.scoring import HeardClips, hear
from edge_ser.training.settings import RunRecord, TrainConfig
from edge_ser.training.teacher import WIDTH, build_teacher_bank
from edge_ser.training.trainer import Trainer

METRICS_FILE = "metrics.json"

_MIN_LABELS = 2

_MIN_CLIPS = 2
"""Batch normalisation of one clip would divide by zero."""


@dataclass(frozen=True)
class Division:
    """Which clips are learned from and which are scored: decided and checked, nothing computed yet."""

    corpora: tuple[str, ...]
    split: SplitOptions
    """How the fold was asked for."""
    fold: Fold
    leaks: LeakReport
    labels: tuple[str, ...]
    left_out: dict[str, int]
    """Clips of emotions that are not among the labels, by emotion."""
    digest: str
    """Of the data; see `protocols.data_digest`."""

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All clips, training first, then validation, then test."""
        return self.fold.clips

    @property
    def scored(self) -> dict[str, tuple[Clip, ...]]:
        """The parts that are not trained on, by name."""
        return {"validation": self.fold.validation, "test": self.fold.test}

    def possible(self, clips: Sequence[Clip]) -> tuple[tuple[bool, ...], ...]:
        """Return for each clip which labels it could have had: those that occur in its corpus.

        A corpus without "calm" may well hold calm clips, labelled neutral: its clips say nothing of
        that label. One with a single label would say nothing at all, so its clips deny all others.
        """
        occurring: dict[str, set[str]] = {}
        for clip in self.clips:
            occurring.setdefault(clip.corpus, set()).add(clip.emotion)
        rows = {
            corpus: tuple(len(own) < _MIN_LABELS or label in own for label in self.labels)
            for corpus, own in occurring.items()
        }
        return tuple(rows[clip.corpus] for clip in clips)

    def targets(self, clips: Sequence[Clip]) -> tuple[int, ...]:
        """Return the class of each clip."""
        return tuple(self.labels.index(clip.emotion) for clip in clips)

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's record says of this, by the fields of `RunFacts`."""
        return {
            "labels": self.labels,
            "corpora": self.corpora,
            "used": _used(self.fold.train),
            "split": self.split,
            "fold": self.fold.name,
            "leaks": self.leaks,
            "train_speakers": speakers(self.fold.train),
            "validation_speakers": speakers(self.fold.validation),
            "test_speakers": speakers(self.fold.test),
            "data_digest": self.digest,
            "fold_digest": fold_digest(self.fold),
            "created": datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat(),
        }


@dataclass(frozen=True)
class Job(Division):
    """A division of clips, and what the compact recipe is told."""

    config: TrainConfig

    def hear(
        self, clips: Sequence[Clip], progress: Callable[[], None] = lambda: None
    ) -> HeardClips:
        """Return clips as a device hears them, to be scored; errors as `scoring.hear`."""
        return hear(clips, self.targets(clips), self.config, progress)


def plan(
    corpora: Sequence[str],
    config: TrainConfig,
    labels: str | frozenset[str] | None = None,
    split: SplitOptions | None = None,
) -> Job:
    """Divide the corpora for the compact recipe; arguments and errors as `divide`."""
    return Job(**vars(divide(corpora, config.seed, labels, split)), config=config)


def divide(
    corpora: Sequence[str],
    seed: int,
    labels: str | frozenset[str] | None = None,
    split: SplitOptions | None = None,
) -> Division:
    """Read the corpora's file names, decide labels and fold, and look for leaks between its parts.

    Args:
        corpora: `NAME=DIR` each.
        seed: decides which speakers or clips are drawn.
        labels: comma-separated emotions; `all` for every one that occurs; a set of exact names;
            None for those that every corpus has.
        split: protocol, fold and speakers; by default drawn, speaker-independent.

    Raises:
        CorpusError, ConfigError: the corpora, labels, fold or speakers do not fit.
        LeakError: more stands on both sides than the protocol declares.
    """
    split = split or SplitOptions()
    clips = load_corpora(corpora)
    chosen = _choose_labels(clips, labels)
    left_out = Counter(clip.emotion for clip in clips if clip.emotion not in chosen)
    kept = [clip for clip in clips if clip.emotion in chosen]
    fold = choose_fold(make_folds(kept, split, seed), split.fold)
    if unheard := sort_emotions(set(chosen) - {clip.emotion for clip in fold.train}):
        raise ConfigError(
            f"no training speaker says {', '.join(unheard)}, so it could never be learned; name other "
            "speakers, or leave it out with --labels"
        )
    if len(fold.train) < _MIN_CLIPS:
        raise ConfigError("1 clip is left for training, two or more are needed; add recordings")
    return Division(
        corpora=tuple(_absolute(spec) for spec in corpora),
        split=split,
        fold=fold,
        leaks=refuse_leaks(fold),
        labels=chosen,
        left_out=dict(left_out),
        digest=data_digest(kept),
    )


def replan(run: Path) -> Job:
    """Return the job of an interrupted run, checked against the corpora as they are now.

    Raises:
        TrainingError: no run there, or the corpora have changed since.
    """
    record = RunRecord.load(run)
    return Job(**vars(divide_again(run, record, record.config.seed)), config=record.config)


def divide_again(run: Path, record: RunFacts, seed: int) -> Division:
    """Return the division that a run's record tells of, checked against the corpora as they are now.

    Raises:
        TrainingError: the corpora have changed since.
    """
    changed = TrainingError(
        f"the corpora are not those that {run} was trained on ({', '.join(record.corpora)}): "
        "files were added, removed or changed; restore them, or train anew"
    )
    try:
        division = divide(record.corpora, seed, frozenset(record.labels), record.split)
    except (ConfigError, CorpusError, LeakError) as error:
        raise TrainingError(f"{changed} ({error})") from None
    if division.digest != record.data_digest:
        raise changed
    if fold_digest(division.fold) != record.fold_digest:
        raise TrainingError(
            f"{run} was trained on another fold {record.fold!r} than this version of edge-ser makes; "
            "go on with the version that began it, or train anew"
        )
    return division


def start(
    job: Job,
    run: Path,
    device: torch.device,
    progress: Callable[[str, float], None] = lambda *_: None,
    resume: bool = False,
    cache: Path | None = None,
    team: Team = ALONE,
) -> Trainer:
    """Compute the features and return the trainer, its run directory written.

    Args:
        job: what to train on.
        run: the run directory.
        device: where the network lives.
        progress: called after each clip with what is computed, `features` or `teacher`, and the share
            of it that is done.
        resume: go on after the last epoch that is there.
        cache: a directory that keeps what the teacher said of each clip.
        team: the processes that train together.

    Raises:
        TrainingError: the directory holds another run, or a checkpoint that does not belong to it.
        ConfigError: the directory cannot be written, or the team is too large for the batches.
        AudioError: a clip cannot be read.
        MissingDependency: there is no teacher.
    """
    config, train = job.config, job.fold.train
    team.require_batches_of(min(config.batch_size, len(train)))
    if team.leads:
        refuse_unusable(run, resume)
        if resume:
            _refuse_other_team(run, team)
    on_clip = _counted(progress, "features", len(job.clips))
    variants = config.augment.variants
    bank = build_bank(train, config.frontend, variants, on_clip)
    # The test clips are read now too: one that is damaged should not end a training of hours.
    heard = {name: job.hear(clips, on_clip) for name, clips in job.scored.items()}
    lessons = None
    if config.teacher_weight:
        on_clip = _counted(progress, "teacher", len(train))
        lessons = build_teacher_bank(train, variants, cache, on_clip)
    if resume:
        record = RunRecord.load(run)
    else:
        record = RunRecord(
            config=config,
            model=ModelConfig(
                n_features=config.frontend.n_features,
                n_classes=len(job.labels),
                channels=config.channels,
                strides=config.strides,
                embedding=WIDTH if config.teacher_weight else 0,
            ),
            normalization=measure_normalization(bank, Cepstrum(config.frontend)),
            processes=team.size,
            **job.facts,
        )
        if team.leads:
            record.save(run)
    classes = Classes.of(job.targets(train), job.possible(train))
    trainer = Trainer(record, bank, classes, heard, run, device, lessons, team)
    if resume:
        trainer.resume()
    return trainer


def _counted(progress: Callable[[str, float], None], what: str, n: int) -> Callable[[], None]:
    """Return what to call after each of n clips."""
    done = itertools.count(1)
    return lambda: progress(what, next(done) / n)


def _refuse_other_team(run: Path, team: Team) -> None:
    if (begun := RunRecord.load(run).processes) != team.size:
        raise TrainingError(
            f"{run} was begun by {begun} process(es), {team.size} came, and would end otherwise; resume "
            f"it by torchrun --nproc-per-node {begun}, or train anew"
        )


def finish(job: Job, trainer: Trainer) -> tuple[tuple[Accuracy, ...], Calibration]:
    """Calibrate the best epoch on the validation clips, measure it; write figures and pictures."""
    trainer.load_best()
    said = {name: trainer.score(trainer.heard[name]) for name, clips in job.scored.items() if clips}
    calibration = calibrate(said["validation"]) if "validation" in said else Calibration()
    scores = {
        name: dataclasses.replace(own, temperature=calibration.temperature)
        for name, own in said.items()
    }
    calibration.save(trainer.run)
    draw_curves(trainer.run / "curves.png", trainer.history)
    return write_figures(job, trainer.run, scores), calibration


def write_figures(
    division: Division, run: Path, scores: Mapping[str, Scores]
) -> tuple[Accuracy, ...]:
    """Write a confusion matrix for each part that was scored, and metrics.json; return its figures."""
    accuracies: list[Accuracy] = []
    for name, scored in scores.items():
        accuracies += _accuracies(division, name, division.scored[name], scored)
        title = f"{name}, {division.fold.protocol}"
        draw_confusion(run / f"confusion-{name}.png", scored.confusion, division.labels, title)
    text = json.dumps([dataclasses.asdict(a) for a in accuracies], indent=1)
    write_text(run / METRICS_FILE, text + "\n")
    return tuple(accuracies)


def _accuracies(
    division: Division, split: str, clips: tuple[Clip, ...], scores: Scores
) -> list[Accuracy]:
    corpora = sorted({clip.corpus for clip in clips})
    groups = {corpus: [c.corpus == corpus for c in clips] for corpus in corpora}
    if len(corpora) > 1:
        groups["all"] = [True] * len(clips)
    result = []
    for corpus, mask in groups.items():
        chosen = np.flatnonzero(mask)
        counts = confusion(
            scores.truth[chosen].tolist(), scores.predicted[chosen].tolist(), len(division.labels)
        )
        result.append(
            Accuracy(
                protocol=division.fold.protocol,
                split=split,
                corpus=corpus,
                speakers=speakers(c for c, keep in zip(clips, mask, strict=True) if keep),
                n_clips=len(chosen),
                wa=weighted_accuracy(counts),
                uar=unweighted_average_recall(counts),
                recall={
                    label: float(r)
                    for label, r in zip(division.labels, recalls(counts), strict=True)
                    if np.isfinite(r)
                },
            )
        )
    return result


def _used(clips: Sequence[Clip]) -> tuple[CorpusUse, ...]:
    uses = []
    for corpus in sorted({clip.corpus for clip in clips}):
        own = [clip for clip in clips if clip.corpus == corpus]
        info = CORPORA.get(corpus)
        uses.append(
            CorpusUse(
                name=corpus,
                n_clips=len({clip.path for clip in own}),
                speakers=speakers(own),
                licence=info.licence if info else "the user's own recordings",
                citation=info.citation if info else "",
            )
        )
    return tuple(uses)


def _choose_labels(clips: Sequence[Clip], wanted: str | frozenset[str] | None) -> tuple[str, ...]:
    by_corpus: dict[str, set[str]] = {}
    for clip in clips:
        by_corpus.setdefault(clip.corpus, set()).add(clip.emotion)
    every = set().union(*by_corpus.values())
    if wanted is None:
        chosen = set.intersection(*by_corpus.values())
    elif isinstance(wanted, str) and wanted.strip().lower() == "all":
        chosen = every
    else:
        if isinstance(wanted, str):
            wanted = frozenset(name.strip().lower() for name in wanted.split(",") if name.strip())
        chosen = set(wanted)
        if unknown := sorted(chosen - every):
            raise ConfigError(
                f"no clip is labelled {', '.join(unknown)}; there are {', '.join(sort_emotions(every))}"
            )
    if len(chosen) < _MIN_LABELS:
        raise ConfigError(
            f"{len(chosen)} label(s) are left ({', '.join(sorted(chosen)) or 'none'}), at least two "
            "are needed; name them with --labels, or --labels all"
        )
    return sort_emotions(chosen)


def _absolute(text: str) -> str:
    spec = parse_spec(text)
    kind = "" if spec.kind is CorpusKind.OFFICIAL else f"{spec.kind.value}:"
    return f"{kind}{spec.name}={spec.path.absolute()}"
