"""The seven public corpora: all official names, and the layouts people have on their disks."""

from __future__ import annotations

import csv
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from edge_ser.corpora import CORPORA, EMOTIONS, describe, load_corpus
from edge_ser.errors import CorpusError

NEMO_SPEAKERS = ("EB0", "IC0", "KD0", "KS0", "MK0", "MP0", "SM0", "TP0", "WR0")
SEVEN = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def content(clips):
    """Clips without their place."""
    return sorted((replace(clip, path=Path()) for clip in clips), key=lambda clip: clip.group)


def per_speaker(clips):
    return Counter(clip.speaker for clip in clips)


# --- all official names ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("corpus", "emotions", "speakers"),
    [
        (
            "RAVDESS",
            {"neutral": 96, **dict.fromkeys(("calm", *SEVEN[1:]), 192)},
            {f"RAVDESS/{actor:02}": 60 for actor in range(1, 25)},
        ),
        (
            "EMO-DB",
            dict.fromkeys((*SEVEN[:-1], "bored"), 200),
            dict.fromkeys((f"EMO-DB/{s:02}" for s in (3, *range(8, 17))), 140),
        ),
        ("TESS", dict.fromkeys(SEVEN, 400), {"TESS/OAF": 1400, "TESS/YAF": 1400}),
        (
            "SAVEE",
            {"neutral": 120, **dict.fromkeys(SEVEN[1:], 60)},
            dict.fromkeys(("SAVEE/DC", "SAVEE/JE", "SAVEE/JK", "SAVEE/KL"), 120),
        ),
        (
            "EMOVO",
            dict.fromkeys(SEVEN, 84),
            {f"EMOVO/{letter}{number}": 98 for letter in "fm" for number in (1, 2, 3)},
        ),
        (
            "CREMA-D",
            {"neutral": 1092, **dict.fromkeys(SEVEN[1:-1], 1274)},
            {f"CREMA-D/{actor}": 82 for actor in range(1001, 1092)},
        ),
        (
            "nEMO",
            dict.fromkeys((*SEVEN[:-2], "surprised"), 810),
            dict.fromkeys((f"nEMO/{s}" for s in NEMO_SPEAKERS), 540),
        ),
    ],
)
def test_every_official_name_is_read(
    official_root, official_paths, official_clips, corpus, emotions, speakers
):
    root = official_root / corpus
    clips = official_clips[corpus]

    assert [clip.path for clip in clips] == [root / p for p in sorted(official_paths[corpus])]
    assert Counter(clip.emotion for clip in clips) == emotions
    assert per_speaker(clips) == speakers
    assert {clip.corpus for clip in clips} == {corpus}
    info = CORPORA[corpus]
    assert all(info.labels[clip.label] == clip.emotion for clip in clips)
    assert {clip.label for clip in clips} == set(info.labels)
    assert len(speakers) == info.n_speakers
    if corpus not in ("EMO-DB", "CREMA-D", "nEMO"):  # of these the tree holds more than the release
        assert len(clips) == info.n_clips


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("suffix", [".flac", ".WAV", ".Flac"])
def test_suffixes(make_tree, official_paths, corpus, suffix):
    paths = [path.replace(".wav", suffix) for path in official_paths[corpus][:9]]
    root = make_tree([*paths, "notes.txt", "video.mp4", "other.mp3"])

    assert [clip.path for clip in load_corpus(f"{corpus}={root}")] == [
        root / path for path in sorted(paths)
    ]


@pytest.mark.parametrize("corpus", CORPORA)
def test_example_in_messages_is_an_official_name(make_tree, corpus):
    folder = "f1/" if corpus == "EMOVO" else ""
    root = make_tree([folder + CORPORA[corpus].example])

    (clip,) = load_corpus(f"{corpus}={root}")

    assert clip.corpus == corpus


@pytest.mark.parametrize("corpus", CORPORA)
def test_labels_map_into_the_shared_vocabulary(corpus):
    assert set(CORPORA[corpus].labels.values()) <= set(EMOTIONS)


