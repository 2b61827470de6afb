"""Score a network on clips as a device would: on the windows that the runtime itself cuts.

The clips go through `runtime.recognizer`, with a runner that keeps what it is given. So a figure of
training is a figure of `edge-ser run`: the same windows, the same features, silence left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_ser.audio import Chunk, file_chunks
from edge_ser.card import ModelCard, Normalization
from edge_ser.corpora import Clip, Copy
from edge_ser.metrics import confusion
from edge_ser.runtime.recognizer import Recognizer
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


@dataclass(frozen=True)
class Scores:
    """Clip probabilities [n_clips, n_classes] and the classes [n_clips] that were true."""

    probs: NDArray[np.float64]
    """A silent clip, which a device refuses, has the same probability for all classes."""
    truth: NDArray[np.int64]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts [n_classes, n_classes], rows the truth."""
        return confusion(
            self.truth.tolist(), self.probs.argmax(1).tolist(), n_classes=self.probs.shape[1]
        )

    @property
    def loss(self) -> float:
        """Mean cross-entropy of the clips, in nats."""
        picked = self.probs[np.arange(len(self.truth)), self.truth]
        return float(-np.log(picked.clip(1e-12)).mean())


class _Listener:
    """A runner that keeps its inputs and recognises nothing."""

    def __init__(self, config: TrainConfig) -> None:
        n = config.frontend.n_features
        self.inputs: list[NDArray[np.float32]] = []
        self.card = ModelCard(
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

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        self.inputs.append(inputs[0].copy())
        return np.zeros((1, 2), dtype=np.float32)


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
    shape = (config.frontend.n_features, config.window_frames)
    for clip in clips:
        listener = _Listener(config)
        chunks = _chunks(clip, config.frontend.sample_rate)
        for _ in Recognizer(listener).stream(chunks, str(clip.path)):
            pass
        heard = np.stack(listener.inputs) if listener.inputs else np.empty((0, *shape), np.float32)
        windows.append(torch.from_numpy(heard))
        progress()
    return HeardClips(tuple(windows), tuple(targets))


def _chunks(clip: Clip, sample_rate: int) -> Iterable[Chunk]:
    if clip.copy is Copy.ORIGINAL:
        return file_chunks(clip.path, clip.channel)
    return [Chunk(load_copy(clip, sample_rate), sample_rate)]


def score(model: CompactAttentionCnn, clips: HeardClips) -> Scores:
    """Return the mean probabilities of each clip's windows."""
    model.eval()
    device = model.mean.device
    by_length: dict[int, list[int]] = {}
    for place, windows in enumerate(clips.windows):
        if len(windows):
            by_length.setdefault(windows.shape[2], []).append(place)
    n_classes = model.config.n_classes
    probs = np.full((len(clips.windows), n_classes), 1.0 / n_classes)
    with torch.inference_mode():
        for places in by_length.values():
            parts = torch.split(torch.cat([clips.windows[place] for place in places]), _BATCH)
            logits = torch.cat([model(part.to(device)).cpu() for part in parts])
            sizes = [len(clips.windows[place]) for place in places]
            own = torch.split(torch.softmax(logits.double(), dim=1), sizes)
            for place, windows in zip(places, own, strict=True):
                probs[place] = windows.mean(0).numpy()
    return Scores(probs, np.asarray(clips.targets, dtype=np.int64))
