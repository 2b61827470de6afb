"""What a run took, sensor by sensor and as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from edge_ser.errors import ConfigError
from edge_ser.machine.power.sensor import What
from edge_ser.machine.power.timeline import Curve


@dataclass(frozen=True)
class Draw:
    """What one sensor, or several together, measured in a run."""

    name: str
    what: What | None
    """None for several together."""
    joules: float
    span_s: float
    """Seconds between the first and the last reading."""
    peak_w: float
    """The highest reading; of a counter, the highest mean over five of its updates."""
    spread_w: float
    """Standard deviation of the curve."""
    timeline: Curve
    """Seconds since the run began, and watts."""
    update_s: float | None
    """Seconds between new values, of the slowest sensor in it; None when not known."""
    idle_w: float | None = None
    """Mean power while nothing ran, where that was measured before."""

    @property
    def mean_w(self) -> float:
        """Mean power in watts."""
        return self.joules / self.span_s if self.span_s else 0.0

    @property
    def joules_above_idle(self) -> float | None:
        """Energy beyond what the idle machine takes; None where idle was not measured.

        It may be below 0, when the difference drowns in what else the machine does.
        """
        return None if self.idle_w is None else self.joules - self.idle_w * self.span_s


@dataclass(frozen=True)
class PowerReport:
    """A measured run."""

    total: Draw | None
    """All that may be added; None without sensors, or where it is not known what adds up."""
    covers: str
    """What the total holds, to be printed beside it; empty without a total."""
    whole_board: bool
    """The total is all that the board takes, as far as it measures itself."""
    rails: tuple[Draw, ...]
    duration_s: float
    rate_hz: float
    """Samples a second that were asked for."""
    n_samples: int
    meter_cpu_s: float
    """Processor time that sampling took; its energy is in the figures."""
    doubts: tuple[str, ...]
    """Why not to trust these figures, one sentence each."""
    reasons: tuple[str, ...]
    """Why other sensors are missing."""

    def joules_per_decision(self, n_decisions: int) -> float | None:
        """Return the total's energy over the number of decisions that were made in the run.

        Raises:
            ConfigError: no decision was made.
        """
        _check(n_decisions)
        return None if self.total is None else self.total.joules / n_decisions

    def joules_above_idle_per_decision(self, n_decisions: int) -> float | None:
        """Return the same without what the idle machine takes; None where idle was not measured.

        Raises:
            ConfigError: no decision was made.
        """
        _check(n_decisions)
        above = None if self.total is None else self.total.joules_above_idle
        return None if above is None else above / n_decisions


def _check(n_decisions: int) -> None:
    if n_decisions < 1:
        raise ConfigError(f"energy over {n_decisions} decisions was asked for; wanted: 1 or more")