@pytest.mark.parametrize(
    ("corpus", "men"),
    [
        ("RAVDESS", {f"{actor:02}" for actor in range(1, 25, 2)}),
        ("EMO-DB", {"03", "10", "11", "12", "15"}),
        ("TESS", set()),
        ("SAVEE", {"DC", "JE", "JK", "KL"}),
        ("EMOVO", {"m1", "m2", "m3"}),
        ("nEMO", {"KS0", "MP0", "SM0", "TP0", "WR0"}),
    ],
)
def test_gender(official_clips, corpus, men):
    clips = official_clips[corpus]

    assert {clip.gender for clip in clips} <= {"male", "female"}
    assert {c.speaker for c in clips if c.gender == "male"} == {f"{corpus}/{man}" for man in men}


@pytest.mark.parametrize("corpus", CORPORA)
def test_one_channel_of_emovo_and_the_mean_of_the_others(official_clips, corpus):
    assert {clip.channel for clip in official_clips[corpus]} == {0 if corpus == "EMOVO" else None}


@pytest.mark.parametrize("corpus", CORPORA)
def test_groups_are_unique_but_for_the_doubled_ravdess_clip(official_clips, corpus):
    clips = official_clips[corpus]

    groups = Counter(clip.group for clip in clips)
    shared = [clip.path.stem for clip in clips if groups[clip.group] > 1]

    expected = ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"] if corpus == "RAVDESS" else []
    assert shared == expected


@pytest.mark.parametrize("corpus", CORPORA)
def test_order_does_not_depend_on_the_order_of_creation(make_tree, official_paths, corpus):
    paths = official_paths[corpus][:300]
    random.Random(0).shuffle(paths)
    root = make_tree(paths)

    relative = [clip.path.relative_to(root).as_posix() for clip in load_corpus(f"{corpus}={root}")]

    assert relative == sorted(paths)


# --- layouts -----------------------------------------------------------------------------


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("around", ["Data", "download/Data"])
def test_folders_around_the_corpus_do_not_matter(make_tree, official_paths, corpus, around):
    paths = official_paths[corpus][::7]
    root = make_tree(f"{around}/{path}" for path in paths)

    clips = load_corpus(f"{corpus}={root}")

    assert content(clips) == content(load_corpus(f"{corpus}={root / around}"))
    assert len(clips) == len(paths)


@pytest.mark.parametrize("corpus", CORPORA)
def test_files_directly_in_the_folder(make_tree, official_paths, corpus):
    names = [PurePosixPath(path).name for path in official_paths[corpus][::7]]

    clips = load_corpus(f"{corpus}={make_tree(names)}")

    assert len(clips) == len(names)


@pytest.mark.parametrize(
    ("corpus", "outer", "copy"),
    [
        ("RAVDESS", "", "audio_speech_actors_01-24"),
        ("RAVDESS", "Audio_Speech_Actors_01-24", "Audio_Speech_Actors_01-24/audio_speech_actors"),
        ("RAVDESS", "RAVDESS", "RAVDESS/audio_speech_actors_01-24"),
        ("TESS", "", "TESS Toronto emotional speech set data"),
        (
            "TESS",
            "TESS Toronto emotional speech set data",
            "tess data/TESS Toronto emotional speech set data",
        ),
        ("EMO-DB", "", "copy"),
    ],
)
def test_a_nested_copy_does_not_double_the_clips(make_tree, official_paths, corpus, outer, copy):
    paths = official_paths[corpus][::7]
    original = [str(PurePosixPath(outer, path)) for path in paths]
    root = make_tree([*original, *(f"{copy}/{path}" for path in paths)])

    clips = load_corpus(f"{corpus}={root}")

    assert [clip.path for clip in clips] == [root / path for path in sorted(original)]


