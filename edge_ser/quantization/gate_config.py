"""Limits of the accuracy gate. Imports without onnx."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_ser.errors import ConfigError

if TYPE_CHECKING:
    from edge_ser.quantization.accuracy_gate import Score


@dataclass(frozen=True)
class Gate:
    """Accuracy limits of a quantised network.

    Raises:
        ConfigError: a limit out of range.
    """

    max_uar_loss: float = 0.01
    """Largest loss of recall on labelled clips, in [0, 1]."""
    min_agreement: float = 0.97
    """Smallest share of clips with the same label as FP32, in [0, 1]; of windows, without labels."""

    def __post_init__(self) -> None:
        for name in ("max_uar_loss", "min_agreement"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"{name}: expected a share in [0, 1], got {value:g}")

    def holds(self, score: Score) -> bool:
        """Return whether the score is within the limits."""
        agrees = score.agreement >= self.min_agreement
        return agrees and (score.uar_loss is None or score.uar_loss <= self.max_uar_loss + 1e-12)

    def in_words(self, labelled: bool) -> str:
        """Return the limits as text."""
        agreement = f"the same label for at least {self.min_agreement:.0%}"
        if not labelled:
            return agreement
        return f"UAR at most {100 * self.max_uar_loss:g} points below FP32, {agreement}"
