"""Where live audio waits: bounded, with losses at their place."""

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


def rest_of(inbox: AudioQueue) -> list[SourceItem]:
    inbox.end()
    return list(iter(inbox.get, None))


def check_in_place(signals: list[SourceItem]) -> int:
    """Check that each gap in the count is told just there, and return how far the count goes."""
    position = 0
    for signal in signals:
        if isinstance(signal, AudioLost):
            assert signal.reason == "backlog"
            position += round(signal.seconds * RATE)
        else:
            assert signal.samples[0] == position
            position += len(signal.samples)
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
def test_every_sample_is_heard_or_counted_where_it_was_lost(steps, backlog):
    """Whatever is put and taken in whatever order."""
    inbox, counter, heard = AudioQueue(backlog / RATE), Counter(), []
    for n_samples, n_taken in steps:
        inbox.put_audio(counter.chunk(n_samples))
        waiting = sum(len(s.samples) for s in inbox._signals if isinstance(s, AudioChunk))
        assert waiting <= backlog
        heard += [inbox.get() for _ in range(min(n_taken, len(inbox._signals)))]
    heard += rest_of(inbox)

    assert check_in_place(heard) == counter.n
    lost = sum(round(s.seconds * RATE) for s in heard if isinstance(s, AudioLost))
    assert lost == round(inbox.dropped_s * RATE)


def test_a_storm_makes_one_gap_not_many():
    """A listener that frees a place now and then does not get audio in shreds."""
    inbox, counter, heard = AudioQueue(1.0), Counter(), []
    for _ in range(200):
        inbox.put_audio(counter.chunk(20))
    for _ in range(40):
        heard.append(inbox.get())
        inbox.put_audio(counter.chunk(20))
    heard += rest_of(inbox)

    assert check_in_place(heard) == counter.n
    (lost,) = [signal for signal in heard if isinstance(signal, AudioLost)]
    assert lost.seconds == inbox.dropped_s == 3.48


def test_a_storm_while_the_listener_sleeps_neither_blocks_nor_grows():
    inbox, counter = AudioQueue(1.0), Counter()
    storm = threading.Thread(
        target=lambda: [inbox.put_audio(counter.chunk(20)) for _ in range(5_000)]
    )
    storm.start()
    storm.join(20)

    assert not storm.is_alive()
    assert len(inbox._signals) == 50
    assert check_in_place(rest_of(inbox)) == 100_000


def test_a_loss_is_told_as_soon_as_the_backlog_is_heard():
    inbox, counter = AudioQueue(0.04), Counter()
    for _ in range(3):
        inbox.put_audio(counter.chunk(20))

    assert [type(inbox.get()) for _ in range(3)] == [AudioChunk, AudioChunk, AudioLost]


def test_losses_at_two_rates_add_up_in_seconds():
    inbox = AudioQueue(0.0)
    inbox.put_audio(AudioChunk(np.zeros(100, np.float32), 1_000))
    inbox.put_audio(AudioChunk(np.zeros(100, np.float32), 8_000))

    assert rest_of(inbox) == [AudioLost(0.1125, "backlog")]


def test_overruns_are_all_counted_and_told_once_a_second(clock):
    inbox, chunk, seen = AudioQueue(), AudioChunk(np.zeros(20, np.float32), RATE), []
    for _ in range(100):  # 2 s in blocks of 20 ms, and each comes with the flag
        inbox.put_audio(chunk, overrun=True)
        clock[0] += 0.02
    while inbox._signals:
        seen.append(inbox.get())

    places = [place for place, signal in enumerate(seen) if signal == AudioLost(None, "device")]
    assert places[0] == 0, "before the audio that follows the loss"
    assert len(places) == 2
    assert 50 <= places[1] <= 52
    assert inbox.overruns == 100
    clock[0] += 1
    assert inbox.get() == AudioLost(None, "device"), "those after the last that was told"
    assert inbox.get() == Idle()


def test_samples_that_are_no_numbers_are_a_loss():
    inbox = AudioQueue()
    inbox.put_audio(AudioChunk(np.array([0.0, np.nan], np.float32), RATE))
    inbox.put_audio(AudioChunk(np.zeros(2, np.float32), RATE))

    lost, chunk = rest_of(inbox)
    assert lost == AudioLost(None, "device")
    assert np.isfinite(chunk.samples).all()
    assert inbox.overruns == 1


def test_nothing_is_said_by_ticks():
    assert AudioQueue().get() == Idle()


def test_other_signals_are_never_dropped_and_stand_after_the_loss():
    inbox = AudioQueue(0.0)
    inbox.put_audio(AudioChunk(np.zeros(500, np.float32), RATE))
    inbox.put(Disconnected("mic", "unplugged"))

    assert rest_of(inbox) == [AudioLost(0.5, "backlog"), Disconnected("mic", "unplugged")]


def test_the_error_comes_after_what_was_heard():
    inbox = AudioQueue()
    inbox.put_audio(AudioChunk(np.zeros(20, np.float32), RATE))
    inbox.end(AudioError("over"))
    inbox.end(AudioError("a later one does not matter"))

    assert isinstance(inbox.get(), AudioChunk)
    with pytest.raises(AudioError, match=r"^over$"):
        inbox.get()
