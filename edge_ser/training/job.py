"""A training job, from corpora to a run directory: select and split clips, train, evaluate, plot."""

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
from edge_ser.training.scoring import ClipWindows, cut_clips
from edge_ser.training.temperature import Calibration, calibrate
from edge_ser.training.trainer import Trainer
from edge_ser.training.voices import Voices

METRICS_FILE = "metrics.json"

_MIN_LABELS = 2

_MIN_CLIPS = 2
"""Batch normalisation of one clip would divide by zero."""


@dataclass(frozen=True)
class DataSplit:
    """Clips to train on and clips to score, checked for leaks, before features are computed."""

    corpora: tuple[str, ...]
    split: SplitConfig
    """Options that determine the fold."""
    fold: Fold
    leaks: LeakReport
    labels: tuple[str, ...]
    left_out: dict[str, int]
    """Number of clips of each emotion that is not among the labels."""
    digest: str
    """Digest of the data; see `splits.data_digest`."""
    terms: Terms = field(default_factory=Terms, kw_only=True)
    """Licences stated by the user."""
    extra: tuple[Clip, ...] = field(default=(), kw_only=True)
    """Clips of training speakers with an emotion that is not a label, but has a known arousal."""
    unlabelled: tuple[Clip, ...] = field(default=(), kw_only=True)
    """Speech without labels, for the imitation of the teacher."""

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All clips, training first, then validation, then test."""
        return self.fold.clips

    @property
    def scored(self) -> dict[str, tuple[Clip, ...]]:
        """The parts of the fold that are not trained on, by name."""
        return {"validation": self.fold.validation, "test": self.fold.test}

    def possible(self, clips: Sequence[Clip]) -> tuple[tuple[bool, ...], ...]:
        """Return a mask [n_clips][n_labels] of the labels that occur in each clip's corpus.

        A corpus without the label "calm" may contain calm clips labelled neutral, so its clips carry
        no information about that label. A corpus with a single label is taken to exclude all others.
        See `possible_emotions`.
        """
        rows = {
            corpus: tuple(len(emotions) < _MIN_LABELS or label in emotions for label in self.labels)
            for corpus, emotions in possible_emotions(self.clips).items()
        }
        return tuple(rows[clip.corpus] for clip in clips)

    def classes(self, clips: Sequence[Clip]) -> Classes:
        """Return the classes of clips; some clips may have an emotion that is not a label."""
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
    """Recordings used by the scenes of the augmentation."""

    @property
    def learned(self) -> tuple[Clip, ...]:
        """Clips with training targets: the training clips, then those with a known arousal only."""
        return self.fold.train + (self.extra if self.config.arousal_weight else ())

    @property
    def speech(self) -> tuple[Clip, ...]:
        """All clips to train on: labelled clips, then speech without labels."""
        return self.learned + (self.unlabelled if self.config.imitation_epochs else ())

    @property
    def facts(self) -> dict[str, Any]:
        """Fields of `RunFacts`; the corpora used include the unlabelled speech."""
        return {**super().facts, "used": uses_of(self.speech, self.terms)}

    def cut_clips(self, clips: Sequence[Clip], progress: OnItem = lambda: None) -> ClipWindows:
        """Return the windows of clips to score; raises as `scoring.cut_clips`."""
        return cut_clips(clips, self.targets(clips), self.config, progress)


def plan(
    corpora: Sequence[str],
    config: TrainConfig,
    labels: str | frozenset[str] | None = None,
    split: SplitConfig | None = None,
    terms: Terms | None = None,
    sounds: Sounds | None = None,
) -> Job:
    """Split the corpora for the compact recipe; arguments and errors as `split_corpora`.

    `sounds` are recordings for the scenes of the augmentation. A ConfigError is raised if scenes need
    recordings that are missing, or if recordings are given that no scene uses.
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
    """Read the corpora's file names, choose labels and fold, and check the fold for leaks.

    Args:
        corpora: `NAME=DIR` each.
        seed: seed of the random choice of speakers or clips.
        labels: comma-separated emotions; `all` for every one that occurs; a set of exact names;
            None for those that every corpus has.
        split: protocol, fold and speakers; by default drawn, speaker-independent.
        terms: stated licences; the corpora used for training or validation are checked against them.

    Raises:
        CorpusError, ConfigError: the corpora, labels, fold, speakers or licences do not fit.
        LeakError: the parts share more than the protocol declares.
    """
    split, terms = split or SplitConfig(), terms or Terms()
    clips = load_corpora(corpora)
    terms.refuse_unknown(clip.corpus for clip in clips)
    chosen = choose_labels(clips, labels)
    left_out = Counter(clip.emotion for clip in clips if clip.emotion not in chosen)
    labelled = [clip for clip in clips if clip.emotion in chosen]
    fold = choose_fold(make_folds(labelled, split, seed), split.fold)
    if untrained := sort_emotions(set(chosen) - {clip.emotion for clip in fold.train}):
        raise ConfigError(
            f"expected training clips of every label, got none of {', '.join(untrained)}; name other "
            "speakers, or leave it out with --labels"
        )
    unlabelled = tuple(clip for clip in clips if clip.role is Role.UNLABELLED)
    terms.refuse_forbidden(clip.corpus for clip in fold.train + fold.validation + unlabelled)
    if len(fold.train) < _MIN_CLIPS:
        raise ConfigError(
            f"expected {_MIN_CLIPS} or more training clips, got {len(fold.train)}; add recordings"
        )
    refuse_scored(unlabelled, fold)
    return DataSplit(
        corpora=tuple(absolute_spec(spec) for spec in corpora),
        split=split,
        fold=fold,
        leaks=refuse_leaks(fold),
        labels=chosen,
        left_out=dict(left_out),
        digest=data_digest([*labelled, *unlabelled]),
        terms=terms,
        extra=_with_known_arousal(clips, chosen, fold),
        unlabelled=unlabelled,
    )