def test_two_sets_of_one_corpus_are_an_error(make_tree):
    root = make_tree(["clean/wav/03a01Fa.wav", "noisy/wav/03a01Fa.wav"])

    with pytest.raises(CorpusError, match=r"clean/wav/03a01Fa\.wav .*noisy/wav/03a01Fa\.wav "):
        load_corpus(f"EMO-DB={root}")


def test_one_clip_in_two_formats_is_an_error(make_tree):
    root = make_tree(["03a01Fa.wav", "03a01Fa.flac"])

    with pytest.raises(CorpusError, match=r"03a01Fa\.flac .*03a01Fa\.wav "):
        load_corpus(f"EMO-DB={root}")


def test_ravdess_songs_and_sound_of_videos_are_passed_over(make_tree, official_paths):
    speech = official_paths["RAVDESS"][::7]
    extras = [
        "Audio_Song_Actors_01-24/Actor_01/03-02-03-01-01-01-01.wav",
        "Actor_01/01-01-03-01-01-01-01.wav",
        "Actor_01/02-01-03-01-01-01-01.wav",
    ]
    root = make_tree([*speech, *extras])

    assert [c.path for c in load_corpus(f"RAVDESS={root}")] == [root / p for p in sorted(speech)]


def test_ravdess_of_songs_alone_is_an_error(make_tree):
    root = make_tree(["Actor_01/03-02-03-01-01-01-01.wav"])

    with pytest.raises(
        CorpusError, match=r"1 audio files .*\bsongs\b.*\(Actor_01/03-02-03-01-01-01-01\.wav\)"
    ):
        load_corpus(f"RAVDESS={root}")


def test_ravdess_label_is_the_word(make_tree):
    (clip,) = load_corpus(f"RAVDESS={make_tree(['Actor_12/03-01-06-01-02-01-12.wav'])}")

    assert (clip.label, clip.speaker, clip.gender) == ("fearful", "RAVDESS/12", "female")


def test_tess_takes_speaker_and_emotion_from_the_file_name(make_tree):
    root = make_tree(["YAF_sad/OA_bite_neutral.wav", "x/yaf_dog_PS.wav"])

    clips = load_corpus(f"tess={root}")

    assert [(c.speaker, c.emotion, c.label) for c in clips] == [
        ("TESS/OAF", "neutral", "neutral"),
        ("TESS/YAF", "surprised", "ps"),
    ]


@pytest.mark.parametrize("around", ["", "AudioData/", "SAVEE/AudioData/"])
def test_savee_in_speaker_folders_equals_the_flat_release(make_tree, official_paths, around):
    flat = official_paths["SAVEE"]
    root = make_tree(
        [*(f"flat/{path}" for path in flat)]
        + [f"nested/{around}{path.replace('_', '/')}" for path in flat]
    )

    nested = load_corpus(f"SAVEE={root / 'nested'}")

    assert content(nested) == content(load_corpus(f"SAVEE={root / 'flat'}"))
    assert len(nested) == 480


def test_savee_folder_of_one_speaker(make_tree, monkeypatch):
    root = make_tree(["DC/a01.wav", "DC/su15.wav"])
    monkeypatch.chdir(root / "DC")

    assert [clip.speaker for clip in load_corpus("SAVEE=.")] == ["SAVEE/DC", "SAVEE/DC"]


DEMOGRAPHICS = """\
"ActorID","Age","Sex","Race","Ethnicity"
1001,51,"Male","Caucasian","Not Hispanic"
1002,21,"Female","Caucasian","Not Hispanic"
1003,30,"Unknown","Caucasian","Not Hispanic"
"""


@pytest.mark.parametrize(
    ("table", "given"),
    [
        ("VideoDemographics.csv", "."),
        ("meta/VideoDemographics.csv", "."),
        ("VideoDemographics.csv", "AudioWAV"),
        ("meta/VideoDemographics.csv", "AudioWAV"),
        ("AudioWAV/VideoDemographics.csv", "AudioWAV"),
    ],
)
def test_crema_d_gender_from_its_demographics(make_tree, table, given):
    names = [f"AudioWAV/{actor}_DFA_ANG_XX.wav" for actor in (1001, 1002, 1003)]
    root = make_tree([*names, table])
    (root / table).write_text(DEMOGRAPHICS)

    clips = load_corpus(f"crema_d={root / given}")

    assert [clip.gender for clip in clips] == ["male", "female", None]


