"""What timing the stages itself costs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from edge_ser.profiling.clock import Clock
from edge_ser.profiling.stages import REST, StageClock

_BATCHES, _MARKS = 21, 100


@dataclass(frozen=True)
class Overhead:
    """Rounds in which a model ran with and without stages being timed, and the difference."""

    n_rounds: int
    plain_p50_ms: float
    """Mean over the rounds of the median time that was computed, nothing timed but the whole."""
    timed_p50_ms: float
    error_ms: float | None
    """Standard error of the difference over the rounds; None for a single one."""
    mark_us: float
    """What one mark takes by itself; a decision has about a dozen of them."""

    @property
    def added_ms(self) -> float:
        """By how much decisions took longer; below 0 where it drowns in what else the machine does."""
        return self.timed_p50_ms - self.plain_p50_ms

    @property
    def is_noise(self) -> bool:
        """Whether it is within three standard errors, or below 0: no probe makes anything faster."""
        return self.error_ms is None or self.added_ms < 3 * self.error_ms


def overhead_of(
    timed: Mapping[int, float], plain: Mapping[int, float], mark_us: float
) -> Overhead | None:
    """Compare medians in ms by round, those with and those without; None where no round has both."""
    rounds = sorted(timed.keys() & plain.keys())
    if not rounds:
        return None
    added = [timed[n] - plain[n] for n in rounds]
    error = statistics.stdev(added) / math.sqrt(len(added)) if len(added) > 1 else None
    return Overhead(
        len(rounds),
        statistics.fmean(plain[n] for n in rounds),
        statistics.fmean(timed[n] for n in rounds),
        error,
        mark_us,
    )


def mark_us(clock: Clock) -> float:
    """Return how long one mark of a probe takes, in microseconds: the median of some batches."""
    stages = StageClock(clock)
    batches = []
    for _ in range(_BATCHES):
        begin_ns = clock.now_ns()
        for _ in range(_MARKS):
            stages(REST)
        batches.append((clock.now_ns() - begin_ns) / _MARKS / 1e3)
    return statistics.median(batches)
