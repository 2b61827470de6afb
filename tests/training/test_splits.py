"""Splits keep speakers apart, whoever draws or names them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.corpora import Clip, load_corpus
from edge_ser.errors import ConfigError
from edge_ser.training.splits import SPEAKER_INDEPENDENT, Split, speaker_independent, speakers


def clips_of(corpus: str, *names: str, n: int = 2, genders: str = "") -> list[Clip]:
    """Return n clips of each speaker, whose genders are given by their first letters."""
    words = {"m": "male", "f": "female", "": None}
    return [
        Clip(
            path=Path(f"{corpus}/{name}/{take}.wav"),
            corpus=corpus,
            speaker=f"{corpus}/{name}",
            emotion="happy" if take % 2 else "sad",
            label="",
            gender=words[genders[place % len(genders)] if genders else ""],
            group=f"{corpus}/{name}/{take}",
            channel=None,
        )
        for place, name in enumerate(names)
        for take in range(n)
    ]


def actors(n: int) -> list[str]:
    return [f"{actor:02}" for actor in range(1, n + 1)]


RAVDESS = clips_of("RAVDESS", *actors(24), genders="mf")
TESS = clips_of("TESS", "OAF", "YAF", genders="f")
EMO_DB = clips_of("EMO-DB", "03", "08", "09", "10", "11", genders="mfmfm")


def parts_of(split: Split) -> tuple[tuple[Clip, ...], ...]:
    return split.train, split.validation, split.test


# --- drawn -------------------------------------------------------------------------------


@st.composite
def corpora(draw: st.DrawFn) -> list[Clip]:
    """Up to three corpora, the first one large enough to be split."""
    sizes = [draw(st.integers(4, 30)), *draw(st.lists(st.integers(1, 30), max_size=2))]
    genders = st.text("mf", max_size=3)
    return [
        clip
        for place, size in enumerate(sizes)
        for clip in clips_of(
            f"C{place}", *actors(size), n=draw(st.integers(1, 3)), genders=draw(genders)
        )
    ]


@given(corpora(), st.integers(0, 1000))
def test_the_draw_shares_no_speaker_and_no_group_and_loses_no_clip(clips, seed):
    split = speaker_independent(clips, seed)

    assert split.protocol == SPEAKER_INDEPENDENT
    for attribute in ("speaker", "group"):
        sets = [{getattr(clip, attribute) for clip in part} for part in parts_of(split)]
        assert sum(map(len, sets)) == len(set.union(*sets))
    assert Counter(clip for part in parts_of(split) for clip in part) == Counter(clips)


@given(corpora(), st.integers(0, 1000))
def test_large_corpora_are_heard_in_every_part_and_small_ones_in_training(clips, seed):
    split = speaker_independent(clips, seed)

    for corpus in {clip.corpus for clip in clips}:
        own = [[c for c in part if c.corpus == corpus] for part in parts_of(split)]
        train, validation, test = (len(speakers(part)) for part in own)
        if train + validation + test < 3:
            assert (validation, test) == (0, 0)
        elif train + validation + test > 3:
            assert validation >= 1
            assert test >= 1
            assert train >= max(validation, test)


@given(st.integers(0, 1000))
def test_three_speakers_are_one_for_each_part(seed):
    split = speaker_independent(clips_of("own", "ann", "bob", "eve"), seed)

    assert [len(speakers(part)) for part in parts_of(split)] == [1, 1, 1]


@given(st.integers(0, 1000))
def test_both_genders_are_tested(seed):
    split = speaker_independent(RAVDESS, seed)

    assert [len(speakers(part)) for part in parts_of(split)] == [16, 3, 5]
    for part in (split.validation, split.test):
        genders = Counter(clip.gender for clip in part)
        assert abs(genders["male"] - genders["female"]) == 2  # two clips of one speaker


def test_corpora_of_two_speakers_go_into_training():
    split = speaker_independent(RAVDESS + TESS, 0)

    assert {"TESS/OAF", "TESS/YAF"} <= set(speakers(split.train))
    assert {clip.corpus for clip in split.test} == {"RAVDESS"}


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
    split = speaker_independent(RAVDESS, 0, test_speakers=names)

    assert speakers(split.test) == ("RAVDESS/01", "RAVDESS/11")
    assert len(speakers(split.validation)) == 4  # a sixth of the 22 others


def test_named_speakers_of_both_parts():
    split = speaker_independent(RAVDESS + TESS, 0, "TESS/oaf", "yaf,2")

    assert speakers(split.test) == ("TESS/OAF",)
    assert speakers(split.validation) == ("RAVDESS/02", "TESS/YAF")
    assert len(split.train) == 2 * 23


def test_a_name_in_several_corpora_must_say_which():
    with pytest.raises(ConfigError, match="several corpora") as raised:
        speaker_independent(RAVDESS + EMO_DB, 0, test_speakers="3")
    assert "EMO-DB/03, RAVDESS/03" in str(raised.value)

    split = speaker_independent(RAVDESS + EMO_DB, 0, test_speakers="emo-db/3")
    assert speakers(split.test) == ("EMO-DB/03",)


@pytest.mark.parametrize("name", ["25", "TESS/01", "bob"])
def test_unknown_names_are_refused_with_the_choice(name):
    with pytest.raises(ConfigError, match=f"no test speaker '{name}'") as raised:
        speaker_independent(RAVDESS, 0, test_speakers=name)
    assert ", ".join(speakers(RAVDESS)) in str(raised.value)


def test_a_test_speaker_cannot_validate():
    with pytest.raises(ConfigError, match="no validation speaker '1'; to choose from: RAVDESS/02"):
        speaker_independent(RAVDESS, 0, "1", "1")


def test_an_exact_name_wins_over_another_spelling():
    """Runs are continued by exact names, so every speaker must be reachable by one."""
    split = speaker_independent(clips_of("own", "1", "01", "Ann", "ann"), 0, "own/1", "own/Ann")

    assert speakers(split.test) == ("own/1",)
    assert speakers(split.validation) == ("own/Ann",)


@pytest.mark.parametrize("none", ["none", " None "])
def test_no_test_set(none):
    split = speaker_independent(RAVDESS, 0, test_speakers=none)

    assert split.test == ()
    assert len(speakers(split.validation)) == 4


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
        (EMO_DB, "3,8,9,10,11", None, "training"),
        (EMO_DB, None, "none", "validation"),
        (TESS, None, None, "validation"),
        (clips_of("own", "ann"), None, None, "validation"),
    ],
)
def test_a_part_without_speakers_is_refused(clips, test, validation, empty):
    with pytest.raises(ConfigError, match=f"no speaker is left for {empty}"):
        speaker_independent(clips, 0, test, validation)


def test_one_recording_under_two_speakers_is_refused():
    one, other = clips_of("own", "a", "b", "c", n=1)[:2]
    copy = Clip(**{**vars(other), "group": one.group})

    with pytest.raises(ConfigError, match=f"group {one.group} stands in validation and in test"):
        speaker_independent([one, copy, *clips_of("own", "c")], 0, "b", "a")


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