def test_crema_d_gender_when_a_folder_above_is_given(make_tree):
    root = make_tree(["CREMA-D/AudioWAV/1002_DFA_ANG_XX.wav", "CREMA-D/VideoDemographics.csv"])
    (root / "CREMA-D/VideoDemographics.csv").write_text(DEMOGRAPHICS)

    assert [clip.gender for clip in load_corpus(f"CREMA-D={root}")] == ["female"]


def test_crema_d_gender_is_unknown_without_demographics(make_tree):
    root = make_tree(["AudioWAV/1001_DFA_ANG_XX.wav"])

    assert [clip.gender for clip in load_corpus(f"CREMA-D={root}")] == [None]


@pytest.mark.parametrize("text", ["who,what\n1,2\n", "ActorID,Sex\n1001\n", "ActorID,Sex\n\xff"])
def test_crema_d_with_foreign_demographics_is_an_error(make_tree, text):
    root = make_tree(["AudioWAV/1001_DFA_ANG_XX.wav", "VideoDemographics.csv"])
    (root / "VideoDemographics.csv").write_bytes(text.encode("latin-1"))

    with pytest.raises(CorpusError, match=r"VideoDemographics\.csv .*\bActorID\b.*\bSex\b"):
        load_corpus(f"CREMA-D={root}")


def test_macos_archive_files_are_ignored(make_tree):
    names = ["wav/03a01Fa.wav", "wav/._03a01Fa.wav", "__MACOSX/wav/x.wav", ".cache/y.wav"]
    root = make_tree(names)

    assert [clip.path for clip in load_corpus(f"EMO-DB={root}")] == [root / names[0]]


def test_links_are_followed_and_loops_are_not(make_tree, tmp_path):
    root = make_tree(["store/f1/dis-f1-b1.wav"])
    links = tmp_path / "links"
    (links / "m1").mkdir(parents=True)
    (links / "f1").symlink_to(root / "store" / "f1")
    (links / "m1" / "up").symlink_to(links)
    (links / "m1" / "gio-m1-b1.wav").symlink_to(root / "store" / "f1" / "dis-f1-b1.wav")

    clips = load_corpus(f"EMOVO={links}")

    assert [clip.speaker for clip in clips] == ["EMOVO/f1", "EMOVO/m1"]


# --- errors ------------------------------------------------------------------------------


def test_missing_folder(tmp_path):
    with pytest.raises(CorpusError, match=r"^RAVDESS: .*/nowhere .*\bexist"):
        load_corpus(f"RAVDESS={tmp_path / 'nowhere'}")


def test_file_instead_of_folder(make_tree):
    root = make_tree(["archive.zip"])

    with pytest.raises(CorpusError, match=r"archive\.zip .*\bfolder\b"):
        load_corpus(f"RAVDESS={root / 'archive.zip'}")


def test_folder_without_audio(make_tree):
    root = make_tree(["readme.txt", "clip.mp4"])

    with pytest.raises(CorpusError, match=r"^RAVDESS: .* \.wav, \.flac$"):
        load_corpus(f"RAVDESS={root}")


def test_link_to_nothing(make_tree):
    root = make_tree(["03a01Wa.wav"])
    (root / "03a01Fa.wav").symlink_to(root / "gone.wav")

    with pytest.raises(CorpusError, match=r"03a01Fa\.wav .*\blink\b"):
        load_corpus(f"EMO-DB={root}")