def _with_known_arousal(
    clips: Sequence[Clip], labels: Sequence[str], fold: Fold
) -> tuple[Clip, ...]:
    """Return clips of emotions that are not labels, of speakers in the training part only."""
    scored = set(speakers(fold.validation + fold.test))
    trained = set(speakers(fold.train)) - scored
    return tuple(
        clip
        for clip in clips
        if clip.emotion in KNOWN and clip.emotion not in labels and clip.speaker in trained
    )


def refuse_scored(clips: Sequence[Clip], fold: Fold) -> None:
    """Raise a LeakError if unlabelled speech is the same audio as a scored clip of the fold."""
    scored = {content_digest(clip.path) for clip in fold.validation + fold.test}
    for clip in clips:
        if content_digest(clip.path) in scored:
            raise LeakError(
                f"{clip.path} is unlabelled training speech and the same audio as a clip to score; "
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
        f"expected the noise and microphones that {run} was trained with "
        f"({', '.join(sounds.noise + sounds.microphones)}), but files were added, removed, renamed or "
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
        f"expected the corpora that {run} was trained on ({', '.join(record.corpora)}), but "
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
            f"{run} was trained on a fold {record.fold!r} that differs from that of this version of "
            "edge-ser; continue with the version that started it, or train anew"
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
    """Compute the features, write the run record and return the trainer.

    Args:
        job: clips and settings.
        run: the run directory.
        device: device of the network.
        progress: called after each clip with the name of the work, `features` or `teacher`, and the
            share of it that is done.
        resume: continue after the last complete epoch.
        cache: a directory for results per clip: frames in `features`, the teacher's features in
            `teacher`.
        group: the processes that train together.
        encoder: a run of `edge-ser pretrain` to start from; not needed to resume.

    Raises:
        LeakError: the encoder was trained on audio that is to be scored.
        TrainingError: the directory holds another run, or a checkpoint that does not belong to it.
        ConfigError: the directory cannot be written, there are too many processes for the batches, or
            the encoder's corpora forbid the weights' use.
        AudioError: a clip, or a recording for the scenes, cannot be read.
        MissingDependency: the teacher, or a package that the scenes need, is not installed.
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
    # Test clips are read now too, so that a damaged one does not end a training after hours.
    n_scored = sum(map(len, job.scored.values()))
    on_clip = counted(progress, "clips to score", n_scored)
    scored = {name: job.cut_clips(clips, on_clip) for name, clips in job.scored.items()}
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
        scored,
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
        clips: clips to train on.
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
    features_cache = cache and cache / "features"
    bank = build_bank(clips, config.frontend, variants, on_clip, scenes, features_cache)
    if not config.teacher_weight:
        return bank, None
    on_clip = counted(progress, "teacher", len(clips))
    return bank, build_teacher_features(clips, variants, cache and cache / "teacher", on_clip)


def counted(progress: OnProgress, description: str, n: int) -> OnItem:
    """Return a callback for each of n clips that reports the share done."""
    done = itertools.count(1)
    return lambda: progress(description, next(done) / n)


def _refuse_other_group(run: Path, group: ProcessGroup) -> None:
    if (expected := RunRecord.load(run).processes) != group.size:
        raise TrainingError(
            f"{run} was started with {expected} process(es): expected as many to resume it, got "
            f"{group.size}; resume with torchrun --nproc-per-node {expected}, or train anew"
        )


def finish(job: Job, trainer: Trainer) -> tuple[tuple[Accuracy, ...], Calibration]:
    """Calibrate the best epoch on the validation clips, evaluate it, write metrics and plots."""
    trainer.load_best()
    outputs = {
        name: trainer.score(trainer.scored[name]) for name, clips in job.scored.items() if clips
    }
    calibration = calibrate(outputs["validation"]) if "validation" in outputs else Calibration()
    scores = {
        name: dataclasses.replace(output, temperature=calibration.temperature)
        for name, output in outputs.items()
    }
    calibration.save(trainer.run)
    draw_curves(trainer.run / "curves.png", trainer.history)
    return write_figures(job, trainer.run, scores), calibration


def write_figures(
    data_split: DataSplit, run: Path, scores: Mapping[str, Scores]
) -> tuple[Accuracy, ...]:
    """Write the confusion matrix of each scored part, and metrics.json; return the accuracies."""
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
    """Return the accuracy on each corpus of a part, and on all corpora together.

    Args:
        data_split: labels and protocol.
        split: name of the part.
        clips: clips of the part.
        scores: scores of the clips, in the same order.
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
    """Return clip count, speakers, licence and citation of each corpus that the clips belong to."""
    terms = terms or Terms()
    uses = []
    for corpus in sorted({clip.corpus for clip in clips}):
        subset = [clip for clip in clips if clip.corpus == corpus]
        info = CORPORA.get(corpus)
        uses.append(
            CorpusUse(
                name=corpus,
                n_clips=len({clip.path for clip in subset}),
                speakers=speakers(subset),
                licence=terms.licence_of(corpus),
                citation=info.citation if info else "",
            )
        )
    return tuple(uses)


def absolute_spec(text: str) -> str:
    """Return a corpus specification with an absolute path."""
    return parse_spec(text).text()
