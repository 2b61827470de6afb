"""Score a network on clips as a device would: on the windows that the runtime itself cuts.

The clips go through `runtime.recognizer`, with a runner that keeps what it is given. So a figure of
training is a figure of `edge-ser run`: the same windows, the same features, silence left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edge_ser.audio import Chunk, file_chunks
from edge_ser.card import ModelCard, Normalization
from edge_ser.corpora import Clip, Copy
from edge_ser.runtime.listener import Listener
from edge_ser.scores import Scores
from edge_ser.training.copies import load_copy
from edge_ser.training.model import CompactAttentionCnn
from edge_ser.training.settings import TrainConfig

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
    listener = Listener(_card(config))
    shape = (config.frontend.n_features, config.window_frames)
    for clip in clips:
        cut = listener.windows(_chunks(clip, config.frontend.sample_rate), str(clip.path))
        own = [window for window in cut if window is not None]
        heard = np.concatenate(own) if own else np.empty((0, *shape), np.float32)
        windows.append(torch.from_numpy(heard))
        progress()
    return HeardClips(tuple(windows), tuple(targets))


def _card(config: TrainConfig) -> ModelCard:
    """Return the card of a model that hears as the settings say; nothing else in it matters."""
    n = config.frontend.n_features
    return ModelCard(
        name="listener",
        architecture="none",
        n_parameters=0,
        labels=("some", "other"),
        input="features",
        frontend=config.frontend,
        normalization=Normalization((0.0,) * n, (1.0,) * n),
        window_s=config.window_s,
        hop_s=config.hop_s,
        min_window_s=config.min_window_s,
        corpora=(),
        weights_licence="none",
        accuracy=(),
        seed=0,
        created="",
    )


def _chunks(clip: Clip, sample_rate: int) -> Iterable[Chunk]:
    if clip.copy is Copy.ORIGINAL:
        return file_chunks(clip.path, clip.channel)
    return [Chunk(load_copy(clip, sample_rate), sample_rate)]


def score(model: CompactAttentionCnn, clips: HeardClips) -> Scores:
    """Return what the network says of each window of the clips."""
    model.eval()
    device = model.mean.device
    by_length: dict[int, list[int]] = {}
    for place, windows in enumerate(clips.windows):
        if len(windows):
            by_length.setdefault(windows.shape[2], []).append(place)
    said = [np.empty((0, model.config.n_classes))] * len(clips.windows)
    with torch.inference_mode():
        for places in by_length.values():
            parts = torch.split(torch.cat([clips.windows[place] for place in places]), _BATCH)
            logits = torch.cat([model(part.to(device)).cpu() for part in parts])
            sizes = [len(clips.windows[place]) for place in places]
            for place, own in zip(places, torch.split(logits.double(), sizes), strict=True):
                said[place] = own.numpy()
    return Scores(tuple(said), np.asarray(clips.targets, dtype=np.int64))
