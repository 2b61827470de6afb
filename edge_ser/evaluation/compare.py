"""The same audio through several model files: how far apart their answers are, and how good.

The first model is what the others are compared with. Audio is decoded once, and what the runtime would
feed to a network is computed once for all models with the same front end, window and hop.
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
"""One entry a window: the input of a network or its logits; None where it is silent."""

LAYER_WINDOWS = 32
"""Windows on which layers are compared, each of another clip."""

_PACKAGES = ("numpy", "onnx", "onnxruntime", "soundfile", "soxr")


@dataclass(frozen=True)
class LoadedModel:
    """A model file that is open."""

    path: Path
    runner: Runner

    @property
    def card(self) -> ModelCard:
        """What the file says of itself."""
        return self.runner.card


def open_contenders(paths: Sequence[Path], threads: int = 1) -> tuple[LoadedModel, ...]:
    """Open model files.

    Raises:
        ConfigError: fewer than two, or models without two labels in common.
        ModelError: a file that cannot be used.
    """
    if len(paths) < 2:
        raise ConfigError(f"{len(paths)} model came, two or more were wanted; name another")
    contenders = tuple(LoadedModel(path, open_runner(path, threads)) for path in paths)
    common_labels(contenders)
    return contenders


def common_labels(contenders: Sequence[LoadedModel]) -> tuple[str, ...]:
    """Return the labels that all models know, in the order of the first.

    Raises:
        ConfigError: fewer than two.
    """
    first = contenders[0].card.labels
    common = tuple(x for x in first if all(x in c.card.labels for c in contenders))
    if len(common) < 2:
        named = "; ".join(f"{c.path}: {', '.join(c.card.labels)}" for c in contenders)
        raise ConfigError(
            f"the models have {len(common)} labels in common, two or more were wanted ({named}); "
            "compare models of the same emotions"
        )
    return common


def joint_card(contenders: Sequence[LoadedModel]) -> ModelCard:
    """Return a card of the common labels that names all speakers heard in any model's training.

    `select` with it leaves out what one of the models cannot be asked, or was trained on.
    """
    return dataclasses.replace(
        contenders[0].card,
        labels=common_labels(contenders),
        corpora=tuple(use for c in contenders for use in c.card.corpora),
        accuracy=tuple(a for c in contenders for a in c.card.accuracy),
    )


def unlabelled(paths: Sequence[Path]) -> Selection:
    """Return recordings that nobody labelled, for `compare`.

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
    contenders: Sequence[LoadedModel],
    selection: Selection,
    *,
    layer_windows: int = LAYER_WINDOWS,
    layer_error: float = DIVERGES,
    threads: int = 1,
    progress: OnItem = lambda: None,
) -> Comparison:
    """Run every clip through every model and sum up.

    Args:
        contenders: from `open_contenders`.
        selection: the clips, from `select` with the `joint_card`, or from `unlabelled`.
        layer_windows: on how many windows layers are compared; 0 for none.
        layer_error: relative error from which on a layer diverges.
        threads: CPU threads of the graphs whose layers are compared.
        progress: called after each clip.

    Raises:
        AudioError: a clip that cannot be read, or no clip that any window can be cut from.
        ModelError: logits that are not finite.
    """
    labels = common_labels(contenders)
    clips = selection.clips
    meters = [_layer_meter(contenders[0], c, layer_windows, threads) for c in contenders[1:]]
    configs = [WindowConfig.from_card(c.card) for c in contenders]
    every = -(-len(clips) // max(1, layer_windows))
    heard: list[list[Windows]] = [[] for _ in contenders]
    for number, clip in enumerate(clips):
        chunks = list(file_chunks(clip.path, clip.channel))
        inputs = {config: _inputs(chunks, config, clip.group) for config in dict.fromkeys(configs)}
        own = [inputs[config] for config in configs]
        for contender, windows, kept in zip(contenders, own, heard, strict=True):
            kept.append([None if w is None else contender.runner.run(w)[0] for w in windows])
        if number % every == 0:
            _add_layers(meters, own)
        progress()
    answers = [
        [mean_class(x[places] for x in windows if x is not None) for windows in kept]
        for places, kept in zip((_places(c, labels) for c in contenders), heard, strict=True)
    ]
    if not any(answer is not None for answer in answers[0]):
        raise AudioError(
            f"all of {len(clips)} clips are silent or too short for {contenders[0].path}; give "
            "audible speech"
        )
    return Comparison(
        protocol=selection.protocol,
        models=tuple(_compared(c) for c in contenders),
        labels=labels,
        n_clips=len(clips),
        n_no_answer=sum(answer is None for answer in answers[0]),
        left_out=selection.left_out,
        trained_speakers=selection.trained,
        differences=tuple(
            _difference(contenders, i, clips, heard, answers, labels, meters[i - 1], layer_error)
            for i in range(1, len(contenders))
        ),
        scores=_scores(clips, answers, labels),
        data_sha256=data_digest(clips),
        versions=versions(_PACKAGES),
    )


def _inputs(chunks: Sequence[AudioChunk], config: WindowConfig, source: str) -> Windows:
    """Return the inputs of a clip's windows; none where it is too short."""
    length_s = sum(len(chunk.samples) / chunk.sample_rate for chunk in chunks)
    return [] if length_s < config.min_window_s else clip_inputs(chunks, config, source)


def _timing(card: ModelCard) -> tuple[float, float]:
    return WindowConfig.from_card(card).timing


def _layer_meter(
    first: LoadedModel, other: LoadedModel, n_windows: int, threads: int
) -> LayerMeter | str:
    """Return what compares the layers of two models, or why they cannot be compared."""
    if n_windows == 0:
        return "not asked for"
    for path in (first.path, other.path):
        if not is_onnx(path):
            return f"{path.name} is no ONNX file"
    if first.card.frontend != other.card.frontend:
        return "the front ends differ, so the networks hear different features"
    if _timing(first.card) != _timing(other.card):
        return _other_timing(first.card, other.card)
    try:
        from edge_ser.evaluation.layer_differences import LayerMeter
    except ImportError:
        return "the package onnx is needed, run: pip install 'edge-ser[build]'"
    meter = LayerMeter(first.path, other.path, threads)
    return meter if meter.n_common else "the graphs have no tensor in common"


def _add_layers(meters: Sequence[LayerMeter | str], own: Sequence[Windows]) -> None:
    """Give the first audible window of a clip to the meters."""
    for meter, windows in zip(meters, own[1:], strict=True):
        pairs = zip(own[0], windows, strict=False)
        pair = next(((a, b) for a, b in pairs if a is not None and b is not None), None)
        if not isinstance(meter, str) and pair is not None:
            meter.add(*pair)


def _difference(
    contenders: Sequence[LoadedModel],
    i: int,
    clips: Sequence[Clip],
    heard: Sequence[Sequence[Windows]],
    answers: Sequence[Sequence[int | None]],
    labels: tuple[str, ...],
    meter: LayerMeter | str,
    layer_error: float,
) -> Difference:
    first, other = contenders[0], contenders[i]
    refused: dict[str, str] = {}
    both = [(a, b) for a, b in zip(answers[0], answers[i], strict=True) if (a, b) != (None, None)]
    logits = windows = None
    if _timing(first.card) != _timing(other.card):
        refused["windows"] = refused["logits"] = _other_timing(first.card, other.card)
    else:
        pairs = _paired(first, other, clips, heard[0], heard[i], labels)
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
"""A clip, the start of a window in it in seconds, and the logits of two models."""


def _paired(
    first: LoadedModel,
    other: LoadedModel,
    clips: Sequence[Clip],
    heard: Sequence[Windows],
    heard_by_other: Sequence[Windows],
    labels: tuple[str, ...],
) -> list[_Pair]:
    """Return the windows that both models answered to, logits in the order of the common labels."""
    hop_s = _timing(first.card)[1]
    places, other_places = _places(first, labels), _places(other, labels)
    return [
        (clip.group, k * hop_s, a[places], b[other_places])
        for clip, own, others in zip(clips, heard, heard_by_other, strict=True)
        # Front ends of other frame lengths may lose the last window.
        for k, (a, b) in enumerate(zip(own, others, strict=False))
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
    for model, own in enumerate(answers):
        for corpus, places in chosen.items():
            truth = [labels.index(clips[i].emotion) for i in places]
            said = [own[i] for i in places]
            given = [len(labels) if answer is None else answer for answer in said]
            counts = confusion(truth, given, len(labels))
            scores.append(
                Score(
                    model=model,
                    corpus=corpus,
                    n_clips=len(places),
                    n_speakers=len(speakers(clips[i] for i in places)),
                    n_no_answer=said.count(None),
                    wa=weighted_accuracy(counts),
                    uar=unweighted_average_recall(counts),
                )
            )
    return tuple(scores)


def _places(contender: LoadedModel, labels: tuple[str, ...]) -> list[int]:
    """Return where the common labels stand among a model's logits."""
    return [contender.card.labels.index(label) for label in labels]


def _other_timing(first: ModelCard, other: ModelCard) -> str:
    a, b = _timing(first), _timing(other)
    return (
        f"windows of {b[0]:g} s every {b[1]:g} s are not those of {a[0]:g} s every {a[1]:g} s; "
        "compare clips"
    )


def _compared(contender: LoadedModel) -> ComparedModel:
    card = contender.card
    return ComparedModel(
        file=str(contender.path),
        name=card.name,
        sha256=file_digest(contender.path),
        size_bytes=contender.path.stat().st_size,
        precision=_precision(contender.path),
        labels=card.labels,
        window_s=card.window_s,
        hop_s=card.hop_s,
    )


def _precision(path: Path) -> str:
    """Return the precision that an ONNX file says it has or, where it says none, that of its layers."""
    if not is_onnx(path):
        return ""
    try:
        found = inspect_onnx(path)
    except MissingDependency:
        return ""
    if found.precision is not None:
        return found.precision.kind
    return ", ".join(share.precision.lower() for share in found.precisions)
