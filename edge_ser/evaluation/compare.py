"""Comparison of several model files on the same audio: differences of outputs, and accuracy.

The first model is the reference. Audio is decoded once, and inputs are computed once for all models with
the same front end, window and hop.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnItem
from edge_ser._util.hashing import file_digest
from edge_ser._util.suffixes import is_onnx
from edge_ser.audio.io import AudioChunk, file_chunks, find_audio
from edge_ser.card import ModelCard
from edge_ser.corpora import Clip
from edge_ser.errors import AudioError, ConfigError, MissingDependency
from edge_ser.evaluation.comparison import (
    DIVERGES,
    Agreement,
    ComparedModel,
    Comparison,
    Difference,
    LogitDifference,
    Score,
)
from edge_ser.evaluation.inspect import inspect_onnx
from edge_ser.evaluation.provenance import versions
from edge_ser.evaluation.report import ALL
from edge_ser.evaluation.selection import Selection
from edge_ser.inference.base import Runner
from edge_ser.inference.loader import open_runner
from edge_ser.metrics import confusion, unweighted_average_recall, weighted_accuracy
from edge_ser.recognition.prediction import mean_class
from edge_ser.recognition.windowing import WindowConfig, clip_inputs
from edge_ser.splits.digest import data_digest
from edge_ser.splits.fold import speakers

if TYPE_CHECKING:
    from edge_ser.evaluation.layer_differences import LayerMeter

Float32 = NDArray[np.float32]

Windows = list[Float32 | None]
"""One entry for each window: the input of a network or its logits; None for a silent window."""

LAYER_WINDOWS = 32
"""Windows on which layers are compared, one for each clip."""

_PACKAGES = ("numpy", "onnx", "onnxruntime", "soundfile", "soxr")


@dataclass(frozen=True)
class LoadedModel:
    """Open model file."""

    path: Path
    runner: Runner

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        return self.runner.card


def open_models(paths: Sequence[Path], threads: int = 1) -> tuple[LoadedModel, ...]:
    """Open model files.

    Raises:
        ConfigError: fewer than two, or models without two labels in common.
        ModelError: a file that cannot be used.
    """
    if len(paths) < 2:
        raise ConfigError(f"expected two or more models, got {len(paths)} model; name another")
    models = tuple(LoadedModel(path, open_runner(path, threads)) for path in paths)
    common_labels(models)
    return models


def common_labels(models: Sequence[LoadedModel]) -> tuple[str, ...]:
    """Return the labels that all models know, in the order of the first.

    Raises:
        ConfigError: fewer than two.
    """
    first = models[0].card.labels
    common = tuple(x for x in first if all(x in c.card.labels for c in models))
    if len(common) < 2:
        named = "; ".join(f"{c.path}: {', '.join(c.card.labels)}" for c in models)
        raise ConfigError(
            f"expected two or more labels in common, got {len(common)} labels ({named}); "
            "compare models of the same emotions"
        )
    return common


def joint_card(models: Sequence[LoadedModel]) -> ModelCard:
    """Return a card with the common labels and the training speakers of all models.

    `select` with this card leaves out clips that one of the models cannot answer or was trained on.
    """
    return dataclasses.replace(
        models[0].card,
        labels=common_labels(models),
        corpora=tuple(use for c in models for use in c.card.corpora),
        accuracy=tuple(a for c in models for a in c.card.accuracy),
    )


def unlabelled(paths: Sequence[Path]) -> Selection:
    """Return recordings without labels, for `compare`.

    Args:
        paths: audio files, and directories to search for them.

    Raises:
        AudioError: nothing there.
    """
    files = dict.fromkeys(file for path in paths for file in find_audio(path))
    clips = tuple(
        Clip(
            path=file,
            corpus="",
            speaker="",
            emotion="",
            label="",
            gender=None,
            group=str(file),
            channel=None,
        )
        for file in files
    )
    return Selection("recordings without labels", clips, (), (), ())


def compare(
    models: Sequence[LoadedModel],
    selection: Selection,
    *,
    layer_windows: int = LAYER_WINDOWS,
    layer_error: float = DIVERGES,
    threads: int = 1,
    progress: OnItem = lambda: None,
) -> Comparison:
    """Run every clip through every model and summarize the differences.

    Args:
        models: from `open_models`.
        selection: the clips, from `select` with the `joint_card`, or from `unlabelled`.
        layer_windows: number of windows on which layers are compared; 0 for none.
        layer_error: relative error above which a layer diverges.
        threads: CPU threads of the graphs whose layers are compared.
        progress: called after each clip.

    Raises:
        AudioError: a clip that cannot be read, or no clip that any window can be cut from.
        ModelError: logits that are not finite.
    """
    labels = common_labels(models)
    clips = selection.clips
    meters = [_layer_meter(models[0], c, layer_windows, threads) for c in models[1:]]
    configs = [WindowConfig.from_card(c.card) for c in models]
    every = -(-len(clips) // max(1, layer_windows))
    outputs: list[list[Windows]] = [[] for _ in models]
    for number, clip in enumerate(clips):
        chunks = list(file_chunks(clip.path, clip.channel))
        inputs = {config: _inputs(chunks, config, clip.group) for config in dict.fromkeys(configs)}
        model_inputs = [inputs[config] for config in configs]
        for model, windows, collected in zip(models, model_inputs, outputs, strict=True):
            collected.append([None if w is None else model.runner.run(w)[0] for w in windows])
        if number % every == 0:
            _add_layers(meters, model_inputs)
        progress()
    answers = [
        [mean_class(x[indices] for x in windows if x is not None) for windows in outputs_of_model]
        for indices, outputs_of_model in zip(
            (_indices(c, labels) for c in models), outputs, strict=True
        )
    ]
    if not any(answer is not None for answer in answers[0]):
        raise AudioError(
            f"all of {len(clips)} clips are silent or too short for {models[0].path}; give "
            "audible speech"
        )
    return Comparison(
        protocol=selection.protocol,
        models=tuple(_compared(c) for c in models),
        labels=labels,
        n_clips=len(clips),
        n_no_answer=sum(answer is None for answer in answers[0]),
        left_out=selection.left_out,
        trained_speakers=selection.trained,
        differences=tuple(
            _difference(models, i, clips, outputs, answers, labels, meters[i - 1], layer_error)
            for i in range(1, len(models))
        ),
        scores=_scores(clips, answers, labels),
        data_sha256=data_digest(clips),
        versions=versions(_PACKAGES),
    )


def _inputs(chunks: Sequence[AudioChunk], config: WindowConfig, source: str) -> Windows:
    """Return the inputs of a clip's windows; none if the clip is too short."""
    length_s = sum(len(chunk.samples) / chunk.sample_rate for chunk in chunks)
    return [] if length_s < config.min_window_s else clip_inputs(chunks, config, source)


