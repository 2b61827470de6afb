"""A training job from corpora to a run directory: choose clips, split, learn, measure, draw."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_ser._util.callbacks import OnItem, OnProgress
from edge_ser._util.files import write_text
from edge_ser._util.hashing import content_digest
from edge_ser.card import Accuracy, CorpusUse
from edge_ser.corpora import (
    CORPORA,
    Clip,
    Role,
    Terms,
    load_corpora,
    parse_spec,
    possible_emotions,
    sort_emotions,
)
from edge_ser.errors import ConfigError, CorpusError, LeakError, TrainingError
from edge_ser.metrics import confusion, recalls, unweighted_average_recall, weighted_accuracy
from edge_ser.scores import Scores
from edge_ser.splits import (
    Fold,
    LeakReport,
    SplitConfig,
    choose_fold,
    data_digest,
    fold_digest,
    make_folds,
    refuse_leaks,
    speakers,
)
from edge_ser.training.arousal import KNOWN, arousal_targets
from edge_ser.training.augmentation.scenes import Scenes
from edge_ser.training.augmentation.sounds import Sounds
from edge_ser.training.classes import Classes
from edge_ser.training.config import RunRecord, TrainConfig
from edge_ser.training.distillation.encoder_record import EncoderRecord, encoder_use
from edge_ser.training.distillation.teacher import TeacherFeatures, build_teacher_features
from edge_ser.training.distributed import SINGLE_PROCESS, ProcessGroup
from edge_ser.training.features import FeatureBank, FeatureHead, build_bank, measure_normalization
from edge_ser.training.labels import choose_labels
from edge_ser.training.plots import draw_confusion, draw_curves
from edge_ser.training.run_record import RunFacts, refuse_unusable
from edge_ser.training.sampling import sampling_weights
from edge_ser.training.scoring import HeardClips, hear
from edge_ser.training.temperature import Calibration, calibrate
from edge_ser.training.trainer import Trainer
from edge_ser.training.voices import Voices

METRICS_FILE = "metrics.json"

_MIN_LABELS = 2

_MIN_CLIPS = 2
"""Batch normalisation of one clip would divide by zero."""


@dataclass(frozen=True)
class DataSplit:
    """Clips to train on and clips to score, checked for leaks; no features are computed yet."""

    corpora: tuple[str, ...]
    split: SplitConfig
    """Options that the fold was made by."""
    fold: Fold
    leaks: LeakReport
    labels: tuple[str, ...]
    left_out: dict[str, int]
    """Clips of emotions that are not among the labels, by emotion."""
    digest: str
    """Digest of the data; see `protocols.data_digest`."""
    terms: Terms = field(default_factory=Terms, kw_only=True)
    """Licences that the user stated."""
    extra: tuple[Clip, ...] = field(default=(), kw_only=True)
    """Clips of training speakers whose emotion is not among the labels, but has a known arousal."""
    unlabelled: tuple[Clip, ...] = field(default=(), kw_only=True)
    """Speech without labels, for the imitation of the teacher."""

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All clips, training first, then validation, then test."""
        return self.fold.clips

    @property
    def scored(self) -> dict[str, tuple[Clip, ...]]:
        """The parts that are not trained on, by name."""
        return {"validation": self.fold.validation, "test": self.fold.test}

    def possible(self, clips: Sequence[Clip]) -> tuple[tuple[bool, ...], ...]:
        """Return for each clip which labels it could have had; see `possible_emotions`.

        A corpus without "calm" may well hold calm clips, labelled neutral: its clips say nothing of
        that label. One with a single label would say nothing at all, so its clips deny all others.
        """
        rows = {
            corpus: tuple(len(own) < _MIN_LABELS or label in own for label in self.labels)
            for corpus, own in possible_emotions(self.clips).items()
        }
        return tuple(rows[clip.corpus] for clip in clips)

    def classes(self, clips: Sequence[Clip]) -> Classes:
        """Return the classes of clips, of which some may have an emotion that is no label."""
        targets = [
            self.labels.index(clip.emotion) if clip.emotion in self.labels else -1 for clip in clips
        ]
        arousal = arousal_targets([clip.emotion for clip in clips])
        return Classes.of(targets, self.possible(clips), arousal)

    def targets(self, clips: Sequence[Clip]) -> tuple[int, ...]:
        """Return the class of each clip."""
        return tuple(self.labels.index(clip.emotion) for clip in clips)

    @property
    def facts(self) -> dict[str, Any]:
        """Fields of `RunFacts` for the run's record."""
        return {
            "labels": self.labels,
            "corpora": self.corpora,
            "used": uses_of(self.fold.train, self.terms),
            "terms": self.terms,
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
class Job(DataSplit):
    """A split of clips and the settings of the compact recipe."""

    config: TrainConfig
    sounds: Sounds = field(default_factory=Sounds)
    """Recordings that the scenes of the augmentation are made from."""

    @property
    def learned(self) -> tuple[Clip, ...]:
        """Clips whose labels are learned: those of training, then those with an arousal alone."""
        return self.fold.train + (self.extra if self.config.arousal_weight else ())

    @property
    def speech(self) -> tuple[Clip, ...]:
        """All that is learned on: labelled clips, then speech without labels."""
        return self.learned + (self.unlabelled if self.config.imitation_epochs else ())

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the split, with the speech of the imitation among the corpora used."""
        return {**super().facts, "used": uses_of(self.speech, self.terms)}

    def hear(self, clips: Sequence[Clip], progress: OnItem = lambda: None) -> HeardClips:
        """Return clips as a device hears them, to be scored; errors as `scoring.hear`."""
        return hear(clips, self.targets(clips), self.config, progress)


def plan(
    corpora: Sequence[str],
    config: TrainConfig,
    labels: str | frozenset[str] | None = None,
    split: SplitConfig | None = None,
    terms: Terms | None = None,
    sounds: Sounds | None = None,
) -> Job:
    """Split the corpora for the compact recipe; arguments and errors as `split_corpora`.

    `sounds` are recordings for the scenes of the augmentation; a ConfigError is raised when scenes
    need recordings that are not given, or recordings are given that no scene uses.
    """
    sounds = sounds or Sounds()
    config.augment.scene.require_sounds(sounds)
    data_split = split_corpora(corpora, config.seed, labels, split, terms)
    if data_split.unlabelled and not config.imitation_epochs:
        raise ConfigError(
            "expected imitation_epochs above 0 for speech without labels, got 0; set it in --config, or "
            "leave out --unlabelled"
        )
    return Job(**vars(data_split), config=config, sounds=sounds)


def split_corpora(
    corpora: Sequence[str],
    seed: int,
    labels: str | frozenset[str] | None = None,
    split: SplitConfig | None = None,
    terms: Terms | None = None,
) -> DataSplit:
    """Read the corpora's file names, decide labels and fold, and look for leaks between its parts.

    Args:
        corpora: `NAME=DIR` each.
        seed: decides which speakers or clips are drawn.
        labels: comma-separated emotions; `all` for every one that occurs; a set of exact names;
            None for those that every corpus has.
        split: protocol, fold and speakers; by default drawn, speaker-independent.
        terms: what is stated about licences; the corpora that the weights depend on, by training or
            validation, are checked against it.

    Raises:
        CorpusError, ConfigError: the corpora, labels, fold, speakers or licences do not fit.
        LeakError: more stands on both sides than the protocol declares.
    """
    split, terms = split or SplitConfig(), terms or Terms()
    clips = load_corpora(corpora)
    terms.refuse_unknown(clip.corpus for clip in clips)
    chosen = choose_labels(clips, labels)
    left_out = Counter(clip.emotion for clip in clips if clip.emotion not in chosen)
    kept = [clip for clip in clips if clip.emotion in chosen]
    fold = choose_fold(make_folds(kept, split, seed), split.fold)
    if unheard := sort_emotions(set(chosen) - {clip.emotion for clip in fold.train}):
        raise ConfigError(
            f"no training speaker says {', '.join(unheard)}, so it could never be learned; name other "
            "speakers, or leave it out with --labels"
        )
    unlabelled = tuple(clip for clip in clips if clip.role is Role.UNLABELLED)
    terms.refuse_forbidden(clip.corpus for clip in fold.train + fold.validation + unlabelled)
    if len(fold.train) < _MIN_CLIPS:
        raise ConfigError("1 clip is left for training, two or more are needed; add recordings")
    refuse_scored(unlabelled, fold)
    return DataSplit(
        corpora=tuple(absolute_spec(spec) for spec in corpora),
        split=split,
        fold=fold,
        leaks=refuse_leaks(fold),
        labels=chosen,
        left_out=dict(left_out),
        digest=data_digest([*kept, *unlabelled]),
        terms=terms,
        extra=_with_known_arousal(clips, chosen, fold),
        unlabelled=unlabelled,
    )


def _with_known_arousal(
    clips: Sequence[Clip], labels: Sequence[str], fold: Fold
) -> tuple[Clip, ...]:
    """Return clips of other emotions than the labels, of speakers that only training has."""
    scored = set(speakers(fold.validation + fold.test))
    own = set(speakers(fold.train)) - scored
    return tuple(
        clip
        for clip in clips
        if clip.emotion in KNOWN and clip.emotion not in labels and clip.speaker in own
    )


def refuse_scored(clips: Sequence[Clip], fold: Fold) -> None:
    """Raise a LeakError for speech without labels whose audio is to be scored in the fold."""
    scored = {content_digest(clip.path) for clip in fold.validation + fold.test}
    for clip in clips:
        if content_digest(clip.path) in scored:
            raise LeakError(
                f"{clip.path} is among the speech without labels, and its audio is to be scored; "
                "leave its folder out of the unlabelled: corpora"
            )


def replan(run: Path) -> Job:
    """Return the job of an interrupted run, checked against the corpora as they are now.

    Raises:
        TrainingError: no run there, or the corpora, noise or microphones have changed since.
    """
    record = RunRecord.load(run)
    data_split = split_again(run, record, record.config.seed)
    _refuse_other_sounds(run, record.sounds)
    return Job(**vars(data_split), config=record.config, sounds=record.sounds)


def _refuse_other_sounds(run: Path, sounds: Sounds) -> None:
    changed = (
        f"the noise or microphones are not those that {run} was trained with "
        f"({', '.join(sounds.noise + sounds.microphones)}): files were added, removed, renamed or "
        "changed; restore them, or train anew"
    )
    try:
        now = Sounds.find(sounds.noise, sounds.microphones)
    except (ConfigError, CorpusError) as error:
        raise TrainingError(f"{changed} ({error})") from None
    if now.digest != sounds.digest:
        raise TrainingError(changed)


def split_again(run: Path, record: RunFacts, seed: int) -> DataSplit:
    """Return the split that a run's record describes, checked against the corpora as they are now.

    Raises:
        TrainingError: the corpora have changed since.
    """
    changed = TrainingError(
        f"the corpora are not those that {run} was trained on ({', '.join(record.corpora)}): "
        "files were added, removed or changed; restore them, or train anew"
    )
    try:
        data_split = split_corpora(
            record.corpora, seed, frozenset(record.labels), record.split, record.terms
        )
    except (ConfigError, CorpusError, LeakError) as error:
        raise TrainingError(f"{changed} ({error})") from None
    if data_split.digest != record.data_digest:
        raise changed
    if fold_digest(data_split.fold) != record.fold_digest:
        raise TrainingError(
            f"{run} was trained on another fold {record.fold!r} than this version of edge-ser makes; "
            "go on with the version that began it, or train anew"
        )
    return data_split


def start(
    job: Job,
    run: Path,
    device: torch.device,
    progress: OnProgress = lambda *_: None,
    resume: bool = False,
    cache: Path | None = None,
    group: ProcessGroup = SINGLE_PROCESS,
    encoder: Path | None = None,
) -> Trainer:
    """Compute the features and return the trainer, its run directory written.

    Args:
        job: what to train on.
        run: the run directory.
        device: where the network lives.
        progress: called after each clip with what is computed, `features` or `teacher`, and the share
            of it that is done.
        resume: go on after the last epoch that is there.
        cache: a directory that keeps what is computed once for each clip: its frames in `features`,
            the teacher's features in `teacher`.
        group: the processes that train together.
        encoder: a run of `edge-ser pretrain` to start from; not needed to resume.

    Raises:
        LeakError: the encoder learned on audio that is to be scored.
        TrainingError: the directory holds another run, or a checkpoint that does not belong to it.
        ConfigError: the directory cannot be written, there are too many processes for the batches, or
            the encoder's corpora forbid the weights' use.
        AudioError: a clip, or a recording for the scenes, cannot be read.
        MissingDependency: there is no teacher, or something that the scenes need.
    """
    config, train = job.config, job.fold.train
    group.require_batches_of(min(config.batch_size, len(train)))
    if group.is_main:
        refuse_unusable(run, resume)
        if resume:
            _refuse_other_group(run, group)
    pretrained = encoder and EncoderRecord.load(encoder)
    if pretrained:
        pretrained.refuse_known(itertools.chain.from_iterable(job.scored.values()))
        job.terms.refuse_forbidden(use.name for use in pretrained.used)
    learned = job.learned
    bank, teacher_targets = compute_speech(job.speech, config, job.sounds, progress, cache)
    # The test clips are read now too: one that is damaged should not end a training of hours.
    n_scored = sum(map(len, job.scored.values()))
    on_clip = counted(progress, "clips to score", n_scored)
    heard = {name: job.hear(clips, on_clip) for name, clips in job.scored.items()}
    if resume:
        record = RunRecord.load(run)
    else:
        record = RunRecord(
            config=config,
            model=config.model(len(job.labels)),
            normalization=pretrained.normalization
            if pretrained
            else measure_normalization(bank, FeatureHead(config.frontend), len(learned)),
            encoder=encoder_use(encoder) if encoder else None,
            processes=group.size,
            sounds=job.sounds,
            **job.facts,
        )
        if group.is_main:
            record.save(run)
    trainer = Trainer(
        record,
        bank,
        job.classes(learned),
        heard,
        run,
        device,
        teacher_targets,
        group,
        sampling=sampling_weights(
            job.speech,
            config.balance,
            config.crowd_share,
            drawn=config.draws_clips,
        ),
        voices=Voices.of(learned) if config.baseline_share else None,
    )
    if encoder and not resume:
        trainer.start_from(encoder)
    if resume:
        trainer.resume()
    return trainer


def compute_speech(
    clips: Sequence[Clip],
    config: TrainConfig,
    sounds: Sounds,
    progress: OnProgress,
    cache: Path | None,
) -> tuple[FeatureBank, TeacherFeatures | None]:
    """Return the frames of clips in all augmentations, and the teacher's features if there is a teacher.

    Args:
        clips: what to learn on.
        config: front end, augmentation and teacher.
        sounds: recordings for the scenes.
        progress: as for `start`.
        cache: likewise.
    """
    variants = config.augment.variants
    scenes = None
    if config.augment.scene.scenes:
        scenes = Scenes(config.augment.scene, sounds, config.frontend.sample_rate)
    on_clip = counted(progress, "features", len(clips))
    kept = cache and cache / "features"
    bank = build_bank(clips, config.frontend, variants, on_clip, scenes, kept)
    if not config.teacher_weight:
        return bank, None
    on_clip = counted(progress, "teacher", len(clips))
    return bank, build_teacher_features(clips, variants, cache and cache / "teacher", on_clip)


def counted(progress: OnProgress, what: str, n: int) -> OnItem:
    """Return a function to call after each of n clips."""
    done = itertools.count(1)
    return lambda: progress(what, next(done) / n)


def _refuse_other_group(run: Path, group: ProcessGroup) -> None:
    if (begun := RunRecord.load(run).processes) != group.size:
        raise TrainingError(
            f"{run} was begun by {begun} process(es), {group.size} came, and would end otherwise; "
            f"resume it by torchrun --nproc-per-node {begun}, or train anew"
        )


def finish(job: Job, trainer: Trainer) -> tuple[tuple[Accuracy, ...], Calibration]:
    """Calibrate the best epoch on the validation clips, measure it; write figures and pictures."""
    trainer.load_best()
    outputs = {
        name: trainer.score(trainer.heard[name]) for name, clips in job.scored.items() if clips
    }
    calibration = calibrate(outputs["validation"]) if "validation" in outputs else Calibration()
    scores = {
        name: dataclasses.replace(own, temperature=calibration.temperature)
        for name, own in outputs.items()
    }
    calibration.save(trainer.run)
    draw_curves(trainer.run / "curves.png", trainer.history)
    return write_figures(job, trainer.run, scores), calibration


def write_figures(
    data_split: DataSplit, run: Path, scores: Mapping[str, Scores]
) -> tuple[Accuracy, ...]:
    """Write a confusion matrix for each part that was scored, and metrics.json; return its figures."""
    accuracies: list[Accuracy] = []
    for name, scored in scores.items():
        accuracies += accuracies_of(data_split, name, data_split.scored[name], scored)
        title = f"{name}, {data_split.fold.protocol}"
        draw_confusion(run / f"confusion-{name}.png", scored.confusion, data_split.labels, title)
    text = json.dumps([dataclasses.asdict(a) for a in accuracies], indent=1)
    write_text(run / METRICS_FILE, text + "\n")
    return tuple(accuracies)


def accuracies_of(
    data_split: DataSplit, split: str, clips: tuple[Clip, ...], scores: Scores
) -> list[Accuracy]:
    """Return the accuracy on each corpus of a part, and on all of them together.

    Args:
        data_split: labels and protocol.
        split: name of the part.
        clips: its clips.
        scores: of the clips, in their order.
    """
    corpora = sorted({clip.corpus for clip in clips})
    groups = {corpus: [c.corpus == corpus for c in clips] for corpus in corpora}
    if len(corpora) > 1:
        groups["all"] = [True] * len(clips)
    result = []
    for corpus, mask in groups.items():
        chosen = np.flatnonzero(mask)
        counts = confusion(
            scores.truth[chosen].tolist(), scores.predicted[chosen].tolist(), len(data_split.labels)
        )
        result.append(
            Accuracy(
                protocol=data_split.fold.protocol,
                split=split,
                corpus=corpus,
                speakers=speakers(c for c, keep in zip(clips, mask, strict=True) if keep),
                n_clips=len(chosen),
                wa=weighted_accuracy(counts),
                uar=unweighted_average_recall(counts),
                recall={
                    label: float(r)
                    for label, r in zip(data_split.labels, recalls(counts), strict=True)
                    if np.isfinite(r)
                },
            )
        )
    return result


def uses_of(clips: Sequence[Clip], terms: Terms | None = None) -> tuple[CorpusUse, ...]:
    """Return how many clips of which speakers are used of each corpus, with its licence."""
    terms = terms or Terms()
    uses = []
    for corpus in sorted({clip.corpus for clip in clips}):
        own = [clip for clip in clips if clip.corpus == corpus]
        info = CORPORA.get(corpus)
        uses.append(
            CorpusUse(
                name=corpus,
                n_clips=len({clip.path for clip in own}),
                speakers=speakers(own),
                licence=terms.licence_of(corpus),
                citation=info.citation if info else "",
            )
        )
    return tuple(uses)


def absolute_spec(text: str) -> str:
    """Return the specification of a corpus with an absolute path, for a run's record."""
    return parse_spec(text).text()
