"""Phases of a training, each with epochs and a learning rate of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

IMITATION = "imitation"
"""The network learns what the teacher gives for each frame; labels take no part."""
LABELS = "labels"
"""The network learns the labels, and goes on imitating the teacher where there is one."""

_LEAST_RATE = 0.01
"""Share of the highest learning rate that is left at the end."""


@dataclass(frozen=True)
class Phase:
    """One phase: a fresh optimizer, and a learning rate that rises, then falls as a cosine."""

    name: str
    """`imitation` or `labels`."""
    epochs: int
    peak_rate: float
    """Highest learning rate."""
    warmup_share: float
    """Share of the steps in which the learning rate rises, in [0, 1)."""

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, counted from the start of the phase."""
        total = steps_per_epoch * self.epochs
        warmup = max(1.0, self.warmup_share * total)
        if step < warmup:
            return self.peak_rate * (step + 1) / warmup
        progress = (step - warmup) / max(1.0, total - warmup)
        falling = 0.5 * (1 + math.cos(math.pi * progress))
        return self.peak_rate * (_LEAST_RATE + (1 - _LEAST_RATE) * falling)
