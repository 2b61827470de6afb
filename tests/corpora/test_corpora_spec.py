"""The text that names corpora, several corpora together, the vocabulary and the summary."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.corpora import (
    CORPORA,
    EMOTIONS,
    CorpusKind,
    CorpusSpec,
    Half,
    corpus_info,
    describe,
    load_corpora,
    parse_spec,
    shared_emotion,
    sort_emotions,
)
from edge_ser.errors import ConfigError

OFFICIAL, FOLDER, CSV = CorpusKind.OFFICIAL, CorpusKind.FOLDER, CorpusKind.CSV
NEUTRAL, UNLABELLED = CorpusKind.NEUTRAL, CorpusKind.UNLABELLED


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("RAVDESS=a/b", CorpusSpec(OFFICIAL, "RAVDESS", Path("a/b"))),
        (" ravdess = a/b ", CorpusSpec(OFFICIAL, "RAVDESS", Path("a/b"))),
        ("emodb=a=b", CorpusSpec(OFFICIAL, "EMO-DB", Path("a=b"))),
        ("Emo_DB=x", CorpusSpec(OFFICIAL, "EMO-DB", Path("x"))),
        ("cremad=x", CorpusSpec(OFFICIAL, "CREMA-D", Path("x"))),
        ("crema_d=x", CorpusSpec(OFFICIAL, "CREMA-D", Path("x"))),
        ("savee=C:\\data", CorpusSpec(OFFICIAL, "SAVEE", Path("C:\\data"))),
        ("folder:My lab=x", CorpusSpec(FOLDER, "My lab", Path("x"))),
        ("folder=x/rec.v2", CorpusSpec(FOLDER, "rec.v2", Path("x/rec.v2"))),
        ("FOLDER=x/rec/", CorpusSpec(FOLDER, "rec", Path("x/rec"))),
        ("csv:lab=x.csv", CorpusSpec(CSV, "lab", Path("x.csv"))),
        ("csv=x/calls.csv", CorpusSpec(CSV, "calls", Path("x/calls.csv"))),
        ("neutral:crowd=x", CorpusSpec(NEUTRAL, "crowd", Path("x"))),
        ("unlabelled=x/talk", CorpusSpec(UNLABELLED, "talk", Path("x/talk"))),
        ("neutral:a=x#train", CorpusSpec(NEUTRAL, "a#train", Path("x"), Half.TRAIN)),
        ("unlabelled=x/a#held", CorpusSpec(UNLABELLED, "a#held", Path("x/a"), Half.HELD)),
        ("neutral:a=x#held/", CorpusSpec(NEUTRAL, "a", Path("x#held"))),
        ("folder:a=x#held", CorpusSpec(FOLDER, "a", Path("x#held"))),
    ],
)
def test_parse_spec(text, spec):
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    "text", ["EMO-DB=/a", "folder:lab=/a#b", "csv:c=/a.csv", "neutral:n=/a", "unlabelled:u=/a#held"]
)
def test_text_of_a_spec(text):
    assert parse_spec(text).text() == text


def test_text_of_a_spec_has_an_absolute_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    spec = parse_spec("neutral=crowd#train")

    assert spec.text() == f"neutral:crowd={tmp_path / 'crowd'}#train"
    assert parse_spec(spec.text()).half is Half.TRAIN


def test_folder_named_by_a_dot(tmp_path, monkeypatch):
    (tmp_path / "calls").mkdir()
    monkeypatch.chdir(tmp_path / "calls")

    assert parse_spec("folder=.").name == "calls"


def test_home_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("USERPROFILE", "/home/ann")

    assert parse_spec("TESS=~/tess").path == Path("/home/ann/tess")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", ("''", " RAVDESS=DIR")),
        ("RAVDESS", ("'RAVDESS'", " RAVDESS=DIR")),
        ("RAVDESS=", ("'RAVDESS='", " RAVDESS=DIR")),
        ("=x", ("'=x'", " RAVDESS=DIR")),
        ("IEMOCAP=x", ("'IEMOCAP'", " RAVDESS, EMO-DB, TESS, SAVEE, EMOVO")),
        ("IEMOCAP=x", (" folder:NAME=DIR, csv:NAME=FILE.csv, neutral:NAME=DIR or unlabelled:",)),
        ("json:lab=x", ("'json'", "'json:lab=x'", " folder:, csv:, neutral:, unlabelled:")),
        ("folder:=x", ("''", " folder:NAME=… ")),
        ("csv:a/b=x", ("'a/b'", " csv:NAME=… ", " slashes")),
        ("folder=/", ("''", " folder:NAME=… ")),
        ("folder:emodb=x", ("'emodb'", " EMO-DB=DIR ")),
        ("csv=TESS.csv", ("'TESS'", " TESS=DIR ", " csv:NAME=…")),
    ],
)
def test_spec_errors(text, values):
    with pytest.raises(ConfigError) as raised:
        parse_spec(text)

    assert [value for value in values if value not in str(raised.value)] == []


@pytest.mark.parametrize("name", CORPORA)
def test_corpus_info_in_any_spelling(name):
    for spelling in (name.lower(), name.replace("-", ""), name.replace("-", "_"), f" {name}"):
        assert corpus_info(spelling) is CORPORA[name]


# --- several corpora ---------------------------------------------------------------------


@pytest.fixture
def trees(make_tree):
    return make_tree(["E/wav/03a01Fa.wav", "S/KL_n01.wav", "S/DC_a01.wav", "lab/joy/ann/1.wav"])


def test_corpora_come_in_one_order_whatever_the_specs(trees):
    specs = [f"folder:lab={trees / 'lab'}", f"savee={trees / 'S'}", f"EMO-DB={trees / 'E'}"]

    clips = load_corpora(specs)

    assert [clip.speaker for clip in clips] == ["EMO-DB/03", "lab/ann", "SAVEE/DC", "SAVEE/KL"]
    assert load_corpora(reversed(specs)) == clips


@pytest.mark.parametrize(
    "pair",
    [("savee={0}/S", "SAVEE={0}/E"), ("folder:lab={0}/S", "csv:LAB={0}/x.csv")],
)
def test_two_corpora_of_one_name(trees, pair):
    with pytest.raises(ConfigError, match=r" (SAVEE|LAB): .*/S and .*/(E|x\.csv);"):
        load_corpora(spec.format(trees) for spec in pair)


def test_no_corpus():
    with pytest.raises(ConfigError, match=r" RAVDESS=DIR$"):
        load_corpora([])


def test_describe(trees):
    lab = trees / "lab"
    (lab / "Tense").mkdir()
    (lab / "Tense" / "2.wav").touch()
    (lab / "Alert").mkdir()
    (lab / "Alert" / "3.wav").touch()

    savee, own = describe(
        [*load_corpora([f"SAVEE={trees / 'S'}"]), *load_corpora([f"folder:lab={lab}"])]
    )

    assert (savee.corpus, savee.n_clips, savee.n_official) == ("SAVEE", 2, 480)
    assert (savee.n_speakers, savee.n_speaker_unknown) == (2, 0)
    assert list(savee.emotions.items()) == [("neutral", 1), ("angry", 1)]
    assert (own.corpus, own.n_clips, own.n_official) == ("lab", 3, None)
    assert (own.n_speakers, own.n_speaker_unknown) == (1, 2)
    assert list(own.emotions.items()) == [("happy", 1), ("alert", 1), ("tense", 1)]


def test_describe_nothing():
    assert describe([]) == ()


# --- vocabulary --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "emotion"),
    [
        ("anger", "angry"),
        ("Happiness", "happy"),
        ("joy", "happy"),
        ("FEAR", "fearful"),
        ("sadness", "sad"),
        ("surprise", "surprised"),
        ("boredom", "bored"),
        (" disgusted ", "disgust"),
        ("Irritated", "irritated"),
        ("A\u0308rger", "\u00e4rger"),
    ],
)
def test_shared_emotion(label, emotion):
    assert shared_emotion(label) == emotion


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_shared_emotions_stay_as_they_are(emotion):
    assert shared_emotion(emotion.upper()) == emotion


@given(st.lists(st.sampled_from([*EMOTIONS, "alert", "zen"])))
def test_sort_emotions(emotions):
    reference = [*EMOTIONS, "alert", "zen"]

    assert sort_emotions(emotions) == tuple(sorted(set(emotions), key=reference.index))


def test_facts_for_model_cards():
    weights = {name: info.weights_licence for name, info in CORPORA.items()}

    assert weights["RAVDESS"] == weights["TESS"] == weights["nEMO"] == "CC BY-NC-SA 4.0"
    assert weights["SAVEE"] == weights["EMOVO"] == "research only"
    assert weights["EMO-DB"] == "CC0 1.0"
    assert {name for name, info in CORPORA.items() if info.commercial} == {"EMO-DB", "CREMA-D"}
    assert CORPORA["TESS"].licence == "CC BY-NC-ND 4.0"
    assert {name: info.n_clips for name, info in CORPORA.items()} == {
        "RAVDESS": 1440,
        "EMO-DB": 535,
        "TESS": 2800,
        "SAVEE": 480,
        "EMOVO": 588,
        "CREMA-D": 7442,
        "nEMO": 4481,
    }
