"""Clip-grouped folds: speakers shared, clips and their doubles not, emotions even."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import clips_of

from edge_ser.errors import ConfigError
from edge_ser.splits import SplitConfig, make_folds

EMOTIONS = ("sad", "happy", "angry")


@st.composite
def corpora(draw: st.DrawFn):
    """One or two corpora, some of whose clips hold the same audio as another."""
    clips = []
    for corpus in range(draw(st.integers(1, 2))):
        n = draw(st.integers(4, 20))  # at least five groups, however many are the same
        clips += clips_of(f"C{corpus}", "ann", "bob", n=n, emotions=EMOTIONS)
    for place in draw(st.lists(st.integers(0, len(clips) - 4), max_size=3)):
        later = clips[place + 3]  # of the same emotion
        clips[place] = dataclasses.replace(clips[place], group=later.group, emotion=later.emotion)
    return clips


@settings(deadline=None)
@given(corpora(), st.integers(2, 5), st.integers(0, 1000))
def test_every_clip_is_tested_once_and_doubles_stay_together(clips, n_folds, seed):
    folds = make_folds(clips, SplitConfig("clip-grouped", str(n_folds)), seed)

    assert len(folds) == n_folds
    assert Counter(clip for fold in folds for clip in fold.test) == Counter(clips)
    for fold in folds:
        assert Counter(fold.train + fold.test) == Counter(clips)
        assert {c.group for c in fold.train}.isdisjoint(c.group for c in fold.test)
        assert fold.validation == ()
    strata: dict[str, tuple[str, str]] = {}
    for clip in clips:
        strata.setdefault(clip.group, (clip.corpus, clip.emotion))
    for stratum in set(strata.values()):
        counts = [
            sum(strata[group] == stratum for group in {c.group for c in fold.test})
            for fold in folds
        ]
        assert max(counts) - min(counts) <= 1


def test_five_folds_by_default(official_clips):
    folds = make_folds(official_clips["EMO-DB"], SplitConfig("clip-grouped"))

    assert [(len(fold.train), len(fold.test)) for fold in folds] == [(1120, 280)] * 5
    for fold in folds:
        assert {c.speaker for c in fold.test} <= {c.speaker for c in fold.train}


def test_the_seed_decides(official_clips):
    clips, options = official_clips["SAVEE"], SplitConfig("clip-grouped")

    assert make_folds(clips, options, 1) == make_folds(clips, options, 1)
    assert make_folds(clips, options, 1) != make_folds(clips, options, 2)


@pytest.mark.parametrize(
    ("folds", "message"), [("1", r"1 fold\(s\)"), ("9", r"9 fold\(s\) of 4"), ("two", "a number")]
)
def test_folds_that_cannot_be_made(folds, message):
    with pytest.raises(ConfigError, match=message):
        make_folds(clips_of("own", "ann", "bob"), SplitConfig("clip-grouped", folds))


def test_validation_speakers_may_be_kept_out_of_training():
    clips = clips_of("own", "ann", "bob", "eve", n=10)

    folds = make_folds(clips, SplitConfig("clip-grouped", validation_speakers="bob"))

    assert Counter(clip for fold in folds for clip in fold.test) == Counter(clips)
    for fold in folds:
        assert {c.speaker for c in fold.validation} == {"own/bob"}
        assert {c.speaker for c in fold.train} == {"own/ann", "own/eve"}
        assert Counter(fold.clips) == Counter(clips)
