"""Comparison of a quantised network with the FP32 one on the same windows: logits, labels, recall."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnItem
from edge_ser.audio.io import AudioChunk, load
from edge_ser.card import AROUSAL_OUTPUT, ModelCard
from edge_ser.corpora import Clip
from edge_ser.inference.session import open_session
from edge_ser.metrics import confusion, unweighted_average_recall
from edge_ser.recognition.prediction import mean_class
from edge_ser.recognition.windowing import WindowConfig, clip_inputs

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GateClips:
    """Clips as network inputs."""

    clips: tuple[Float32, ...]
    """Features of the windows of each clip, [n_windows, n_features, n_frames]; 0 windows if silent."""
    truth: tuple[int, ...]
    """Class of each clip; empty without labels."""
    description: str
    """Origin of the clips, for messages."""


@dataclass(frozen=True)
class Score:
    """Differences of a quantised network from the FP32 one."""

    mean_error: float
    """Mean absolute difference of a logit."""
    max_error: float
    """Largest absolute difference of a logit."""
    agreement: float
    """Share of the clips with the same label from both, in [0, 1]."""
    window_agreement: float
    """Share of the windows with the same label from both, in [0, 1]."""
    uar: float | None
    """Unweighted average recall over the clips, in [0, 1]; None without labels."""
    uar_fp32: float | None
    arousal_error: float | None = None
    """Largest absolute difference of the arousal, in [0, 1]; None if the model has no arousal."""

    @property
    def uar_loss(self) -> float | None:
        """Recall of the FP32 network minus that of this one; negative if it rose."""
        if self.uar is None or self.uar_fp32 is None:
            return None
        return self.uar_fp32 - self.uar

    def figures(self) -> Mapping[str, float]:
        """Return the figures that are not None, by name."""
        return {k: v for k, v in dataclasses.asdict(self).items() if v is not None}


class AccuracyGate:
    """Comparison of networks with the FP32 one on the same windows.

    Args:
        reference: the FP32 network, from features to logits.
        clips: the clips to compare on.
    """

    def __init__(self, reference: onnx.ModelProto, clips: GateClips) -> None:
        self.clips = clips
        self._logits, self._arousal = _outputs(reference, clips)
        self._labels = _labels(self._logits)

    def score(self, network: onnx.ModelProto) -> Score:
        """Run a network on all clips and compare its outputs."""
        logits, arousal = _outputs(network, self.clips)
        labels = _labels(logits)
        audible = [i for i, windows in enumerate(logits) if len(windows)]
        actual = np.concatenate([logits[i] for i in audible])
        expected = np.concatenate([self._logits[i] for i in audible])
        error = np.abs(actual.astype(np.float64) - expected)
        n_classes = expected.shape[1]
        return Score(
            mean_error=float(error.mean()),
            max_error=float(error.max()),
            agreement=float(np.mean([labels[i] == self._labels[i] for i in audible])),
            window_agreement=float(np.mean(actual.argmax(axis=1) == expected.argmax(axis=1))),
            uar=self._uar(labels, n_classes),
            uar_fp32=self._uar(self._labels, n_classes),
            arousal_error=self._arousal_error(arousal),
        )

    def _arousal_error(self, arousal: Sequence[Float32]) -> float | None:
        if not self._arousal:
            return None
        return max(
            float(np.abs(a - b).max(initial=0.0))
            for a, b in zip(arousal, self._arousal, strict=True)
        )

    def _uar(self, labels: Sequence[int | None], n_classes: int) -> float | None:
        if not self.clips.truth:
            return None
        predictions = [n_classes if label is None else label for label in labels]
        return unweighted_average_recall(confusion(self.clips.truth, predictions, n_classes))


def window_clips(windows: Float32) -> GateClips:
    """Return calibration windows [n_windows, n_features, n_frames] as unlabelled clips of one window."""
    return GateClips(tuple(windows[:, None]), (), f"{len(windows)} calibration windows, no labels")


def cut_clips(clips: Sequence[Clip], card: ModelCard, progress: OnItem = lambda: None) -> GateClips:
    """Cut clips into windows as the runtime does, and compute their features.

    Args:
        clips: clips with labels of the model.
        card: card of the model.
        progress: called after each clip.

    Raises:
        AudioError: a clip that cannot be read.
    """
    config = dataclasses.replace(WindowConfig.from_card(card), input="features")
    rate = card.frontend.sample_rate
    by_clip = []
    for clip in clips:
        windows: list[Float32] = []
        samples = load(clip.path, rate, clip.channel)
        if len(samples) >= card.min_window_s * rate:
            inputs = clip_inputs([AudioChunk(samples, rate)], config, clip.group)
            windows = [window for window in inputs if window is not None]
        shape = (0, card.frontend.n_features, 1)
        by_clip.append(np.concatenate(windows or [np.empty(shape, np.float32)]))
        progress()
    truth = tuple(card.labels.index(clip.emotion) for clip in clips)
    n_speakers = len({clip.speaker for clip in clips})
    return GateClips(tuple(by_clip), truth, f"{len(clips)} clips of {n_speakers} speakers")


def interleaved_ms(
    networks: Sequence[onnx.ModelProto], window: Float32, n_rounds: int
) -> list[float]:
    """Return the median time of one inference of each network, in ms, on one core.

    The networks take turns, so that other load on the machine affects them alike.

    Args:
        networks: networks from features to logits.
        window: features [1, n_features, n_frames].
        n_rounds: timed runs of each network, after a tenth as many warm-up runs.
    """
    sessions = [open_session(network.SerializeToString()) for network in networks]
    feeds = [{network.graph.input[0].name: window} for network in networks]
    times = np.empty((n_rounds, len(sessions)))
    for turn in range(-max(1, n_rounds // 10), n_rounds):
        for index, session in enumerate(sessions):
            begin = time.perf_counter_ns()
            session.run(None, feeds[index])
            times[max(turn, 0), index] = (time.perf_counter_ns() - begin) / 1e6
    return [float(value) for value in np.median(times, axis=0)]


def _outputs(network: onnx.ModelProto, clips: GateClips) -> tuple[list[Float32], list[Float32]]:
    """Return logits and arousal of the windows of each clip; no arousal without such an output."""
    session = open_session(network.SerializeToString())
    names = [output.name for output in network.graph.output]
    widths = [output.type.tensor_type.shape.dim[1].dim_value for output in network.graph.output]
    by_clip = [
        session.run(None, {network.graph.input[0].name: x})
        if len(x)
        else [np.empty((0, width), np.float32) for width in widths]
        for x in clips.clips
    ]
    arousal = [i for i, name in enumerate(names) if name == AROUSAL_OUTPUT]
    logits = next(i for i in range(len(names)) if i not in arousal)
    return [values[logits] for values in by_clip], [
        values[i] for values in by_clip for i in arousal
    ]


def _labels(logits: Sequence[Float32]) -> list[int | None]:
    """Return the label of each clip from the mean probabilities of its windows; None if silent."""
    return [mean_class(windows) for windows in logits]
