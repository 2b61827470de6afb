"""When pieces of audio come."""

from __future__ import annotations

import numpy as np
import pytest
from profile_parts import MS, RATE, FakeClock, noise_sound

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources.base import Idle
from edge_ser.errors import AudioError, ConfigError
from edge_ser.profiling.arrival import LiveFeed, SoundFeed

PIECE = 20 * MS


def test_closed_never_waits():
    clock = FakeClock()
    feed = SoundFeed(noise_sound(), "closed", clock, 0.02)
    for _ in range(5):
        clock.pass_ns(7)
        arrived = feed.next()
        assert arrived.captured_ns == clock.now_ns()
        assert arrived.signal.captured_s is None
        assert not arrived.spaced


def test_paced_comes_in_real_time():
    clock = FakeClock()
    begin = clock.now_ns()
    feed = SoundFeed(noise_sound(), "paced", clock, 0.02)
    for n in range(1, 6):
        arrived = feed.next()
        assert clock.now_ns() == begin + n * PIECE == arrived.captured_ns
        assert arrived.signal.captured_s == pytest.approx(arrived.captured_ns / 1e9)
        assert arrived.spaced


def test_paced_work_makes_the_next_piece_late_but_not_the_grid():
    clock = FakeClock(late_ns=3)
    begin = clock.now_ns()
    feed = SoundFeed(noise_sound(), "paced", clock, 0.02)
    feed.next()
    assert clock.now_ns() == begin + PIECE + 3
    clock.pass_ns(50 * MS)
    second, third = feed.next(), feed.next()
    assert clock.now_ns() == begin + PIECE + 3 + 50 * MS
    assert (second.captured_ns, third.captured_ns) == (begin + 2 * PIECE, begin + 3 * PIECE)
    feed.next()
    assert feed.next().captured_ns == clock.now_ns() - 3 == begin + 5 * PIECE


def test_what_passes_between_blocks_is_nobodys_lateness():
    clock = FakeClock()
    feed = SoundFeed(noise_sound(), "paced", clock, 0.02)
    feed.next()
    clock.pass_ns(10_000 * MS)
    feed.resume()
    resumed = clock.now_ns()
    assert feed.next().captured_ns == resumed + PIECE == clock.now_ns()


def test_bursty_brings_a_second_at_once_and_then_nothing():
    clock = FakeClock()
    begin = clock.now_ns()
    feed = SoundFeed(noise_sound(), "bursty", clock, 0.02)
    times = []
    for _ in range(150):
        arrived = feed.next()
        times.append((clock.now_ns() - begin) // MS)
        assert arrived.captured_ns == begin + times[-1] * MS
        assert not arrived.spaced
    assert times == [1000] * 50 + [2000] * 50 + [3000] * 50


def test_the_sound_goes_round_without_a_seam():
    sound = noise_sound(0.05)
    pieces = sound.pieces(0.02)
    heard = np.concatenate([next(pieces) for _ in range(10)])
    assert np.array_equal(heard, np.resize(sound.samples, len(heard)))
    longer = noise_sound(0.01).pieces(0.05)
    assert np.array_equal(next(longer), np.resize(noise_sound(0.01).samples, 800))


def test_live_audio_comes_as_it_was_stamped():
    chunk = AudioChunk(np.zeros(320, np.float32), RATE, 1.5)
    feed = LiveFeed(iter([Idle(), chunk]).__next__)
    assert feed.next().captured_ns is None
    arrived = feed.next()
    assert (arrived.captured_ns, arrived.spaced) == (1500 * MS, True)


def test_a_live_source_that_ends():
    with pytest.raises(AudioError, match="the source ended before the profile did"):
        LiveFeed(iter([]).__next__).next()


def test_an_arrival_that_there_is_not():
    with pytest.raises(ConfigError, match="arrival is 'slow', expected one of closed, paced"):
        SoundFeed(noise_sound(), "slow", FakeClock(), 0.02)
