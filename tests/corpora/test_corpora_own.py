"""Own recordings: a folder for each label, or a CSV file."""

from __future__ import annotations

import csv
import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.corpora import UNKNOWN_SPEAKER, load_corpus, speaker_known
from edge_ser.errors import CorpusError

# --- folders -----------------------------------------------------------------------------


def test_folders_of_labels_and_speakers(make_tree):
    root = make_tree(
        ["Anger/ann/1.wav", "Anger/bob/2.OGG", "joy/ann/3.mp3", "Whisper/ann/4.opus", "joy/x.txt"]
    )

    clips = load_corpus(f"folder:lab={root}")

    assert [(c.path, c.emotion, c.label, c.speaker, c.group) for c in clips] == [
        (root / "Anger/ann/1.wav", "angry", "Anger", "lab/ann", "lab/Anger/ann/1.wav"),
        (root / "Anger/bob/2.OGG", "angry", "Anger", "lab/bob", "lab/Anger/bob/2.OGG"),
        (root / "Whisper/ann/4.opus", "whisper", "Whisper", "lab/ann", "lab/Whisper/ann/4.opus"),
        (root / "joy/ann/3.mp3", "happy", "joy", "lab/ann", "lab/joy/ann/3.mp3"),
    ]
    assert {(c.corpus, c.gender, c.channel) for c in clips} == {("lab", None, None)}
    assert all(speaker_known(clip) for clip in clips)


def test_without_speaker_folders_the_speaker_is_unknown(make_tree):
    clips = load_corpus(f"folder:lab={make_tree(['sad/1.aiff', 'sad/2.au'])}")

    assert [clip.speaker for clip in clips] == [f"lab/{UNKNOWN_SPEAKER}"] * 2
    assert not any(speaker_known(clip) for clip in clips)


def test_accents_spelled_in_two_ways_are_one_label(make_tree):
    root = make_tree(["\u00e9mu/zo\u00e9/1.wav", "e\u0301mu/zoe\u0301/2.wav"])

    clips = load_corpus(f"folder:lab={root}")

    assert {(c.emotion, c.speaker) for c in clips} == {("\u00e9mu", "lab/zo\u00e9")}


@pytest.mark.parametrize("stray", ["1.wav", "sad/ann/monday/1.wav"])
def test_audio_outside_label_folders(make_tree, stray):
    root = make_tree(["sad/ann/2.wav", stray])

    with pytest.raises(CorpusError) as raised:
        load_corpus(f"folder:lab={root}")

    assert str(raised.value).startswith(f"lab: {stray} in {root} ")
    assert "LABEL/SPEAKER/FILE" in str(raised.value)


def test_folder_without_audio(make_tree):
    root = make_tree(["sad/notes.txt", "sad/._1.wav"])

    with pytest.raises(CorpusError, match=r"^lab: .* \.wav, \.flac, \.ogg"):
        load_corpus(f"folder:lab={root}")


def test_missing_folder(tmp_path):
    with pytest.raises(CorpusError, match=r"^lab: .*/gone .*\bexist"):
        load_corpus(f"folder:lab={tmp_path / 'gone'}")


# --- CSV ---------------------------------------------------------------------------------


def write(root, text):
    path = root / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_csv_with_all_columns(make_tree):
    root = make_tree(["b/2.wav", "a/1.flac", "3.mp3"])
    text = (
        "\ufeffPath, Emotion,speaker,gender,channel,notes\r\n"
        "b/2.wav,Surprise,ann,F,1,x\r\n"
        '"a/1.flac",tense,"Bo, jr.",male,,"y, z"\r\n'
        "\r\n"
        f"{root / '3.mp3'},neutral,?,,0\r\n"
    )

    clips = load_corpus(f"csv:lab={write(root, text)}")

    found = [(c.path, c.emotion, c.label, c.speaker, c.gender, c.channel) for c in clips]
    assert found == [
        (root / "3.mp3", "neutral", "neutral", "lab/?", None, 0),
        (root / "a/1.flac", "tense", "tense", "lab/Bo, jr.", "male", None),
        (root / "b/2.wav", "surprised", "Surprise", "lab/ann", "female", 1),
    ]
    assert [speaker_known(clip) for clip in clips] == [False, True, True]
    assert len({clip.group for clip in clips}) == 3


