"""EmoBox's folds: each speaker tested once, in the published order, on whole corpora only."""

from __future__ import annotations

import pytest

from edge_ser.errors import ConfigError
from edge_ser.splits import SplitConfig, make_folds, refuse_leaks, speakers

EMOBOX = SplitConfig("emobox", validation_speakers="none")


@pytest.mark.parametrize(
    ("corpus", "tested", "n_test"),
    [
        (
            "RAVDESS",
            "01,11,20,21 04,10,12,14 08,09,19,23 03,05,07,24 02,15,16,18 06,13,17,22",
            240,
        ),
        ("SAVEE", "JE KL DC JK", 120),
        ("EMOVO", "f2 m3 m2 f3 f1 m1", 98),
    ],
)
def test_published_folds(official_clips, corpus, tested, n_test):
    clips = official_clips[corpus]

    folds = make_folds(clips, EMOBOX)

    assert [fold.name for fold in folds] == [str(n + 1) for n in range(len(folds))]
    assert [speakers(fold.test) for fold in folds] == [
        tuple(f"{corpus}/{name}" for name in names.split(",")) for names in tested.split()
    ]
    for fold in folds:
        assert len(fold.test) == n_test
        assert len(fold.train) == len(clips) - n_test
        assert refuse_leaks(fold).found == ()
    assert sorted(c.path for fold in folds for c in fold.test) == sorted(c.path for c in clips)


def test_validation_speakers_come_from_the_training_part(official_clips):
    tested = [fold.test for fold in make_folds(official_clips["RAVDESS"], EMOBOX)]

    folds = make_folds(official_clips["RAVDESS"], SplitConfig("emobox"), seed=3)

    assert [fold.test for fold in folds] == tested
    for fold in folds:
        assert len(speakers(fold.validation)) == 3
        assert len(speakers(fold.train)) == 17


@pytest.mark.parametrize("corpus", ["EMO-DB", "TESS", "CREMA-D"])
def test_corpora_whose_folds_share_speakers_are_refused(official_clips, corpus):
    with pytest.raises(ConfigError, match=f"{corpus} .*RAVDESS, SAVEE, EMOVO"):
        make_folds(official_clips[corpus], EMOBOX)


def test_two_corpora_are_refused(official_clips):
    with pytest.raises(ConfigError, match=r"got 2 \(EMOVO, SAVEE\)"):
        make_folds(official_clips["SAVEE"] + official_clips["EMOVO"], EMOBOX)


def test_a_part_of_a_corpus_is_refused(official_clips):
    some = [c for c in official_clips["RAVDESS"] if c.speaker not in ("RAVDESS/04", "RAVDESS/20")]

    with pytest.raises(ConfigError, match="RAVDESS/04, RAVDESS/20 are missing"):
        make_folds(some, EMOBOX)
