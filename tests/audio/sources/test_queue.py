"""Queue of live audio: bounded, with losses at their position."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources import queue as module
from edge_ser.audio.sources.base import AudioLost, Disconnected, Idle, SourceItem
from edge_ser.audio.sources.queue import AudioQueue
from edge_ser.errors import AudioError

RATE = 1_000


class Counter:
    """Audio whose samples count up, so that a gap shows how long it is."""

    def __init__(self) -> None:
        self.n = 0

    def chunk(self, n_samples: int) -> AudioChunk:
        self.n += n_samples
        return AudioChunk(np.arange(self.n - n_samples, self.n, dtype=np.float32), RATE)


def rest_of(queue: AudioQueue) -> list[SourceItem]:
    queue.end()
    return list(iter(queue.get, None))


def check_in_place(items: list[SourceItem]) -> int:
    """Check that each gap in the count is reported at its position, and return the end of the count."""
    position = 0
    for item in items:
        if isinstance(item, AudioLost):
            assert item.reason == "backlog"
            position += round(item.seconds * RATE)
        else:
            assert item.samples[0] == position
            position += len(item.samples)
    return position


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@given(
    steps=st.lists(st.tuples(st.integers(1, 400), st.integers(0, 3)), max_size=60),
    backlog=st.integers(1, 1_000),
)
def test_every_sample_is_read_or_counted_where_it_was_lost(steps, backlog):
    """Whatever is put and taken in whatever order."""
    queue, counter, received = AudioQueue(backlog / RATE), Counter(), []
    for n_samples, n_taken in steps:
        queue.put_audio(counter.chunk(n_samples))
        waiting = sum(len(s.samples) for s in queue._items if isinstance(s, AudioChunk))
        assert waiting <= backlog
        received += [queue.get() for _ in range(min(n_taken, len(queue._items)))]
    received += rest_of(queue)

    assert check_in_place(received) == counter.n
    lost = sum(round(s.seconds * RATE) for s in received if isinstance(s, AudioLost))
    assert lost == round(queue.dropped_s * RATE)


def test_a_storm_makes_one_gap_not_many():
    """A listener that frees a place now and then does not get audio in shreds."""
    queue, counter, received = AudioQueue(1.0), Counter(), []
    for _ in range(200):
        queue.put_audio(counter.chunk(20))
    for _ in range(40):
        received.append(queue.get())
        queue.put_audio(counter.chunk(20))
    received += rest_of(queue)

    assert check_in_place(received) == counter.n
    (lost,) = [item for item in received if isinstance(item, AudioLost)]
    assert lost.seconds == queue.dropped_s == 3.48


def test_a_storm_while_the_listener_sleeps_neither_blocks_nor_grows():
    queue, counter = AudioQueue(1.0), Counter()
    storm = threading.Thread(
        target=lambda: [queue.put_audio(counter.chunk(20)) for _ in range(5_000)]
    )
    storm.start()
    storm.join(20)

    assert not storm.is_alive()
    assert len(queue._items) == 50
    assert check_in_place(rest_of(queue)) == 100_000


def test_a_loss_is_reported_as_soon_as_the_backlog_is_read():
    queue, counter = AudioQueue(0.04), Counter()
    for _ in range(3):
        queue.put_audio(counter.chunk(20))

    assert [type(queue.get()) for _ in range(3)] == [AudioChunk, AudioChunk, AudioLost]


def test_losses_at_two_rates_add_up_in_seconds():
    queue = AudioQueue(0.0)
    queue.put_audio(AudioChunk(np.zeros(100, np.float32), 1_000))
    queue.put_audio(AudioChunk(np.zeros(100, np.float32), 8_000))

    assert rest_of(queue) == [AudioLost(0.1125, "backlog")]


def test_overruns_are_all_counted_and_reported_once_a_second(clock):
    queue, chunk, seen = AudioQueue(), AudioChunk(np.zeros(20, np.float32), RATE), []
    for _ in range(100):  # 2 s in blocks of 20 ms, and each comes with the flag
        queue.put_audio(chunk, overrun=True)
        clock[0] += 0.02
    while queue._items:
        seen.append(queue.get())

    places = [place for place, item in enumerate(seen) if item == AudioLost(None, "device")]
    assert places[0] == 0, "before the audio that follows the loss"
    assert len(places) == 2
    assert 50 <= places[1] <= 52
    assert queue.overruns == 100
    clock[0] += 1
    assert queue.get() == AudioLost(None, "device"), "losses after the last report"
    assert queue.get() == Idle()


def test_samples_that_are_no_numbers_are_a_loss():
    queue = AudioQueue()
    queue.put_audio(AudioChunk(np.array([0.0, np.nan], np.float32), RATE))
    queue.put_audio(AudioChunk(np.zeros(2, np.float32), RATE))

    lost, chunk = rest_of(queue)
    assert lost == AudioLost(None, "device")
    assert np.isfinite(chunk.samples).all()
    assert queue.overruns == 1


def test_an_empty_queue_returns_idle():
    assert AudioQueue().get() == Idle()


def test_other_signals_are_never_dropped_and_stand_after_the_loss():
    queue = AudioQueue(0.0)
    queue.put_audio(AudioChunk(np.zeros(500, np.float32), RATE))
    queue.put(Disconnected("mic", "unplugged"))

    assert rest_of(queue) == [AudioLost(0.5, "backlog"), Disconnected("mic", "unplugged")]


def test_the_error_comes_after_the_queued_audio():
    queue = AudioQueue()
    queue.put_audio(AudioChunk(np.zeros(20, np.float32), RATE))
    queue.end(AudioError("over"))
    queue.end(AudioError("a later one does not matter"))

    assert isinstance(queue.get(), AudioChunk)
    with pytest.raises(AudioError, match=r"^over$"):
        queue.get()
