"""Evaluation of a model on labelled clips, processed as on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnItem
from edge_ser._util.hashing import file_digest
from edge_ser.audio.io import load
from edge_ser.card import ModelCard
from edge_ser.corpora import Clip, speaker_known
from edge_ser.evaluation.answers import CLIP, LIVE, ClipAnswer
from edge_ser.evaluation.clip_prediction import clip_prediction
from edge_ser.evaluation.distribution import Distribution, distribution
from edge_ser.evaluation.figures import THRESHOLDS, Figures, figures
from edge_ser.evaluation.noise import NoiseSource, add_noise
from edge_ser.evaluation.provenance import versions
from edge_ser.evaluation.report import (
    ALL,
    Block,
    Evaluation,
    MeasuredCorpus,
    MeasuredModel,
    NoisyFigures,
)
from edge_ser.evaluation.selection import SCOPES, Selection, missing_labels, scope_of
from edge_ser.recognition.baseline import BaselineState
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.splits.digest import data_digest
from edge_ser.splits.fold import speakers
from edge_ser.vad.base import VoiceDetector

Float32 = NDArray[np.float32]

_PACKAGES = ("numpy", "onnxruntime", "soundfile", "soxr")


def evaluate(
    recognizer: Recognizer,
    selection: Selection,
    *,
    model_file: Path | None = None,
    detector: VoiceDetector | None = None,
    noise: NoiseSource | None = None,
    snr_db: Sequence[float] = (),
    n_draws: int = 2000,
    seed: int = 0,
    progress: OnItem = lambda: None,
) -> Evaluation:
    """Recognise every clip, without noise and at each signal-to-noise ratio, and compute the figures.

    Args:
        recognizer: the model, with its own window, hop and baseline. A running baseline is kept for
            each speaker and noise level: it covers the speaker's earlier clips, in the order given.
        selection: the clips, from `select` or `select_all`.
        model_file: the model's file; None for a runner without one.
        detector: a voice detector, for live mode; None: a clip is one recording.
        noise: noise added to labelled clips; required if `snr_db` is not empty.
        snr_db: signal-to-noise ratios, in dB.
        n_draws: of the bootstrap.
        seed: of the bootstrap.
        progress: called after each clip.

    Raises:
        AudioError: a clip that cannot be read. (One that is silent, or too short for the model, is
            an error of the model in the figures.)
    """
    card = recognizer.card
    levels = sorted(set(snr_db), reverse=True) if noise is not None else []
    answer = _Answers(recognizer, detector)
    clean: list[ClipAnswer] = []
    noisy: dict[float, list[ClipAnswer]] = {level: [] for level in levels}
    for clip in selection.clips:
        samples = load(clip.path, card.frontend.sample_rate, clip.channel)
        clean.append(answer(clip, samples))
        if noise is not None and levels:
            added = noise.draw(len(samples), clip.group)
            for level in levels:
                mixed = add_noise(samples, added, level, card.frontend.sample_rate)
                noisy[level].append(answer(clip, mixed, level))
        progress()
    plain: list[ClipAnswer] = []
    for clip in selection.plain:
        samples = load(clip.path, card.frontend.sample_rate, clip.channel)
        plain.append(answer(clip, samples))
        progress()

    corpora = _corpora(selection, card)
    summed = _Sums(card, {corpus.name: corpus.scope for corpus in corpora}, n_draws, seed)
    by_level = [(noise.name if noise else "", level, answers) for level, answers in noisy.items()]
    return Evaluation(
        model=_model(card, model_file, recognizer.prior),
        mode=CLIP if detector is None else LIVE,
        detector="" if detector is None else detector.name,
        protocol=selection.protocol + _with_baseline(recognizer),
        corpora=corpora,
        left_out=selection.left_out,
        trained_speakers=selection.trained,
        validation_speakers=selection.validation,
        blocks=summed.blocks(clean, by_level),
        distributions=summed.distributions(plain),
        n_draws=n_draws,
        seed=seed,
        data_sha256=data_digest([*selection.clips, *selection.plain]),
        clips=(*clean, *plain),
        versions=versions(_PACKAGES),
    )


def _with_baseline(recognizer: Recognizer) -> str:
    """Return the suffix of the protocol for a baseline that all clips were recognised with."""
    state = recognizer.open_baseline()
    if state.learns:
        return ", with a running baseline of each speaker's clips before"
    if state.speech_s is None:
        return ""
    return f", with the baseline {state.name} ({state.speech_s:.0f} s of speech)"


class _Answers:
    """Recognises clips, with one baseline for each speaker."""

    def __init__(self, recognizer: Recognizer, detector: VoiceDetector | None) -> None:
        self._recognizer = recognizer
        self._detector = detector
        self._baselines: dict[tuple[str, float | None], BaselineState] = {}

    def __call__(self, clip: Clip, samples: Float32, snr_db: float | None = None) -> ClipAnswer:
        """Return the answer to a clip, with noise at a level or without noise."""
        baseline = self._recognizer.open_baseline()
        if speaker_known(clip):
            baseline = self._baselines.setdefault((clip.speaker, snr_db), baseline)
        prediction = clip_prediction(
            self._recognizer, samples, clip.group, self._detector, baseline
        )
        return ClipAnswer(
            clip=clip.group,
            corpus=clip.corpus,
            speaker=clip.speaker,
            truth=clip.emotion,
            predicted=prediction.label,
            probs=prediction.probs,
            no_answer=prediction.no_answer,
            arousal=prediction.arousal,
            live=prediction.live,
        )


@dataclass(frozen=True)
class _Sums:
    """Computes blocks and distributions from answers."""

    card: ModelCard
    scopes: Mapping[str, str]
    """Corpus → scope."""
    n_draws: int
    seed: int

    def blocks(
        self,
        clean: Sequence[ClipAnswer],
        noisy: Sequence[tuple[str, float, Sequence[ClipAnswer]]],
    ) -> tuple[Block, ...]:
        """Return a block for each scope that occurs."""
        occurring = {self.scopes[answer.corpus] for answer in clean}
        return tuple(
            Block(
                scope=scope,
                figures=self._by_corpus(clean, scope),
                noisy=tuple(
                    NoisyFigures(name, level, self._by_corpus(answers, scope))
                    for name, level, answers in noisy
                ),
            )
            for scope in SCOPES
            if scope in occurring
        )

    def distributions(self, answers: Sequence[ClipAnswer]) -> tuple[Distribution, ...]:
        """Return a distribution for each corpus."""
        return tuple(
            distribution(
                name,
                subset,
                self.card.labels,
                kind=subset[0].truth,
                abstain_below=self.card.abstain_below,
                n_draws=self.n_draws,
                seed=self.seed,
            )
            for name, subset in _sets(answers).items()
        )

    def _by_corpus(self, answers: Sequence[ClipAnswer], scope: str) -> tuple[Figures, ...]:
        subset = [answer for answer in answers if self.scopes[answer.corpus] == scope]
        sets = _sets(subset)
        if len(sets) > 1:
            sets[ALL] = subset
        thresholds = (0.0, *THRESHOLDS, self.card.abstain_below)
        return tuple(
            figures(
                name,
                part,
                self.card.labels,
                n_draws=self.n_draws,
                seed=self.seed,
                abstain_below=self.card.abstain_below,
                thresholds=thresholds,
            )
            for name, part in sets.items()
        )


def _sets(answers: Sequence[ClipAnswer]) -> dict[str, list[ClipAnswer]]:
    """Return the answers of each corpus, by name."""
    names = sorted({answer.corpus for answer in answers})
    return {name: [answer for answer in answers if answer.corpus == name] for name in names}


def _model(card: ModelCard, path: Path | None, prior: Mapping[str, float]) -> MeasuredModel:
    return MeasuredModel(
        name=card.name,
        file=path.name if path else "",
        sha256=file_digest(path) if path else "",
        labels=card.labels,
        n_parameters=card.n_parameters,
        window_s=card.window_s,
        hop_s=card.hop_s,
        abstain_below=card.abstain_below,
        prior=prior,
    )


def _corpora(selection: Selection, card: ModelCard) -> tuple[MeasuredCorpus, ...]:
    missing = missing_labels(selection.clips, card.labels)
    clips = [*selection.clips, *selection.plain]
    return tuple(
        MeasuredCorpus(
            name=name,
            scope=scope_of(subset, card),
            n_clips=len(subset),
            speakers=speakers(clip for clip in subset if speaker_known(clip)),
            n_speaker_unknown=sum(not speaker_known(clip) for clip in subset),
            missing_labels=missing.get(name, ()),
        )
        for name in sorted({clip.corpus for clip in clips})
        for subset in [[clip for clip in clips if clip.corpus == name]]
    )
