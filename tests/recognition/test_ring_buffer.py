"""The buffer of a stream against a plain array of everything that ever came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.recognition.ring_buffer import RingBuffer


def numbered(start: int, n: int) -> np.ndarray:
    """Return float32 [2, n]: columns that know their place."""
    return np.stack([np.arange(start, start + n), -np.arange(start, start + n)]).astype(np.float32)


def test_columns_keep_their_place_in_the_stream():
    timeline = RingBuffer(2)
    timeline.append(numbered(0, 5))
    timeline.append(numbered(5, 3))
    timeline.drop_before(4)

    assert timeline.end == 8
    np.testing.assert_array_equal(timeline.slice(4, 8), numbered(4, 4))
    np.testing.assert_array_equal(timeline.slice(6, 7), numbered(6, 1))
    assert timeline.slice(5, 5).shape == (2, 0)


@pytest.mark.parametrize(("start", "stop"), [(3, 6), (0, 2), (5, 9), (7, 6)])
def test_columns_that_are_dropped_or_have_not_come(start, stop):
    timeline = RingBuffer(2)
    timeline.append(numbered(0, 8))
    timeline.drop_before(4)
    with pytest.raises(IndexError, match=rf"\b{start}:{stop}\b.*\b4:8\b"):
        timeline.slice(start, stop)


def test_dropping_beyond_the_end_does_not_drop_what_comes_later():
    timeline = RingBuffer(2)
    timeline.append(numbered(0, 3))
    timeline.drop_before(10)
    timeline.append(numbered(3, 9))
    assert timeline.end == 12
    np.testing.assert_array_equal(timeline.slice(10, 12), numbered(10, 2))


def test_dropping_backwards_does_nothing():
    timeline = RingBuffer(2)
    timeline.append(numbered(0, 6))
    timeline.drop_before(4)
    timeline.drop_before(1)
    np.testing.assert_array_equal(timeline.slice(4, 6), numbered(4, 2))


def test_the_memory_stays_at_twice_what_was_kept_at_once():
    timeline = RingBuffer(2)
    memory = set()
    for i in range(10_000):
        timeline.append(numbered(100 * i, 100))
        timeline.drop_before(100 * i - 900)
        memory.add(timeline._columns.shape[1])
        assert timeline.end - timeline.start <= 1_000
    assert max(memory) <= 2_200
    assert timeline._columns.base is None


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(0, 20)),
            st.tuples(st.just("drop"), st.integers(0, 60)),
        )
    )
)
def test_any_course_of_events(steps):
    timeline, end, kept_from = RingBuffer(2), 0, 0
    for what, n in steps:
        if what == "append":
            timeline.append(numbered(end, n))
            end += n
        else:
            timeline.drop_before(n)
            kept_from = max(kept_from, min(n, end))
        assert timeline.end == end
        np.testing.assert_array_equal(
            timeline.slice(kept_from, end), numbered(kept_from, end - kept_from)
        )