def test_folder_that_cannot_be_read(make_tree, monkeypatch):
    root = make_tree(["03a01Wa.wav"])

    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("edge_ser.corpora.files.os.scandir", refuse)

    with pytest.raises(CorpusError, match=r"EMO-DB: cannot read .*tree: Permission denied"):
        load_corpus(f"EMO-DB={root}")


@pytest.mark.parametrize("given", CORPORA)
@pytest.mark.parametrize("actual", CORPORA)
def test_another_known_corpus_is_recognised(make_tree, official_paths, given, actual):
    paths = official_paths[actual][:20]
    root = make_tree(paths)
    if given == actual:
        assert len(load_corpus(f"{given}={root}")) == 20
        return

    with pytest.raises(CorpusError) as raised:
        load_corpus(f"{given}={root}")

    message = str(raised.value)
    assert message.startswith(f"{given}: ")
    assert " 20 audio files " in message
    assert f" {root} " in message
    assert f"({', '.join(sorted(paths)[:3])}, …)" in message
    assert CORPORA[given].example in message
    assert CORPORA[given].layout in message
    assert message.endswith(f" {actual}={root}")


def test_savee_in_speaker_folders_is_recognised(make_tree):
    root = make_tree(["DC/a01.wav", "KL/su02.wav"])

    with pytest.raises(CorpusError, match=rf" SAVEE={root}$"):
        load_corpus(f"EMO-DB={root}")


def test_unknown_names(make_tree):
    root = make_tree(["one.wav", "two.wav"])

    with pytest.raises(CorpusError) as raised:
        load_corpus(f"SAVEE={root}")

    for value in (" 2 audio files ", "(one.wav, two.wav)", " DC_a01.wav "):
        assert value in str(raised.value)
    assert not [name for name in CORPORA if f" {name}=" in str(raised.value)]


def test_strange_files_among_the_clips(make_tree, official_paths):
    strange = ["Actor_01/extra_1.wav", "Actor_01/extra_2.wav", "a.flac", "z.wav"]
    root = make_tree([*official_paths["RAVDESS"][:40], *strange])

    with pytest.raises(CorpusError) as raised:
        load_corpus(f"RAVDESS={root}")

    message = str(raised.value)
    assert "4 of the 44 audio files" in message
    assert "(Actor_01/extra_1.wav, Actor_01/extra_2.wav, a.flac, …)" in message
    assert not [name for name in CORPORA if f" {name}=" in message]


def test_another_corpus_among_the_clips(make_tree, official_paths):
    root = make_tree([*official_paths["TESS"][:9], *official_paths["EMOVO"][:4]])

    with pytest.raises(CorpusError, match=r"\b4 of the 13 .* EMOVO=DIR$"):
        load_corpus(f"TESS={root}")


def test_several_corpora_in_one_folder(make_tree, official_paths):
    root = make_tree([*official_paths["TESS"][:9], *official_paths["EMOVO"][:4]])

    with pytest.raises(CorpusError, match=r" 13 .*\bTESS\b[^=]*$"):
        load_corpus(f"SAVEE={root}")


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        ("RAVDESS", "03-01-09-01-01-01-01.wav"),
        ("RAVDESS", "03-01-03-01-01-01-25.wav"),
        ("EMO-DB", "07a01Fa.wav"),
        ("EMO-DB", "03a01Xa.wav"),
        ("TESS", "OAF_back_bored.wav"),
        ("SAVEE", "XX_a01.wav"),
        ("SAVEE", "a01.wav"),
        ("EMOVO", "dis-f4-b1.wav"),
        ("EMOVO", "dis-f1-b9.wav"),
        ("CREMA-D", "1092_DFA_ANG_XX.wav"),
        ("CREMA-D", "1001_DFA_SUR_XX.wav"),
        ("nEMO", "AA0_anger_1.wav"),
        ("nEMO", "WR0_disgust_1.wav"),
        ("nEMO", "WR0_anger_0.wav"),
        ("nEMO", "WR0_anger_91.wav"),
    ],
)
def test_codes_outside_the_corpus_are_not_guessed(make_tree, corpus, name):
    with pytest.raises(CorpusError, match=rf" 1 audio files .*\({re.escape(name)}\)"):
        load_corpus(f"{corpus}={make_tree([name])}")


