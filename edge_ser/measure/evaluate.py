"""Measure a model on labelled clips as a device would hear them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import Chunk, load
from edge_ser.card import ModelCard
from edge_ser.corpora import Clip
from edge_ser.measure.evaluation import (
    ALL,
    Evaluation,
    MeasuredCorpus,
    MeasuredModel,
    NoisyFigures,
)
from edge_ser.measure.figures import THRESHOLDS, ClipAnswer, Figures, figures
from edge_ser.measure.noise import NoiseSource, add_noise
from edge_ser.measure.provenance import versions
from edge_ser.measure.selection import Selection, missing_labels, unknown_speakers
from edge_ser.protocols.fold import speakers
from edge_ser.runtime.prediction import ClipTally
from edge_ser.runtime.recognizer import Recognizer

Float32 = NDArray[np.float32]

_PACKAGES = ("numpy", "onnxruntime", "soundfile", "soxr")
_DIGITS = 6


def evaluate(
    recognizer: Recognizer,
    selection: Selection,
    *,
    model_file: Path | None = None,
    noise: NoiseSource | None = None,
    snr_db: Sequence[float] = (),
    n_draws: int = 2000,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Recognise every clip, without noise and at each signal-to-noise ratio, and sum up.

    Args:
        recognizer: the model, with its own window and hop.
        selection: the clips, from `select`.
        model_file: where the model came from, None for a runner of no file.
        noise: what is added; needed where `snr_db` names any.
        snr_db: signal-to-noise ratios, in dB.
        n_draws: of the bootstrap over speakers.
        seed: of the bootstrap.
        progress: called after each clip.

    Raises:
        AudioError: a clip that cannot be read. (One that is silent, or too short for the model, is
            an error of the model in the figures.)
    """
    card, clips = recognizer.card, selection.clips
    levels = sorted(set(snr_db), reverse=True) if noise is not None else []
    clean: list[ClipAnswer] = []
    noisy: dict[float, list[ClipAnswer]] = {level: [] for level in levels}
    for clip in clips:
        samples = load(clip.path, card.frontend.sample_rate, clip.channel)
        clean.append(_answer(recognizer, clip, samples))
        if noise is not None and levels:
            added = noise.draw(len(samples), clip.group)
            for level in levels:
                mixed = add_noise(samples, added, level, card.frontend.sample_rate)
                noisy[level].append(_answer(recognizer, clip, mixed))
        progress()

    def summed(answers: Sequence[ClipAnswer]) -> tuple[Figures, ...]:
        return _by_corpus(answers, card, n_draws, seed)

    return Evaluation(
        model=_model(card, model_file, recognizer.prior),
        protocol=selection.protocol,
        corpora=_corpora(clips, card),
        left_out=selection.left_out,
        trained_speakers=selection.trained,
        validation_speakers=selection.validation,
        n_speaker_unknown=unknown_speakers(clips),
        figures=summed(clean),
        noisy=tuple(
            NoisyFigures(noise.name if noise else "", level, summed(answers))
            for level, answers in noisy.items()
        ),
        n_draws=n_draws,
        seed=seed,
        data_sha256=data_digest(clips),
        clips=tuple(clean),
        versions=versions(_PACKAGES),
    )


def data_digest(clips: Sequence[Clip]) -> str:
    """Return a SHA-256 of the clips' names, speakers, emotions and files, in any order."""
    lines = sorted(
        "\t".join((clip.group, clip.speaker, clip.emotion, file_digest(clip.path)))
        for clip in clips
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _answer(recognizer: Recognizer, clip: Clip, samples: Float32) -> ClipAnswer:
    """Recognise audio at the model's rate just as `Recognizer.recognize` does a file."""
    card = recognizer.card
    who = (clip.group, clip.corpus, clip.speaker, clip.emotion)
    if len(samples) < card.min_window_s * card.frontend.sample_rate:
        return ClipAnswer(*who, predicted="", no_answer="too short")
    tally, heard = ClipTally(clip.group), False
    for window in recognizer.stream([Chunk(samples, card.frontend.sample_rate)], clip.group):
        tally.add(window)
        heard = heard or window.label is not None
    if not heard:
        return ClipAnswer(*who, predicted="", no_answer="silent")
    final = tally.final()
    probs = tuple(round(final.probs[label], _DIGITS) for label in card.labels)
    return ClipAnswer(*who, predicted=final.label or "", probs=probs)


def _by_corpus(
    answers: Sequence[ClipAnswer], card: ModelCard, n_draws: int, seed: int
) -> tuple[Figures, ...]:
    corpora = sorted({answer.corpus for answer in answers})
    sets = {name: [a for a in answers if a.corpus == name] for name in corpora}
    if len(corpora) > 1:
        sets[ALL] = list(answers)
    thresholds = (0.0, *THRESHOLDS, card.abstain_below)
    return tuple(
        figures(name, own, card.labels, n_draws=n_draws, seed=seed, thresholds=thresholds)
        for name, own in sets.items()
    )


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


def _corpora(clips: Sequence[Clip], card: ModelCard) -> tuple[MeasuredCorpus, ...]:
    missing = missing_labels(clips, card.labels)
    return tuple(
        MeasuredCorpus(name, len(own), speakers(own), missing.get(name, ()))
        for name in sorted({clip.corpus for clip in clips})
        for own in [[clip for clip in clips if clip.corpus == name]]
    )


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