HEADER = "path,emotion,speaker,gender,channel\n"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", ("line 1: ", " path ", "path,emotion,speaker[,gender]")),
        ("path,speaker\n", ("line 1: ", " emotion ", "found path,speaker")),
        ("path;emotion;speaker\n", ("line 1: ", " path ", "found path;emotion;speaker")),
        ("path,path,emotion,speaker\n", ("line 1: ", " path ", "found path,path,emotion,speaker")),
        (HEADER, ("list.csv: ", " header ")),
        (HEADER + "1.wav,sad,ann\ngone.wav,sad,ann\n", ("line 3: ", "/gone.wav ")),
        (HEADER + "gone.wav,sad,ann\n", ("line 2: ", "/gone.wav ", "exist")),
        (HEADER + "1.wav,sad,ann,robot\n", ("line 2: ", " gender 'robot'", " male, female ")),
        (HEADER + "1.wav, ,ann\n", ("line 2: empty ", " emotion")),
        (HEADER + ",sad,ann\n", ("line 2: empty ", " path")),
        (HEADER + "1.wav,sad\n", ("line 2: empty ", " speaker", " ? ")),
        (HEADER + "1.wav,sad,ann\n\n./1.wav,sad,bob\n", ("line 4: ", " ./1.wav, ", " line 2")),
        (HEADER + "1.wav,sad,ann\n1.wav,sad,bob\n", ("line 3: ", " 1.wav, ", " line 2")),
        (HEADER + "1.wav,sad,ann,,left\n", ("line 2: ", " channel ", "'left'", " 0")),
        (HEADER + "1.wav,sad,ann,,-1\n", ("line 2: ", " channel ", "'-1'", " 0")),
        (
            HEADER + "1.wav,sad,Bo, jr.,male,0\n",
            ("line 2: ", " 6 values ", " 5 columns", " comma "),
        ),
        (HEADER + '1.wav,"sad"x,ann\n', ("line 2: ", " CSV: ")),
        (HEADER + "notes.txt,sad,ann\n", ("line 2: ", " notes.txt ", " .wav, .flac")),
        ((HEADER + "1.wav,sad,J\xf6rg\n").encode("latin-1"), (" UTF-8 ",)),
    ],
)
def test_csv_errors(make_tree, text, values):
    root = make_tree(["1.wav", "notes.txt"])
    path = write(root, text)

    with pytest.raises(CorpusError) as raised:
        load_corpus(f"csv:lab={path}")

    message = str(raised.value)
    assert message.startswith(str(path))
    assert [value for value in values if value not in message] == []


def test_csv_file_that_does_not_exist(tmp_path):
    with pytest.raises(CorpusError, match=r"^lab: .*/list\.csv .*\bexist"):
        load_corpus(f"csv:lab={tmp_path / 'list.csv'}")


def test_csv_is_a_folder(tmp_path):
    with pytest.raises(CorpusError, match=rf"^lab: {tmp_path} .* folder:lab={tmp_path}$"):
        load_corpus(f"csv:lab={tmp_path}")


words = st.text(
    alphabet=string.ascii_lowercase + "äß , \"';=?/\\\n", min_size=1, max_size=12
).filter(lambda text: text.strip() == text)
rows = st.tuples(
    words,
    words,
    st.sampled_from([None, "male", "female"]),
    st.none() | st.integers(0, 7),
)


@settings(deadline=None, max_examples=50)
@given(
    table=st.dictionaries(
        st.text(alphabet=string.ascii_lowercase + "äß ,\"';-_.", min_size=1, max_size=12).map(
            lambda stem: f"x{stem}.wav"
        ),
        rows,
        min_size=1,
        max_size=8,
    ),
    order=st.randoms(use_true_random=False),
)
def test_csv_round_trip(table, order):
    shuffled = list(table.items())
    order.shuffle(shuffled)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with (root / "list.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "emotion", "speaker", "gender", "channel"])
            for name, row in shuffled:
                (root / name).touch()
                writer.writerow([name, *row])

        clips = load_corpus(f"csv:lab={root / 'list.csv'}")

    read = {
        clip.path.name: (clip.label, clip.speaker.removeprefix("lab/"), clip.gender, clip.channel)
        for clip in clips
    }
    assert read == table
    assert list(read) == sorted(table)
    assert [speaker_known(clip) for clip in clips] == [row[1] != "?" for row in read.values()]


@settings(deadline=None, max_examples=30)
@given(
    paths=st.lists(
        st.tuples(
            st.text(alphabet="abA-_ é", min_size=1, max_size=4).map(lambda text: f"l{text}l"),
            st.sampled_from(["", "ann/", "bob/"]),
            st.integers(0, 30),
        ).map(lambda parts: f"{parts[0]}/{parts[1]}{parts[2]}.wav"),
        min_size=1,
        max_size=12,
        unique_by=str.lower,  # the file system may not tell case apart
    )
)
def test_folder_order_is_that_of_the_paths(paths):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()

        clips = load_corpus(f"folder:lab={root}")

        assert [clip.path.relative_to(root).as_posix() for clip in clips] == sorted(paths)
