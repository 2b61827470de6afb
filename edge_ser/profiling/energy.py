"""Energy of each model in a run: the integral of the power curve over its blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_ser.machine.power.report import Curve, power_at, trapezoid

Span = tuple[float, float]
"""Start and end in seconds since the run began."""


@dataclass(frozen=True)
class Energy:
    """Energy of a model's blocks."""

    joules: float
    seconds: float
    joules_per_decision: float
    idle_w: float | None
    joules_above_idle_per_decision: float | None
    """Energy minus that of the machine at rest; below 0 if other work exceeds the difference."""

    @property
    def mean_w(self) -> float:
        """Mean power during its blocks, in watts."""
        return self.joules / self.seconds if self.seconds else 0.0


def energy_of(
    curve: Curve, spans: Sequence[Span], n_decisions: int, idle_w: float | None
) -> Energy | None:
    """Integrate a curve of power over spans; None without a curve or without decisions."""
    seconds = sum(end - begin for begin, end in spans)
    if not curve or n_decisions == 0 or seconds <= 0:
        return None
    joules = sum(_under(curve, span) for span in spans)
    above = None if idle_w is None else (joules - idle_w * seconds) / n_decisions
    return Energy(joules, seconds, joules / n_decisions, idle_w, above)


def _under(curve: Curve, span: Span) -> float:
    begin, end = span
    inside = tuple(point for point in curve if begin < point[0] < end)
    return trapezoid(((begin, power_at(curve, begin)), *inside, (end, power_at(curve, end))))
