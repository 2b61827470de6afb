"""Protocols by name, the options they take, and the selected fold."""

from __future__ import annotations

import dataclasses

import pytest
from support import clips_of

from edge_ser.corpora import Role, load_corpus
from edge_ser.errors import ConfigError
from edge_ser.splits import (
    PROTOCOLS,
    SplitConfig,
    choose_fold,
    make_folds,
    protocol_of,
    refuse_leaks,
    speakers,
)

CLIPS = clips_of("A", "01", "02", "10", "x") + clips_of("B", "01", "tess")


def test_the_default_is_speaker_independent():
    assert next(iter(PROTOCOLS)) == SplitConfig().protocol == "speaker-independent"
    assert make_folds(CLIPS) == make_folds(CLIPS, SplitConfig(folds="drawn"))
    assert set(PROTOCOLS) == {
        "speaker-independent",
        "emobox",
        "clip-grouped",
        "paper",
        "cross-corpus",
    }


def test_only_the_paper_allows_copies_and_says_so():
    allowing = [name for name, p in PROTOCOLS.items() if "copies" in p.allows]

    assert allowing == ["paper"]
    assert "copies" in PROTOCOLS["paper"].declares


def test_a_protocol_that_does_not_exist():
    with pytest.raises(ConfigError, match=r"'random'.*speaker-independent, emobox"):
        protocol_of("random")


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (SplitConfig("paper", folds="5"), ("--folds", "5", "paper")),
        (SplitConfig("emobox", folds="drawn"), ("--folds", "drawn", "emobox")),
        (SplitConfig("cross-corpus", folds="2"), ("--folds", "2", "cross-corpus")),
        (SplitConfig(folds="half"), ("--folds", "'half'", "leave-one-speaker-out")),
        (SplitConfig(folds="-3"), ("--folds", "'-3'", "leave-one-speaker-out")),
        (SplitConfig(folds="3", test_speakers="x"), ("--test-speakers", "--fold")),
        (SplitConfig("clip-grouped", test_speakers="x"), ("--test-speakers", "--fold")),
    ],
)
def test_options_that_do_not_fit_together(options, values):
    with pytest.raises(ConfigError) as raised:
        make_folds(CLIPS, options)

    assert [value for value in values if value not in str(raised.value)] == []


@pytest.mark.parametrize(
    ("expected", "name"),
    [("A/10", "A/10"), ("10", "A/10"), ("2", "A/02"), ("b/tess", None), ("TESS", "B/tess")],
)
def test_a_fold_of_a_speaker(expected, name):
    folds = make_folds(CLIPS, SplitConfig(folds="leave-one-speaker-out"))

    if name is None:
        with pytest.raises(ConfigError, match=f"'{expected}'.*B/tess"):
            choose_fold(folds, expected)
    else:
        assert choose_fold(folds, expected).name == name


@pytest.mark.parametrize("expected", ["B", "a to b", "A to B"])
def test_a_fold_of_a_corpus(expected):
    folds = make_folds(CLIPS, SplitConfig("cross-corpus", validation_speakers="none"))

    if expected == "a to b":
        with pytest.raises(ConfigError, match=rf"'{expected}'.*B to A, A to B"):
            choose_fold(folds, expected)
    else:
        assert choose_fold(folds, expected).name == "A to B"


@pytest.mark.parametrize(
    ("expected", "message"),
    [("", "no --fold is given"), ("7", "no fold '7'"), ("0", "no fold '0'")],
)
def test_one_of_several_folds_must_be_named(expected, message):
    folds = make_folds(CLIPS, SplitConfig(folds="3"))

    with pytest.raises(ConfigError, match=rf"{message}.*; speaker-independent has 3 here: 1, 2, 3"):
        choose_fold(folds, expected)


def test_a_speaker_in_two_corpora_must_say_which():
    folds = make_folds(CLIPS, SplitConfig(folds="leave-one-speaker-out"))

    with pytest.raises(ConfigError, match=r"'1'.*A/01, .*B/01"):
        choose_fold(folds, "1")


