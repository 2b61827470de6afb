"""Arousal targets from emotion labels, and the arousal loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edge_ser.evaluation.arousal import HIGH_AROUSAL, LOW_AROUSAL

KNOWN = HIGH_AROUSAL | LOW_AROUSAL
"""Emotions whose arousal is known."""


def arousal_targets(emotions: Sequence[str]) -> Tensor:
    """Return 1 for high, 0 for low arousal and NaN for unknown emotions, float32 [n]."""
    values = [float(e in HIGH_AROUSAL) if e in KNOWN else float("nan") for e in emotions]
    return torch.tensor(values, dtype=torch.float32)


def arousal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean binary cross-entropy, in nats, over the examples with a known target.

    Args:
        logits: [batch, 1].
        targets: [batch], NaN where unknown.
    """
    known = ~targets.isnan()
    if not bool(known.any()):
        return logits.sum() * 0.0
    return torch.nn.functional.binary_cross_entropy_with_logits(logits[known, 0], targets[known])
