"""Sampling weights: corpora, speakers and classes of unequal size are drawn more evenly."""

from __future__ import annotations

import dataclasses

import pytest
from support import clips_of

from edge_ser.corpora import Role
from edge_ser.training.sampling import sampling_weights


@pytest.fixture
def clips():
    crowd = [
        dataclasses.replace(clip, role=Role.NEUTRAL, emotion="neutral")
        for clip in clips_of("crowd", "?", n=10)
    ]
    return clips_of("big", "a", "b", n=40) + clips_of("small", "c", n=10) + crowd


def share(weights, clips, corpus):
    mask = [clip.corpus == corpus for clip in clips]
    return float(sum(w for w, own in zip(weights, mask, strict=True) if own) / weights.sum())


def test_without_balance_each_clip_comes_once(clips):
    assert sampling_weights(clips) is None
    assert len(set(sampling_weights(clips, drawn=True).tolist())) == 1


def test_balance_evens_speakers_of_corpora_out(clips):
    none, half, full = (
        share(sampling_weights(clips, balance, drawn=True), clips, "small")
        for balance in (0.0, 0.5, 1.0)
    )

    assert none == pytest.approx(10 / 100)
    assert none < half < full
    # Two speakers with two classes, one with two classes, and a crowd of one class.
    assert full == pytest.approx(2 / (4 + 2 + 1))


def test_balance_evens_speakers_out():
    clips = clips_of("one", "often", n=30) + clips_of("one", "seldom", n=2)
    weights = sampling_weights(clips, 1.0)

    seldom = float(weights[-2:].sum() / weights.sum())
    assert seldom == pytest.approx(0.5)


@pytest.mark.parametrize("expected", [0.05, 0.3])
def test_a_crowd_gets_its_share(clips, expected):
    weights = sampling_weights(clips, 0.5, expected)

    assert share(weights, clips, "crowd") == pytest.approx(expected)


def test_a_share_for_a_crowd_that_is_not_there_changes_nothing():
    assert sampling_weights(clips_of("one", "a"), 0.0, 0.3) is None
