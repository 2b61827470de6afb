"""A label that does not flicker: exponential smoothing, hysteresis, a minimum dwell, abstaining."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edge_ser.records import require

SURE_AGAIN = 0.05
"""By how much the confidence must pass the threshold before a label is taken after abstaining."""


@dataclass(frozen=True)
class Smoothing:
    """How labels of successive windows become one label that a robot can act on.

    Raises:
        ConfigError: a value out of range.
    """

    time_constant_s: float = 0.5
    """Seconds after which a window counts for 1/e of a new one; 0: the last window alone counts."""
    margin: float = 0.1
    """By how much another class must be likelier than the present one to replace it, in [0, 1)."""
    dwell_s: float = 0.75
    """Seconds for which a label stays at least."""
    abstain_below: float = 0.0
    """Confidence, in [0, 1), below which no label is given."""

    def __post_init__(self) -> None:
        for name, value in (("time_constant_s", self.time_constant_s), ("dwell_s", self.dwell_s)):
            require(0 <= value <= 60, name, value, "0 to 60 seconds")
        require(0 <= self.margin < 1, "margin", self.margin, "in [0, 1)")
        require(0 <= self.abstain_below < 1, "abstain_below", self.abstain_below, "in [0, 1)")


@dataclass(frozen=True)
class Decision:
    """The label after a window."""

    label: str | None
    """None where the model is not sure enough."""
    previous: str | None
    """The label before this window; None where there was none."""
    changed: bool
    """Whether the label is another than before, or the first."""
    confidence: float
    """Smoothed probability of the likeliest class."""
    probs: Mapping[str, float]
    """Smoothed, by label; sums to 1."""


class Smoother:
    """Follow the probabilities of one utterance. `reset` before the next."""

    def __init__(self, settings: Smoothing) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget all windows and the label."""
        self._probs: dict[str, float] = {}
        self._label: str | None = None
        self._at_s = 0.0
        self._since_s = -math.inf
        self._decided = False

    def update(self, probs: Mapping[str, float], at_s: float) -> Decision:
        """Take a window's probabilities, by label, and the stream time of its end in seconds."""
        self._smooth(probs, at_s)
        best = max(self._probs, key=self._probs.__getitem__)
        wanted, previous = self._wanted(best), self._label
        changed = not self._decided
        if wanted != previous and (changed or at_s - self._since_s >= self.settings.dwell_s):
            self._label, changed = wanted, True
        if changed:
            self._decided, self._since_s = True, at_s
        return Decision(self._label, previous, changed, self._probs[best], dict(self._probs))

    def _smooth(self, probs: Mapping[str, float], at_s: float) -> None:
        """First-order low pass: y += (1 - exp(-dt / tau)) (x - y)."""
        elapsed, self._at_s = at_s - self._at_s, at_s
        if not self._probs or self.settings.time_constant_s == 0:
            self._probs = dict(probs)
            return
        gain = -math.expm1(-max(0.0, elapsed) / self.settings.time_constant_s)
        for label, p in probs.items():
            self._probs[label] += gain * (p - self._probs[label])

    def _wanted(self, best: str) -> str | None:
        """Return the label that the smoothed probabilities ask for."""
        settings, p = self.settings, self._probs[best]
        unsure = self._decided and self._label is None
        if p < settings.abstain_below + (SURE_AGAIN if unsure else 0):
            return None
        if self._label is None or p - self._probs[self._label] >= settings.margin:
            return best
        # The present label leads, or not by enough behind: it stays, if it can be stood for.
        return self._label if self._probs[self._label] >= settings.abstain_below else None
