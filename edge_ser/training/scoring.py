"""Score a network on clips as a device would: on the windows that `recognition.windowing` cuts.

So a figure of training is a figure of `edge-ser run`: the same windows, the same features, silence
left out.
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
class HeardClips:
    """Clips as the runtime cuts them, with the classes that are true."""

    windows: tuple[Tensor, ...]
    """Of each clip, features [n_windows, n_features, n_frames]; no windows where all is silent."""
    targets: tuple[int, ...]


def hear(
    clips: Sequence[Clip],
    targets: Sequence[int],
    config: TrainConfig,
    progress: Callable[[], None] = lambda: None,
) -> HeardClips:
    """Cut clips into the windows that a device recognises.

    Args:
        clips: what to read.
        targets: the class of each.
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
        own = [x for x in clip_inputs(chunks, cutting, str(clip.path)) if x is not None]
        heard = np.concatenate(own) if own else np.empty((0, *shape), np.float32)
        windows.append(torch.from_numpy(heard))
        progress()
    return HeardClips(tuple(windows), tuple(targets))


def _chunks(clip: Clip, sample_rate: int) -> Iterable[AudioChunk]:
    if clip.copy is PaperAugmentation.ORIGINAL:
        return file_chunks(clip.path, clip.channel)
    return [AudioChunk(load_copy(clip, sample_rate), sample_rate)]


def score(model: CompactAttentionCnn, clips: HeardClips) -> Scores:
    """Return the network's logits for each window of the clips."""
    model.eval()
    logits = [np.empty((0, model.config.n_classes))] * len(clips.windows)
    arousal = np.full(len(clips.windows), np.nan)
    by_length: dict[int, list[int]] = {}
    for place, windows in enumerate(clips.windows):
        if len(windows):
            by_length.setdefault(windows.shape[2], []).append(place)
    for places in by_length.values():
        values, levels = _run(model, torch.cat([clips.windows[place] for place in places]))
        ends = np.cumsum([len(clips.windows[place]) for place in places])[:-1]
        for place, one, level in zip(
            places, np.split(values, ends), np.split(levels, ends), strict=True
        ):
            logits[place], arousal[place] = one, level.mean()
    truth = np.asarray(clips.targets, dtype=np.int64)
    return Scores(tuple(logits), truth, arousal=arousal if model.config.arousal else None)


@torch.inference_mode()
def _run(model: CompactAttentionCnn, windows: Tensor) -> tuple[Float64, Float64]:
    """Return logits [n_windows, n_classes] and the arousal's [n_windows], zeros without one."""
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
