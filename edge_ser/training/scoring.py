"""Score a network on clips the way `edge-ser run` does: mean probability over a clip's windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_ser.metrics import confusion
from edge_ser.training.features import Cepstrum, FeatureBank
from edge_ser.training.model import CompactAttentionCnn
from edge_ser.training.settings import TrainConfig

_BATCH = 128


@dataclass(frozen=True)
class Scores:
    """Clip probabilities [n_clips, n_classes] and the classes [n_clips] that were true."""

    probs: NDArray[np.float64]
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


def score(
    model: CompactAttentionCnn,
    cepstrum: Cepstrum,
    bank: FeatureBank,
    indices: Sequence[int],
    targets: Sequence[int],
    config: TrainConfig,
) -> Scores:
    """Return the scores of the clips `indices` of a bank, whose classes are `targets`."""
    model.eval()
    hop = round(config.hop_s * config.frontend.sample_rate / config.frontend.hop_length)
    pieces: dict[int, list[tuple[int, Tensor]]] = {}
    for place, index in enumerate(indices):
        frames = bank.clip(index)
        length = min(config.window_frames, len(frames))
        for start in range(0, len(frames) - length + 1, hop):
            pieces.setdefault(length, []).append((place, frames[start : start + length]))
    sums = np.zeros((len(indices), model.config.n_classes))
    counts = np.zeros(len(indices))
    with torch.inference_mode():
        for windows in pieces.values():
            for begin in range(0, len(windows), _BATCH):
                part = windows[begin : begin + _BATCH]
                logits = model(cepstrum(torch.stack([frames for _, frames in part])))
                probs = torch.softmax(logits.double(), dim=1).cpu().numpy()
                places = np.array([place for place, _ in part])
                np.add.at(sums, places, probs)
                np.add.at(counts, places, 1)
    return Scores(sums / counts[:, None], np.asarray(targets, dtype=np.int64))