def _timing(card: ModelCard) -> tuple[float, float]:
    return WindowConfig.from_card(card).timing


def _layer_meter(
    first: LoadedModel, other: LoadedModel, n_windows: int, threads: int
) -> LayerMeter | str:
    """Return the meter of the layers of two models, or the reason that they cannot be compared."""
    if n_windows == 0:
        return "not asked for"
    for path in (first.path, other.path):
        if not is_onnx(path):
            return f"{path.name} is not an ONNX file"
    if first.card.frontend != other.card.frontend:
        return "the front ends differ, so the networks get different features"
    if _timing(first.card) != _timing(other.card):
        return _other_timing(first.card, other.card)
    try:
        from edge_ser.evaluation.layer_differences import LayerMeter
    except ImportError:
        return "the package onnx is needed, run: pip install 'edge-ser[build]'"
    meter = LayerMeter(first.path, other.path, threads)
    return meter if meter.n_common else "the graphs have no tensor in common"


def _add_layers(meters: Sequence[LayerMeter | str], inputs: Sequence[Windows]) -> None:
    """Add the first audible window of a clip to the meters."""
    for meter, windows in zip(meters, inputs[1:], strict=True):
        pairs = zip(inputs[0], windows, strict=False)
        pair = next(((a, b) for a, b in pairs if a is not None and b is not None), None)
        if not isinstance(meter, str) and pair is not None:
            meter.add(*pair)


