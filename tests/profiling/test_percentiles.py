"""Percentiles are numpy's, and none is given that the count cannot carry."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import ConfigError
from edge_ser.profiling.statistics import QUANTILES, enough, spread_of

TIMES = st.lists(st.integers(0, 10**10), min_size=1, max_size=2000)


@given(TIMES)
def test_they_are_those_of_numpy(times):
    spread = spread_of(times)
    for name, q in QUANTILES.items():
        value = getattr(spread, name)
        if value is not None:
            assert value == pytest.approx(np.percentile(np.array(times) / 1e6, q))
    assert spread.n == len(times)
    assert spread.mean_ms == pytest.approx(np.mean(times) / 1e6)
    assert (spread.min_ms, spread.max_ms) == (min(times) / 1e6, max(times) / 1e6)


@given(TIMES)
def test_every_time_is_in_the_histogram_once(times):
    bars = spread_of(times).histogram
    assert sum(bar.n for bar in bars) == len(times)
    assert all(a.to_ms == b.from_ms for a, b in itertools.pairwise(bars))
    for bar in bars[1:-1]:
        inside = [t for t in times if bar.from_ms * (1 + 1e-9) <= t / 1e6 < bar.to_ms * (1 - 1e-9)]
        assert bar.n >= len(inside)


@pytest.mark.parametrize(
    ("percentile", "fewest"), [(50.0, 1), (90.0, 10), (95.0, 20), (99.0, 100), (99.9, 1000)]
)
def test_a_percentile_wants_one_value_beyond_it(percentile, fewest):
    name = next(name for name, q in QUANTILES.items() if q == percentile)
    assert enough(fewest, percentile)
    assert getattr(spread_of([1] * fewest), name) is not None
    if fewest > 1:
        assert getattr(spread_of([1] * (fewest - 1)), name) is None


def test_jitter_is_from_one_to_the_next():
    assert spread_of([1_000_000, 3_000_000, 2_000_000]).jitter_ms == pytest.approx(1.5)
    assert spread_of([1_000_000]).jitter_ms == 0


def test_at_takes_the_percentiles_that_there_are():
    spread = spread_of(range(1000))
    assert spread.at(99.0) == spread.p99_ms
    assert spread.at(99.9) == spread.p999_ms
    with pytest.raises(ConfigError, match="percentile is 42"):
        spread.at(42)
    with pytest.raises(ConfigError, match="times is 'none'"):
        spread_of([])
