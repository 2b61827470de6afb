"""First-order low pass of one number that comes at uneven times."""

from __future__ import annotations

import math


class LowPass:
    """y += (1 - exp(-dt / tau)) (x - y); the first value is taken as it is.

    Args:
        time_constant_s: tau; 0 to take every value as it is.
    """

    def __init__(self, time_constant_s: float) -> None:
        self._time_constant_s = time_constant_s
        self.reset()

    def reset(self) -> None:
        """Forget all values."""
        self.value: float | None = None
        self._at_s = 0.0

    def update(self, value: float | None, at_s: float) -> float | None:
        """Take a value at a stream time in seconds and return the smoothed one; None changes nothing."""
        if value is None:
            return self.value
        elapsed_s, self._at_s = max(0.0, at_s - self._at_s), at_s
        if self.value is None or self._time_constant_s == 0:
            self.value = value
        else:
            self.value -= math.expm1(-elapsed_s / self._time_constant_s) * (value - self.value)
        return self.value