def _difference(
    models: Sequence[LoadedModel],
    i: int,
    clips: Sequence[Clip],
    outputs: Sequence[Sequence[Windows]],
    answers: Sequence[Sequence[int | None]],
    labels: tuple[str, ...],
    meter: LayerMeter | str,
    layer_error: float,
) -> Difference:
    first, other = models[0], models[i]
    refused: dict[str, str] = {}
    both = [(a, b) for a, b in zip(answers[0], answers[i], strict=True) if (a, b) != (None, None)]
    logits = windows = None
    if _timing(first.card) != _timing(other.card):
        refused["windows"] = refused["logits"] = _other_timing(first.card, other.card)
    else:
        pairs = _paired(first, other, clips, outputs[0], outputs[i], labels)
        same = sum(int(a.argmax() == b.argmax()) for _, _, a, b in pairs)
        windows = Agreement(len(pairs), same)
        if set(first.card.labels) == set(other.card.labels):
            logits = _logit_difference(pairs)
        else:
            refused["logits"] = "the labels differ, so the logits have no common scale"
    layers = None if isinstance(meter, str) else meter.result(layer_error)
    if isinstance(meter, str):
        refused["layers"] = meter
    elif layers is not None and layers.n_windows == 0:
        layers, refused["layers"] = None, "no window that both models answer to was drawn"
    return Difference(
        model=i,
        logits=logits,
        windows=windows,
        clips=Agreement(len(both), sum(a == b for a, b in both)),
        layers=layers,
        refused=refused,
    )


_Pair = tuple[str, float, Float32, Float32]
"""Clip, start of a window in it in seconds, and logits of two models."""


def _paired(
    first: LoadedModel,
    other: LoadedModel,
    clips: Sequence[Clip],
    outputs: Sequence[Windows],
    other_outputs: Sequence[Windows],
    labels: tuple[str, ...],
) -> list[_Pair]:
    """Return the windows that both models answered to, logits in the order of the common labels."""
    hop_s = _timing(first.card)[1]
    indices, other_indices = _indices(first, labels), _indices(other, labels)
    return [
        (clip.group, k * hop_s, a[indices], b[other_indices])
        for clip, windows, other_windows in zip(clips, outputs, other_outputs, strict=True)
        # Front ends of other frame lengths may lose the last window.
        for k, (a, b) in enumerate(zip(windows, other_windows, strict=False))
        if a is not None and b is not None
    ]


def _logit_difference(pairs: Sequence[_Pair]) -> LogitDifference | None:
    if not pairs:
        return None
    differences = [np.abs(a.astype(np.float64) - b) for _, _, a, b in pairs]
    worst = int(np.argmax([d.max() for d in differences]))
    return LogitDifference(
        max=float(differences[worst].max()),
        mean=float(np.mean(differences)),
        clip=pairs[worst][0],
        start_s=pairs[worst][1],
    )


def _scores(
    clips: Sequence[Clip],
    answers: Sequence[Sequence[int | None]],
    labels: tuple[str, ...],
) -> tuple[Score, ...]:
    corpora = sorted({clip.corpus for clip in clips if clip.emotion})
    chosen = {name: [i for i, clip in enumerate(clips) if clip.corpus == name] for name in corpora}
    if len(corpora) > 1:
        chosen[ALL] = list(range(len(clips)))
    scores = []
    for model, model_answers in enumerate(answers):
        for corpus, indices in chosen.items():
            truth = [labels.index(clips[i].emotion) for i in indices]
            predictions = [model_answers[i] for i in indices]
            predicted = [len(labels) if answer is None else answer for answer in predictions]
            counts = confusion(truth, predicted, len(labels))
            scores.append(
                Score(
                    model=model,
                    corpus=corpus,
                    n_clips=len(indices),
                    n_speakers=len(speakers(clips[i] for i in indices)),
                    n_no_answer=predictions.count(None),
                    wa=weighted_accuracy(counts),
                    uar=unweighted_average_recall(counts),
                )
            )
    return tuple(scores)


def _indices(model: LoadedModel, labels: tuple[str, ...]) -> list[int]:
    """Return the indices of the common labels among a model's logits."""
    return [model.card.labels.index(label) for label in labels]


def _other_timing(first: ModelCard, other: ModelCard) -> str:
    a, b = _timing(first), _timing(other)
    return (
        f"windows of {b[0]:g} s every {b[1]:g} s are not those of {a[0]:g} s every {a[1]:g} s; "
        "compare clips"
    )


def _compared(model: LoadedModel) -> ComparedModel:
    card = model.card
    return ComparedModel(
        file=str(model.path),
        name=card.name,
        sha256=file_digest(model.path),
        size_bytes=model.path.stat().st_size,
        precision=_precision(model.path),
        labels=card.labels,
        window_s=card.window_s,
        hop_s=card.hop_s,
    )


def _precision(path: Path) -> str:
    """Return the precision that an ONNX file records or, if it records none, that of its layers."""
    if not is_onnx(path):
        return ""
    try:
        inspection = inspect_onnx(path)
    except MissingDependency:
        return ""
    if inspection.precision is not None:
        return inspection.precision.kind
    return ", ".join(share.precision.lower() for share in inspection.precisions)