# --- the real corpora --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("corpus", "emotions", "n_speakers"),
    [
        ("RAVDESS", {"neutral": 96, **dict.fromkeys(("calm", *SEVEN[1:]), 192)}, 24),
        (
            "EMO-DB",
            {
                "neutral": 79,
                "happy": 71,
                "sad": 62,
                "angry": 127,
                "fearful": 69,
                "disgust": 46,
                "bored": 81,
            },
            10,
        ),
        ("TESS", dict.fromkeys(SEVEN, 400), 2),
    ],
)
def test_real_corpus(corpora_dir, corpus, emotions, n_speakers):
    (summary,) = describe(load_corpus(f"{corpus}={corpora_dir / corpus}"))

    assert summary.emotions == emotions
    assert summary.n_speakers == n_speakers
    assert summary.n_clips == summary.n_official == CORPORA[corpus].n_clips


def test_real_emo_db_speakers(corpora_dir):
    clips = load_corpus(f"EMO-DB={corpora_dir / 'EMO-DB'}")

    expected = "03:49 08:58 09:43 10:38 11:55 12:35 13:61 14:69 15:56 16:71"
    assert per_speaker(clips) == {
        f"EMO-DB/{speaker}": int(count)
        for speaker, count in (entry.split(":") for entry in expected.split())
    }


def test_real_crema_d_clips(corpora_dir):
    clips = load_corpus(f"CREMA-D={corpora_dir / 'CREMA-D'}")

    assert {clip.gender for clip in clips} == {"male", "female"}
    by_name = {clip.path.stem: clip for clip in clips}
    clip = by_name["1013_ITH_ANG_XX"]
    assert (clip.speaker, clip.emotion, clip.gender) == ("CREMA-D/1013", "angry", "female")


def test_real_nemo_clips(corpora_dir):
    clips = load_corpus(f"nemo={corpora_dir / 'nEMO'}")

    assert len(clips) == 892  # every fifth sentence of each voice
    assert {clip.speaker for clip in clips} == {f"nEMO/{speaker}" for speaker in NEMO_SPEAKERS}


def test_every_real_nemo_name_and_gender(corpora_dir, make_tree):
    with (corpora_dir / "nEMO/data.tsv").open(encoding="utf-8", newline="") as file:
        rows = {row["file_id"]: row for row in csv.DictReader(file, delimiter="\t")}
    root = make_tree(f"samples/{name}" for name in rows)

    clips = load_corpus(f"nEMO={root}")

    assert len(clips) == CORPORA["nEMO"].n_clips
    for clip in clips:
        row = rows[clip.path.name]
        expected = (f"nEMO/{row['speaker_id'].strip()}", row["emotion"], row["gender"])
        assert (clip.speaker, clip.label, clip.gender) == expected


def test_every_real_crema_d_name(corpora_dir, make_tree):
    lines = (corpora_dir / "CREMA-D/meta/SentenceFilenames.csv").read_text().splitlines()[1:]
    names = [line.split(",")[1].strip('"') for line in lines]
    root = make_tree(f"AudioWAV/{name}.wav" for name in names)

    (summary,) = describe(load_corpus(f"CREMA-D={root}"))

    assert (summary.n_clips, summary.n_speakers) == (7442, 91)
    assert summary.emotions == {"neutral": 1087, **dict.fromkeys(SEVEN[1:-1], 1271)}


def test_real_audio_doubled_in_ravdess_shares_a_group(corpora_dir):
    clips = load_corpus(f"RAVDESS={corpora_dir / 'RAVDESS'}")
    pair = [c for c in clips if c.path.stem in ("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")]

    assert len(pair) == 2
    assert len({clip.path.read_bytes() for clip in pair}) == 1
    assert len({clip.group for clip in pair}) == 1
