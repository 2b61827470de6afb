"""Targets of clips from corpora with different sets of emotions, and the masked cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Classes:
    """Class and possible labels of each clip."""

    targets: Tensor
    """int64 [n_clips]; -1 for a clip whose emotion is not among the classes."""
    possible: Tensor
    """bool [n_clips, n_classes]: the labels that occur in the clip's corpus. The others are excluded
    from its loss, so that a corpus without "calm" does not train the network against "calm"."""
    weights: Tensor
    """float32 [n_classes], proportional to the inverse square root of the class count; mean 1."""
    arousal: Tensor
    """float32 [n_clips]: 1 for high, 0 for low arousal, NaN where unknown."""

    @classmethod
    def of(
        cls,
        targets: Sequence[int],
        possible: Sequence[Sequence[bool]],
        arousal: Tensor | None = None,
    ) -> Classes:
        """Return the classes with weights from their counts.

        Args:
            targets: class of each clip; -1 for none.
            possible: for each clip, whether each label occurs in its corpus.
            arousal: see `Classes.arousal`; None if unknown.
        """
        classes = torch.tensor(targets)
        counts = torch.bincount(classes[classes >= 0], minlength=len(possible[0])).float()
        weights = counts.clamp_min(1).rsqrt()
        if arousal is None:
            arousal = torch.full((len(classes),), float("nan"))
        return cls(classes, torch.tensor(possible), weights / weights.mean(), arousal)

    @classmethod
    def none(cls, n_classes: int) -> Classes:
        """Return the classes of no clips."""
        return cls(
            torch.empty(0, dtype=torch.long),
            torch.empty(0, n_classes, dtype=torch.bool),
            torch.ones(n_classes),
            torch.empty(0),
        )

    def to(self, device: torch.device) -> Classes:
        """Return a copy with all tensors on `device`."""
        return Classes(
            *(t.to(device) for t in (self.targets, self.possible, self.weights, self.arousal))
        )

    def one_hot(self, clips: Tensor) -> Tensor:
        """Return truth and possible labels as 0 or 1, float32 [batch, 2, n_classes]."""
        targets = self.targets[clips]
        truth = torch.nn.functional.one_hot(targets.clamp_min(0), self.possible.shape[1])
        truth = truth * (targets >= 0)[:, None]
        return torch.stack([truth, self.possible[clips]], dim=1).float()


def masked_cross_entropy(
    logits: Tensor, truth: Tensor, possible: Tensor, weights: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of cross-entropies over possible labels, in nats, and the sum of weights.

    Args:
        logits: [batch, n_classes].
        truth: target distribution [batch, n_classes]; rows sum to 1.
        possible: [batch, n_classes], above 0 for possible labels.
        weights: class weights [n_classes].
        smoothing: label smoothing over the possible labels, in [0, 1).
    """
    masked = possible <= 0
    spread = (~masked).float() / (~masked).sum(dim=1, keepdim=True)
    expected = truth * (1 - smoothing) + smoothing * spread
    logs = torch.log_softmax(logits.masked_fill(masked, float("-inf")), dim=1)
    losses = -(expected * logs.masked_fill(masked, 0.0)).sum(dim=1)
    sample_weights = truth @ weights
    return (losses * sample_weights).sum(), sample_weights.sum()
