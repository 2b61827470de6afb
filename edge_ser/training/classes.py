"""The classes of clips from several corpora, which need not have the same emotions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Classes:
    """Class of each clip, and the classes that it could have had."""

    targets: Tensor
    """int64 [n_clips]; -1 for a clip of an emotion that is not among the classes."""
    possible: Tensor
    """bool [n_clips, n_classes]: the labels that the clip's corpus has. The others take no part in its
    loss, so that a corpus without "calm" does not teach that its neutral clips are not calm."""
    weights: Tensor
    """float32 [n_classes], by the inverse square root of how often a class occurs, mean 1."""
    arousal: Tensor
    """float32 [n_clips]: 1 for high, 0 for low arousal, NaN where unknown."""

    @classmethod
    def of(
        cls,
        targets: Sequence[int],
        possible: Sequence[Sequence[bool]],
        arousal: Tensor | None = None,
    ) -> Classes:
        """Count the classes.

        Args:
            targets: class of each clip; -1 for none.
            possible: for each clip, whether it could have had each label.
            arousal: see `Classes.arousal`; None: unknown.
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
        """Return all tensors on `device`."""
        return Classes(
            *(t.to(device) for t in (self.targets, self.possible, self.weights, self.arousal))
        )

    def one_hot(self, clips: Tensor) -> Tensor:
        """Return what is true and what could be, float32 [batch, 2, n_classes], 0 or 1."""
        own = self.targets[clips]
        truth = torch.nn.functional.one_hot(own.clamp_min(0), self.possible.shape[1])
        truth = truth * (own >= 0)[:, None]
        return torch.stack([truth, self.possible[clips]], dim=1).float()


def masked_cross_entropy(
    logits: Tensor, truth: Tensor, possible: Tensor, weights: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of cross-entropies among possible labels, in nats, and the weights' sum.

    Args:
        logits: [batch, n_classes].
        truth: shares of the classes [batch, n_classes], rows sum to 1.
        possible: [batch, n_classes], above 0 for the labels that take part.
        weights: of the classes [n_classes].
        smoothing: share of the truth that is spread over the possible labels, in [0, 1).
    """
    out = possible <= 0
    spread = (~out).float() / (~out).sum(dim=1, keepdim=True)
    wanted = truth * (1 - smoothing) + smoothing * spread
    logs = torch.log_softmax(logits.masked_fill(out, float("-inf")), dim=1)
    losses = -(wanted * logs.masked_fill(out, 0.0)).sum(dim=1)
    own = truth @ weights
    return (losses * own).sum(), own.sum()
