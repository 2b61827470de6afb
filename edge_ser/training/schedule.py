"""Training phases with their learning-rate schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass

IMITATION = "imitation"
"""Phase in which the network learns the teacher's output for each frame, without labels."""
LABELS = "labels"
"""Phase in which the network learns the labels and continues to imitate the teacher, if any."""

_LEAST_RATE = 0.01
"""Final learning rate as a share of the peak."""


@dataclass(frozen=True)
class Phase:
    """Training phase with a linear warm-up and cosine decay of the learning rate."""

    name: str
    """`imitation` or `labels`."""
    epochs: int
    peak_rate: float
    """Peak learning rate."""
    warmup_share: float
    """Share of the steps with a rising learning rate, in [0, 1)."""

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, counted from the start of the phase."""
        total = steps_per_epoch * self.epochs
        warmup = max(1.0, self.warmup_share * total)
        if step < warmup:
            return self.peak_rate * (step + 1) / warmup
        progress = (step - warmup) / max(1.0, total - warmup)
        falling = 0.5 * (1 + math.cos(math.pi * progress))
        return self.peak_rate * (_LEAST_RATE + (1 - _LEAST_RATE) * falling)
