"""Cross-corpus folds: each corpus in turn, over emotions that all have."""

from __future__ import annotations

import pytest
from support import clips_of

from edge_ser.errors import ConfigError
from edge_ser.splits import SplitConfig, make_folds, refuse_leaks

CROSS = SplitConfig("cross-corpus", validation_speakers="none")
SHARED = ("neutral", "happy", "sad", "angry", "fearful", "disgust")


def test_every_corpus_is_tested_by_the_others(official_clips):
    six = set(official_clips) - {"nEMO"}  # which has no disgust
    clips = [c for own in six for c in official_clips[own] if c.emotion in SHARED]

    folds = make_folds(clips, CROSS)

    assert [fold.name.rpartition(" to ")[2] for fold in folds] == sorted(six)
    assert folds[-1].name == "CREMA-D+EMO-DB+EMOVO+RAVDESS+SAVEE to TESS"
    for fold in folds:
        tested = fold.name.rpartition(" to ")[2]
        assert {clip.corpus for clip in fold.test} == {tested}
        assert {clip.corpus for clip in fold.train} == six - {tested}
        assert len(fold.clips) == len(clips)


def test_nothing_is_shared(official_clips):
    clips = [c for own in ("SAVEE", "EMOVO") for c in official_clips[own] if c.emotion in SHARED]

    for fold in make_folds(clips, SplitConfig("cross-corpus")):
        assert fold.validation
        assert {c.corpus for c in fold.validation} == {c.corpus for c in fold.train}
        assert refuse_leaks(fold).found == ()


def test_one_corpus_is_refused():
    with pytest.raises(ConfigError, match=r"got 1 \(own\)"):
        make_folds(clips_of("own", "ann", "bob"), CROSS)


def test_a_corpus_may_lack_an_emotion():
    clips = (
        clips_of("one", "ann")
        + clips_of("two", "bob", n=3, emotions=("sad", "happy", "bored"))
        + clips_of("three", "eve", n=3, emotions=("sad", "happy", "bored"))
    )

    folds = make_folds(clips, CROSS)

    assert len(folds) == 3
    assert all({"sad", "happy", "bored"} == {c.emotion for c in fold.train} for fold in folds)


def test_an_emotion_of_one_corpus_alone_is_refused():
    clips = clips_of("one", "ann") + clips_of("two", "bob", n=3, emotions=("sad", "happy", "bored"))

    with pytest.raises(ConfigError, match=r"\bbored\b.*\btwo\b"):
        make_folds(clips, CROSS)
