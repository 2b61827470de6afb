"""Scoring of a network on clips, by the windows that `recognition.windowing` cuts.

Windows, features and the treatment of silence are those of `edge-ser run`, so that accuracy measured
in training is the accuracy on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edge_ser.audio.io import AudioChunk, file_chunks
from edge_ser.corpora import Clip, PaperAugmentation
from edge_ser.metrics import Float64
from edge_ser.recognition.windowing import WindowConfig, clip_inputs
from edge_ser.scores import Scores
from edge_ser.training.augmentation.copies import load_copy
from edge_ser.training.config import TrainConfig
from edge_ser.training.model import CompactAttentionCnn

_BATCH = 128


@dataclass(frozen=True)
class ClipWindows:
    """Windows of clips, cut as at run time, with the true class of each clip."""

    windows: tuple[Tensor, ...]
    """Features of each clip, [n_windows, n_features, n_frames]; no windows if the clip is silent."""
    targets: tuple[int, ...]
    """True class of each clip."""


def cut_clips(
    clips: Sequence[Clip],
    targets: Sequence[int],
    config: TrainConfig,
    progress: Callable[[], None] = lambda: None,
) -> ClipWindows:
    """Cut clips into the windows that a device classifies.

    Args:
        clips: the clips to read.
        targets: true class of each clip.
        config: front end, window and hop.
        progress: called after each clip.

    Raises:
        AudioError: a clip that is unreadable, or shorter than `config.min_window_s`.
    """
    windows = []
    cutting = WindowConfig.from_seconds(
        config.frontend,
        "features",
        window_s=config.window_s,
        hop_s=config.hop_s,
        min_window_s=config.min_window_s,
    )
    shape = (config.frontend.n_features, config.window_frames)
    for clip in clips:
        chunks = _chunks(clip, config.frontend.sample_rate)
        inputs = [x for x in clip_inputs(chunks, cutting, str(clip.path)) if x is not None]
        features = np.concatenate(inputs) if inputs else np.empty((0, *shape), np.float32)
        windows.append(torch.from_numpy(features))
        progress()
    return ClipWindows(tuple(windows), tuple(targets))


def _chunks(clip: Clip, sample_rate: int) -> Iterable[AudioChunk]:
    if clip.copy is PaperAugmentation.ORIGINAL:
        return file_chunks(clip.path, clip.channel)
    return [AudioChunk(load_copy(clip, sample_rate), sample_rate)]


def score(model: CompactAttentionCnn, clips: ClipWindows) -> Scores:
    """Return the network's logits for each window of the clips."""
    model.eval()
    logits = [np.empty((0, model.config.n_classes))] * len(clips.windows)
    arousal = np.full(len(clips.windows), np.nan)
    by_length: dict[int, list[int]] = {}
    for index, windows in enumerate(clips.windows):
        if len(windows):
            by_length.setdefault(windows.shape[2], []).append(index)
    for indices in by_length.values():
        values, levels = _run(model, torch.cat([clips.windows[index] for index in indices]))
        ends = np.cumsum([len(clips.windows[index]) for index in indices])[:-1]
        for index, one, level in zip(
            indices, np.split(values, ends), np.split(levels, ends), strict=True
        ):
            logits[index], arousal[index] = one, level.mean()
    truth = np.asarray(clips.targets, dtype=np.int64)
    return Scores(tuple(logits), truth, arousal=arousal if model.config.arousal else None)


@torch.inference_mode()
def _run(model: CompactAttentionCnn, windows: Tensor) -> tuple[Float64, Float64]:
    """Return logits [n_windows, n_classes] and arousal logits [n_windows], zeros without that output."""
    values, levels = [], []
    for part in torch.split(windows, _BATCH):
        embedded = model.embed(part.to(model.mean.device))
        if model.config.arousal:
            logits, arousal = model.classify_with_arousal(embedded)
            levels.append(arousal[:, 0].double().cpu())
        else:
            logits = model.classify(embedded)
            levels.append(torch.zeros(len(logits), dtype=torch.float64))
        values.append(logits.double().cpu())
    return torch.cat(values).numpy(), torch.cat(levels).numpy()
