"""Smoothing of labels: exponential smoothing, hysteresis, minimum dwell time, abstaining."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edge_ser._util.records import require
from edge_ser.recognition.prediction import is_sure


class LowPass:
    """First-order low pass: y += (1 - exp(-dt / tau)) (x - y), beginning with the first value.

    Args:
        time_constant_s: tau, in seconds; 0 for no smoothing.
    """

    def __init__(self, time_constant_s: float) -> None:
        self._time_constant_s = time_constant_s
        self.reset()

    def reset(self) -> None:
        """Drop all values."""
        self.value: float | None = None
        self._at_s = 0.0

    def update(self, value: float | None, at_s: float) -> float | None:
        """Add a value at a stream time in seconds; return the smoothed one. None is ignored."""
        if value is None:
            return self.value
        elapsed_s, self._at_s = max(0.0, at_s - self._at_s), at_s
        if self.value is None or self._time_constant_s == 0:
            self.value = value
        else:
            self.value -= math.expm1(-elapsed_s / self._time_constant_s) * (value - self.value)
        return self.value


@dataclass(frozen=True)
class Smoothing:
    """Parameters of smoothing the labels of successive windows.

    Raises:
        ConfigError: a value out of range.
    """

    time_constant_s: float = 0.5
    """Seconds after which a window counts 1/e of a new one; 0 to use the last window only."""
    margin: float = 0.1
    """Lead in probability, in [0, 1), that another class needs to replace the current one."""
    dwell_s: float = 0.75
    """Shortest duration of a label, in seconds; the absence of a label may end earlier."""
    abstain_below: float = 0.0
    """Smoothed probability, in [0, 1), that a class needs to become the label."""
    doubt_margin: float = 0.15
    """A label is in doubt while its smoothed probability is more than this below `abstain_below`; in
    [0, 1)."""
    doubt_s: float = 1.5
    """Seconds of uninterrupted doubt after which the label is dropped; also before the first label."""

    def __post_init__(self) -> None:
        for name in ("time_constant_s", "dwell_s", "doubt_s"):
            value = getattr(self, name)
            require(0 <= value <= 60, name, value, "0 to 60 seconds")
        for name in ("margin", "abstain_below", "doubt_margin"):
            value = getattr(self, name)
            require(0 <= value < 1, name, value, "in [0, 1)")


@dataclass(frozen=True)
class Decision:
    """Label after a window."""

    label: str | None
    """None if the confidence is too low, and before the first decision."""
    previous: str | None
    """Label before this window; None if there was none."""
    changed: bool
    """Whether the label changed, or this is the first decision."""
    confidence: float
    """Smoothed probability of the most probable class."""
    probs: Mapping[str, float]
    """Smoothed probability by label; sums to 1."""


class Smoother:
    """Smooth the labels of one utterance; call `reset` before the next.

    - A class with a probability of at least `abstain_below` becomes the label: at once if there is
      none, else after the dwell time of the current label, if it leads that by the margin.
    - A label is held until another replaces it, or until it has been in doubt for `doubt_s`.
    - The first decision of an utterance is the first sure class, or no label after `doubt_s`.
    """

    def __init__(self, settings: Smoothing) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Drop all windows and the label."""
        self._probs: dict[str, float] = {}
        self._label: str | None = None
        self._at_s = 0.0
        self._since_s = -math.inf
        self._doubt_from_s: float | None = None
        self._decided = False

    def update(self, probs: Mapping[str, float], at_s: float) -> Decision:
        """Add the probabilities of a window, by label, and the stream time of its end, in seconds."""
        self._smooth(probs, at_s)
        best = max(self._probs, key=self._probs.__getitem__)
        previous, label = self._label, self._next(best, at_s)
        changed = label != previous
        if not self._decided:
            changed = label is not None or self._doubted(at_s)
        if changed:
            self._label, self._since_s, self._decided = label, at_s, True
            self._doubt_from_s = None
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

    def _next(self, best: str, at_s: float) -> str | None:
        """Return the label after this window."""
        settings, p = self.settings, self._probs[best]
        sure = is_sure(p, settings.abstain_below)
        if self._label is None:
            return best if sure else None
        present = self._probs[self._label]
        in_doubt = present < settings.abstain_below - settings.doubt_margin
        if not in_doubt:
            self._doubt_from_s = None
        doubted = in_doubt and self._doubted(at_s)
        if at_s - self._since_s < settings.dwell_s:
            return self._label
        if best != self._label and sure and p - present >= settings.margin:
            return best
        return None if doubted else self._label

    def _doubted(self, at_s: float) -> bool:
        """Return whether the doubt, which exists or begins now, has lasted for `doubt_s`."""
        if self._doubt_from_s is None:
            self._doubt_from_s = at_s
        return at_s - self._doubt_from_s >= self.settings.doubt_s
