"""Speakers of the test are never in training, whoever draws or names them, in one fold or in many."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import clips_of

from edge_ser.corpora import Clip, load_corpus
from edge_ser.errors import ConfigError
from edge_ser.splits import Fold, SplitConfig, make_folds, speakers

EACH = SplitConfig(folds="leave-one-speaker-out", validation_speakers="none")


def speaker_independent(clips, seed, test_speakers="", validation_speakers="") -> Fold:
    options = SplitConfig(test_speakers=test_speakers, validation_speakers=validation_speakers)
    (fold,) = make_folds(clips, options, seed)
    return fold


def actors(n: int) -> list[str]:
    return [f"{actor:02}" for actor in range(1, n + 1)]


RAVDESS = clips_of("RAVDESS", *actors(24), genders="mf")
TESS = clips_of("TESS", "OAF", "YAF", genders="f")
EMO_DB = clips_of("EMO-DB", "03", "08", "09", "10", "11", genders="mfmfm")


def parts_of(fold: Fold) -> tuple[tuple[Clip, ...], ...]:
    return fold.train, fold.validation, fold.test


# --- drawn -------------------------------------------------------------------------------


@st.composite
def corpora(draw: st.DrawFn) -> list[Clip]:
    """Up to three corpora, the first one large enough to be fold."""
    sizes = [draw(st.integers(4, 30)), *draw(st.lists(st.integers(1, 30), max_size=2))]
    genders = st.text("mf", max_size=3)
    return [
        clip
        for place, size in enumerate(sizes)
        for clip in clips_of(
            f"C{place}", *actors(size), n=draw(st.integers(1, 3)), genders=draw(genders)
        )
    ]


@settings(deadline=None)
@given(corpora(), st.integers(0, 1000))
def test_the_draw_shares_no_speaker_and_no_group_and_loses_no_clip(clips, seed):
    fold = speaker_independent(clips, seed)

    assert (fold.protocol, fold.name) == ("speaker-independent", "drawn")
    for attribute in ("speaker", "group"):
        sets = [{getattr(clip, attribute) for clip in part} for part in parts_of(fold)]
        assert sum(map(len, sets)) == len(set.union(*sets))
    assert Counter(clip for part in parts_of(fold) for clip in part) == Counter(clips)


@settings(deadline=None)
@given(corpora(), st.integers(0, 1000))
def test_large_corpora_are_in_every_part_and_small_ones_in_training(clips, seed):
    fold = speaker_independent(clips, seed)

    for corpus in {clip.corpus for clip in clips}:
        own = [[c for c in part if c.corpus == corpus] for part in parts_of(fold)]
        train, validation, test = (len(speakers(part)) for part in own)
        if train + validation + test < 3:
            assert (validation, test) == (0, 0)
        elif train + validation + test > 3:
            assert validation >= 1
            assert test >= 1
            assert train >= max(validation, test)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_three_speakers_are_one_for_each_part(seed):
    fold = speaker_independent(clips_of("own", "ann", "bob", "eve"), seed)

    assert [len(speakers(part)) for part in parts_of(fold)] == [1, 1, 1]


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_both_genders_are_tested(seed):
    fold = speaker_independent(RAVDESS, seed)

    assert [len(speakers(part)) for part in parts_of(fold)] == [16, 3, 5]
    for part in (fold.validation, fold.test):
        genders = Counter(clip.gender for clip in part)
        assert abs(genders["male"] - genders["female"]) == 2  # two clips of one speaker


def test_corpora_of_two_speakers_go_into_training():
    fold = speaker_independent(RAVDESS + TESS, 0)

    assert {"TESS/OAF", "TESS/YAF"} <= set(speakers(fold.train))
    assert {clip.corpus for clip in fold.test} == {"RAVDESS"}


def test_the_seed_decides():
    assert speaker_independent(RAVDESS, 5) == speaker_independent(RAVDESS, 5)
    tests = {speakers(speaker_independent(RAVDESS, seed).test) for seed in range(10)}
    assert len(tests) > 5


def test_the_order_of_the_corpora_does_not_matter():
    one, other = speaker_independent(RAVDESS + EMO_DB, 3), speaker_independent(EMO_DB + RAVDESS, 3)

    assert [speakers(part) for part in parts_of(one)] == [speakers(p) for p in parts_of(other)]


# --- named -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names", ["1,11", "01, 11", "RAVDESS/1,RAVDESS/11", "ravdess/01,Ravdess/011", "1,01,11,"]
)
def test_all_spellings_of_a_speaker(names):
    fold = speaker_independent(RAVDESS, 0, test_speakers=names)

    assert speakers(fold.test) == ("RAVDESS/01", "RAVDESS/11")
    assert len(speakers(fold.validation)) == 4  # a sixth of the 22 others


def test_named_speakers_of_both_parts():
    fold = speaker_independent(RAVDESS + TESS, 0, "TESS/oaf", "yaf,2")

    assert speakers(fold.test) == ("TESS/OAF",)
    assert speakers(fold.validation) == ("RAVDESS/02", "TESS/YAF")
    assert len(fold.train) == 2 * 23


def test_all_speakers_of_a_corpus():
    fold = speaker_independent(RAVDESS + TESS, 0, "tess/*,1", "2")
    assert speakers(fold.test) == ("RAVDESS/01", "TESS/OAF", "TESS/YAF")

    with pytest.raises(ConfigError, match="one of RAVDESS, TESS"):
        speaker_independent(RAVDESS + TESS, 0, "EMO-DB/*")


def test_a_name_in_several_corpora_must_say_which():
    with pytest.raises(ConfigError, match="several corpora") as raised:
        speaker_independent(RAVDESS + EMO_DB, 0, test_speakers="3")
    assert "EMO-DB/03, RAVDESS/03" in str(raised.value)

    fold = speaker_independent(RAVDESS + EMO_DB, 0, test_speakers="emo-db/3")
    assert speakers(fold.test) == ("EMO-DB/03",)


@pytest.mark.parametrize("name", ["25", "TESS/01", "bob"])
def test_unknown_names_are_refused_with_the_choice(name):
    with pytest.raises(ConfigError, match=rf"\btest\b.*'{name}'") as raised:
        speaker_independent(RAVDESS, 0, test_speakers=name)
    assert ", ".join(speakers(RAVDESS)) in str(raised.value)


def test_a_test_speaker_cannot_validate():
    with pytest.raises(ConfigError, match=r"\bvalidation\b.*'1'.*: RAVDESS/02,"):
        speaker_independent(RAVDESS, 0, "1", "1")


def test_an_exact_name_wins_over_another_spelling():
    """Runs are continued by exact names, so every speaker must be reachable by one."""
    fold = speaker_independent(clips_of("own", "1", "01", "Ann", "ann"), 0, "own/1", "own/Ann")

    assert speakers(fold.test) == ("own/1",)
    assert speakers(fold.validation) == ("own/Ann",)


@pytest.mark.parametrize("none", ["none", " None "])
def test_no_test_set(none):
    fold = speaker_independent(RAVDESS, 0, test_speakers=none)

    assert fold.test == ()
    assert len(speakers(fold.validation)) == 4


# --- refused -----------------------------------------------------------------------------


def test_unknown_speakers_are_refused_with_advice():
    with pytest.raises(ConfigError, match=r"label/speaker/clip\.wav") as raised:
        speaker_independent(RAVDESS + clips_of("own", "?"), 0)
    assert str(Path("own/?/0.wav")) in str(raised.value)
    assert "CSV" in str(raised.value)


@pytest.mark.parametrize(
    ("clips", "test", "validation", "empty"),
    [
        (EMO_DB, "3,8,9", "10,11", "training"),
        (EMO_DB, "3,8,9,10,11", "", "training"),
        (EMO_DB, "3,8,9,10,11", "none", "training"),
        (TESS, "", "", "validation"),
        (TESS, "OAF", ",", "validation"),
        (clips_of("own", "ann"), "", "", "validation"),
    ],
)
def test_a_part_without_speakers_is_refused(clips, test, validation, empty):
    with pytest.raises(ConfigError, match=rf"^[^:]*\b{empty}: .*--test-speakers"):
        speaker_independent(clips, 0, test, validation)


# --- each speaker in turn ----------------------------------------------------------------


def test_every_speaker_is_left_out_once():
    folds = make_folds(RAVDESS + TESS, EACH)

    assert [fold.name for fold in folds] == list(speakers(RAVDESS + TESS))
    for fold in folds:
        assert speakers(fold.test) == (fold.name,)
        assert fold.validation == ()
        assert len(fold.train) == len(RAVDESS + TESS) - 2


def test_two_speakers_train_for_each_other():
    folds = make_folds(TESS, EACH)

    assert [(speakers(fold.train), speakers(fold.test)) for fold in folds] == [
        (("TESS/YAF",), ("TESS/OAF",)),
        (("TESS/OAF",), ("TESS/YAF",)),
    ]


def test_validation_speakers_are_drawn_from_those_who_are_left():
    folds = make_folds(EMO_DB, SplitConfig(folds="leave-one-speaker-out"))

    for fold in folds:
        train, validation, test = (set(speakers(part)) for part in parts_of(fold))
        assert (len(train), len(validation), len(test)) == (3, 1, 1)
        assert train | validation | test == set(speakers(EMO_DB))


def test_one_speaker_cannot_be_left_out():
    with pytest.raises(ConfigError, match=r"1 fold\(s\) of 1 speaker"):
        make_folds(clips_of("own", "ann"), EACH)


# --- k folds -----------------------------------------------------------------------------


@settings(deadline=None)
@given(corpora(), st.integers(2, 8), st.integers(0, 1000))
def test_folds_test_every_speaker_once_and_are_even(clips, n_folds, seed):
    n_folds = min(n_folds, len(speakers(clips)))
    folds = make_folds(clips, SplitConfig(folds=str(n_folds), validation_speakers="none"), seed)

    assert [fold.name for fold in folds] == [str(n + 1) for n in range(n_folds)]
    tested = [speaker for fold in folds for speaker in speakers(fold.test)]
    assert sorted(tested) == list(speakers(clips))
    for fold in folds:
        assert set(speakers(fold.train)).isdisjoint(speakers(fold.test))
        assert len(fold.train) + len(fold.test) == len(clips)
    for stratum in {(clip.corpus, clip.gender) for clip in clips}:
        counts = [
            len({c.speaker for c in f.test if (c.corpus, c.gender) == stratum}) for f in folds
        ]
        assert max(counts) - min(counts) <= 1


def test_the_seed_decides_who_stands_in_which_fold():
    options = SplitConfig(folds="6")

    assert make_folds(RAVDESS, options, 5) == make_folds(RAVDESS, options, 5)
    assert len({make_folds(RAVDESS, options, seed)[0].test for seed in range(10)}) > 5


@pytest.mark.parametrize("folds", ["0", "1", "25"])
def test_folds_that_cannot_be_made(folds):
    with pytest.raises(ConfigError, match=rf"{folds} fold\(s\) of 24 speaker"):
        make_folds(RAVDESS, SplitConfig(folds=folds))


# --- RAVDESS as it is --------------------------------------------------------------------


def test_the_recording_that_ravdess_holds_twice_stays_on_one_side(tmp_path):
    twice = {"03-01-03-01-02-01-07", "03-01-03-01-02-02-07"}
    for actor in range(1, 9):
        folder = tmp_path / f"Actor_{actor:02}"
        folder.mkdir()
        for stem in (f"03-01-03-01-02-0{take}-{actor:02}" for take in (1, 2)):
            (folder / f"{stem}.wav").touch()
    clips = load_corpus(f"RAVDESS={tmp_path}")
    assert len({clip.group for clip in clips if clip.path.stem in twice}) == 1

    for seed in range(10):
        sides = [
            sum(clip.path.stem in twice for clip in part)
            for part in parts_of(speaker_independent(clips, seed))
        ]
        assert sorted(sides) == [0, 0, 2]
