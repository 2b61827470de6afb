"""Cost of timing the stages."""

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
    """Comparison of rounds with and without timed stages."""

    n_rounds: int
    plain_p50_ms: float
    """Mean over the rounds of the median computed time, with only the total timed."""
    timed_p50_ms: float
    error_ms: float | None
    """Standard error of the difference over the rounds; None for a single round."""
    mark_us: float
    """Time of one mark, in microseconds; a decision has about a dozen marks."""

    @property
    def added_ms(self) -> float:
        """Added time of a decision, in ms; below 0 if it is smaller than the noise."""
        return self.timed_p50_ms - self.plain_p50_ms

    @property
    def is_noise(self) -> bool:
        """Whether it is within three standard errors, or below 0."""
        return self.error_ms is None or self.added_ms < 3 * self.error_ms


def overhead_of(
    timed: Mapping[int, float], plain: Mapping[int, float], mark_us: float
) -> Overhead | None:
    """Compare medians in ms by round, with and without timed stages; None if no round has both."""
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
    """Return the time of one mark of a probe, in microseconds: the median of several batches."""
    stages = StageClock(clock)
    batches = []
    for _ in range(_BATCHES):
        begin_ns = clock.now_ns()
        for _ in range(_MARKS):
            stages(REST)
        batches.append((clock.now_ns() - begin_ns) / _MARKS / 1e3)
    return statistics.median(batches)