def test_the_only_fold_needs_no_name():
    assert choose_fold(make_folds(CLIPS), "").name == "drawn"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_validation_for_a_fixed_number_of_epochs(protocol, official_clips):
    clips = official_clips["EMOVO"]
    if protocol == "cross-corpus":
        clips += official_clips["SAVEE"]

    for fold in make_folds(clips, SplitConfig(protocol, validation_speakers="none")):
        assert fold.validation == ()
        assert fold.train


@pytest.mark.parametrize(
    ("corpus", "options", "n_folds"),
    [
        ("SAVEE", SplitConfig(folds="leave-one-speaker-out"), 4),
        ("EMOVO", SplitConfig(folds="leave-one-speaker-out"), 6),
        ("EMOVO", SplitConfig(folds="3"), 3),
        ("CREMA-D", SplitConfig(folds="10"), 10),
        ("CREMA-D", SplitConfig(), 1),
        ("CREMA-D", SplitConfig("clip-grouped"), 5),
        ("SAVEE", SplitConfig("paper"), 1),
        ("EMOVO", SplitConfig("paper"), 1),
    ],
    ids=lambda value: value.protocol + value.folds if isinstance(value, SplitConfig) else None,
)
def test_protocols_on_every_official_name(official_clips, corpus, options, n_folds):
    clips = official_clips[corpus]

    folds = make_folds(clips, options)

    assert len(folds) == n_folds
    for fold in folds:
        found = {overlap.kind for overlap in refuse_leaks(fold).found}
        assert found == set(PROTOCOLS[options.protocol].allows) - {"clips"}
        assert len(fold.clips) == len(clips) * (4 if options.protocol == "paper" else 1)


def test_folds_of_the_real_crema_d_names(corpora_dir, tmp_path):
    """Ten folds of whole actors over the 7442 published names, genders from its own list."""
    meta = corpora_dir / "CREMA-D/meta"
    (tmp_path / "AudioWAV").mkdir()
    for line in (meta / "SentenceFilenames.csv").read_text().splitlines()[1:]:
        name = line.split(",")[1].strip('"')
        (tmp_path / f"AudioWAV/{name}.wav").touch()
    demographics = (meta / "VideoDemographics.csv").read_text()
    (tmp_path / "VideoDemographics.csv").write_text(demographics)
    clips = load_corpus(f"CREMA-D={tmp_path}")

    folds = make_folds(clips, SplitConfig(folds="10", validation_speakers="none"))

    assert sum(len(fold.test) for fold in folds) == 7442
    assert {len(speakers(fold.test)) for fold in folds} == {9, 10}
    for gender, n in (("male", 48), ("female", 43)):
        counts = {len({c.speaker for c in f.test if c.gender == gender}) for f in folds}
        assert counts == {n // 10, n // 10 + 1}


CROWD = tuple(
    dataclasses.replace(clip, speaker="crowd/?", emotion="neutral", role=Role.NEUTRAL)
    for clip in clips_of("crowd", "?", n=3)
)
TALK = tuple(
    dataclasses.replace(clip, speaker="talk/?", emotion="unlabelled", role=Role.UNLABELLED)
    for clip in clips_of("talk", "?", n=3)
)


@pytest.mark.parametrize(
    "options",
    [
        SplitConfig(),
        SplitConfig(folds="leave-one-speaker-out"),
        SplitConfig(folds="2"),
        SplitConfig("clip-grouped"),
        SplitConfig("cross-corpus", validation_speakers="none"),
    ],
)
def test_a_neutral_crowd_stands_in_training_only(options):
    plain = make_folds(CLIPS, options)

    folds = make_folds([*CROWD, *CLIPS, *TALK], options)

    assert [fold.name for fold in folds] == [fold.name for fold in plain]
    for fold, without in zip(folds, plain, strict=True):
        assert fold.train == without.train + CROWD
        assert (fold.validation, fold.test) == (without.validation, without.test)


def test_a_neutral_crowd_alone_cannot_be_divided():
    with pytest.raises(ConfigError, match=r"\bneutral\b"):
        make_folds(CROWD)
