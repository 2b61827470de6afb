"""Mean features of an utterance: of its speech only, whatever pieces it comes in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import CARDS, RATE, noise

from edge_ser.frontend import log_mel, mfcc
from edge_ser.runtime.speech_mean import SPEECH_RANGE_DB, SpeechMean


def collected(samples, sizes=(), card="features", skip=0, wait=RATE, until=None):
    """Return what a collector says of samples that come in pieces."""
    collector = SpeechMean(CARDS[card].frontend, skip, wait)
    for piece in np.split(samples, np.minimum(np.cumsum(sizes), len(samples)).astype(int)):
        collector.push(piece)
    return collector.finish(len(samples) if until is None else until)


@pytest.mark.parametrize("card", ["features", "deltas", "centred"])
def test_steady_speech_gives_the_mean_of_all_frames(card):
    samples = noise(2 * RATE)
    speech = collected(samples, card=card)
    features = mfcc(samples, CARDS[card].frontend)
    assert speech.mean.dtype == np.float32
    np.testing.assert_allclose(speech.mean, features.mean(axis=1), rtol=1e-4, atol=1e-3)
    assert speech.speech_s == pytest.approx(features.shape[1] * 0.01)


def test_frames_far_below_the_loudest_do_not_count():
    """As in training: within so many dB of the loudest, by the mean of the log mel bands."""
    samples = noise(3 * RATE)
    samples[RATE : 2 * RATE] *= 10 ** (-50 / 20)
    frontend = CARDS["features"].frontend
    level = log_mel(samples, frontend).mean(axis=0)
    counted = level >= np.floor(level.max()) - SPEECH_RANGE_DB

    speech = collected(samples)

    assert 190 < counted.sum() < 210
    expected = mfcc(samples, frontend)[:, counted].mean(axis=1)
    np.testing.assert_allclose(speech.mean, expected, rtol=1e-4, atol=1e-3)
    assert speech.speech_s == pytest.approx(counted.sum() * 0.01)


def test_what_lies_before_and_behind_does_not_count():
    samples = noise(3 * RATE)
    samples[:RATE] *= 3
    samples[2 * RATE :] *= 3
    speech = collected(samples, [160] * 300, skip=RATE, wait=round(1.2 * RATE), until=2 * RATE)
    expected = mfcc(samples[RATE : 2 * RATE], CARDS["features"].frontend).mean(axis=1)
    np.testing.assert_allclose(speech.mean, expected, rtol=1e-4, atol=1e-3)
    assert speech.speech_s == pytest.approx(0.97)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.sampled_from([0, 1, 7, 160, 512, 4_000, 17_001]), max_size=20))
def test_pieces_change_nothing(sizes):
    samples = noise(2 * RATE)
    samples[RATE // 2 : RATE] *= 0.03
    whole = collected(samples, until=RATE + 4_321)
    cut = collected(samples, sizes, until=RATE + 4_321)
    np.testing.assert_array_equal(cut.mean, whole.mean)
    assert cut.speech_s == whole.speech_s


def test_less_than_a_frame_is_nothing():
    assert collected(noise(300)) is None
    assert collected(noise(RATE), skip=RATE) is None


def test_memory_does_not_grow():
    collector = SpeechMean(CARDS["features"].frontend, 0, RATE)
    for _ in range(60):
        collector.push(noise(RATE))
    assert collector._frames.end - collector._frames.start < 2 * RATE / 160
    assert collector._frames._columns.shape[1] < 1000
