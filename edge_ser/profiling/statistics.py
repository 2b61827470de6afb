"""Statistics of times in nanoseconds: percentiles that the count supports, jitter, a histogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.records import require

_FLOOR_BYTES = 1 << 20
"""Fluctuation of allocators and caches in bytes; less is not growth."""
_FLOOR_SHARE = 0.01
_FEWEST = 6


@dataclass(frozen=True)
class Growth:
    """Memory over a run: medians of its first and last third."""

    first_bytes: int
    last_bytes: int
    peak_bytes: int
    grows: bool
    """Whether the medians of the three thirds grow, by more than 1 MiB and 1% in all."""

    @property
    def growth_bytes(self) -> int:
        """Growth in bytes; may be negative."""
        return self.last_bytes - self.first_bytes


def growth_of(values: Sequence[int]) -> Growth | None:
    """Return the growth of a time series of sizes in bytes; None for fewer than 6."""
    if len(values) < _FEWEST:
        return None
    n = len(values) // 3
    first, middle, last = (
        median(part) for part in (values[:n], values[n : len(values) - n], values[-n:])
    )
    threshold = max(_FLOOR_BYTES, _FLOOR_SHARE * first)
    # A cache or an arena grows once, at the beginning; a leak continues to the end.
    grows = last - first > threshold and last - middle > threshold / 4 and middle > first
    return Growth(int(first), int(last), max(values), grows)


Nanoseconds = NDArray[np.int64]

QUANTILES = {"p50_ms": 50.0, "p90_ms": 90.0, "p95_ms": 95.0, "p99_ms": 99.0, "p999_ms": 99.9}
"""Field of `Spread` → percentile."""

_BINS_A_DECADE = 12


@dataclass(frozen=True)
class Bar:
    """One bin of a histogram."""

    from_ms: float
    to_ms: float
    """Upper edge, exclusive except in the last bin."""
    n: int


@dataclass(frozen=True)
class Spread:
    """Distribution of a time over the decisions. Percentiles are linear between ranks."""

    n: int
    mean_ms: float
    min_ms: float
    p50_ms: float
    p90_ms: float | None
    """This and the next ones are None if too few values are expected beyond the percentile: p99 needs
    100 values, p99.9 needs 1000."""
    p95_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    max_ms: float
    jitter_ms: float
    """Mean absolute difference between consecutive decisions."""
    histogram: tuple[Bar, ...] = ()
    """Bins of equal ratio; zeros are in the first."""

    def at(self, percentile: float) -> float | None:
        """Return a percentile of QUANTILES; None if there are too few values."""
        known = {q: name for name, q in QUANTILES.items()}
        require(percentile in known, "percentile", percentile, f"one of {sorted(known)}")
        value: float | None = getattr(self, known[percentile])
        return value


def spread_of(times_ns: Nanoseconds | Sequence[int], *, bars: bool = True) -> Spread:
    """Return the distribution of times in nanoseconds [n], in the order of measurement.

    Raises:
        ConfigError: there are none.
    """
    times = np.asarray(times_ns, dtype=np.float64) / 1e6
    require(times.size > 0, "times", "none", "one or more")
    n = int(times.size)
    quantiles = {
        name: float(np.percentile(times, q)) if enough(n, q) else None
        for name, q in QUANTILES.items()
    }
    p50_ms = float(np.median(times))
    return Spread(
        n=n,
        mean_ms=float(times.mean()),
        min_ms=float(times.min()),
        max_ms=float(times.max()),
        jitter_ms=float(np.abs(np.diff(times)).mean()) if n > 1 else 0.0,
        histogram=_histogram(times) if bars else (),
        **{**quantiles, "p50_ms": p50_ms},  # type: ignore[arg-type]
    )


def enough(n: int, percentile: float) -> bool:
    """Return whether of n values at least one is expected beyond the percentile."""
    return percentile <= 50 or round(n * (100.0 - percentile), 6) >= 100.0


def _histogram(times: NDArray[np.float64]) -> tuple[Bar, ...]:
    """Return bins with the same edges in all histograms, so that they are comparable."""
    above = times[times > 0]
    if above.size == 0:
        return (Bar(0.0, 0.0, int(times.size)),)
    low = np.floor(np.log10(above.min()) * _BINS_A_DECADE)
    high = np.floor(np.log10(above.max()) * _BINS_A_DECADE) + 1
    edges = 10.0 ** (np.arange(low, high + 1) / _BINS_A_DECADE)
    clamped = np.clip(times, edges[0], np.nextafter(edges[-1], 0))
    counts = np.histogram(clamped, edges)[0]
    return tuple(
        Bar(float(a), float(b), int(n)) for a, b, n in zip(edges, edges[1:], counts, strict=False)
    )
