"""`edge-ser label`: from recordings to a corpus, by answers on standard input."""

from __future__ import annotations

import stat

import numpy as np
import pytest
import soundfile
from made_events import made

from edge_ser.corpora import load_corpus
from edge_ser.recognition.events import SpeechEnd
from edge_ser.sinks.recorder import Recorder

RATE = 16_000
PROBS = [
    {"neutral": 0.1, "happy": 0.2, "angry": 0.7},
    {"neutral": 0.1, "happy": 0.4, "angry": 0.5},
    {"neutral": 0.3, "happy": 0.34, "angry": 0.36},
]


@pytest.fixture
def kept(tmp_path):
    """Three utterances of a second each; the third is the nearest miss, the first is none."""
    samples = np.random.default_rng(0).normal(size=10 * RATE).astype(np.float32) / 9
    recorder = Recorder(tmp_path / "kept")
    recorder.audio(samples, RATE, 0.0)
    for place, probs in enumerate(PROBS):
        start_s = 1.0 + 3 * place
        recorder.write(
            made(SpeechEnd, start_s=start_s, at_s=start_s + 1, probs=probs, label="angry")
        )
    recorder.close()
    (wav,) = (tmp_path / "kept").glob("*.wav")
    return wav


def label(cli, *arguments, answers: str = ""):
    return cli("label", "kept", "--out", "site.csv", *arguments, stdin=answers.encode())


def test_near_misses_come_first_and_become_a_corpus(cli, tmp_path, kept):
    done = label(cli, answers="2 Anna\n3\ns\n")

    assert done.returncode == 0, done.stderr.decode()
    assert b"3 utterances, 2 near misses" in done.stdout
    clips = load_corpus(f"csv:site={tmp_path / 'site.csv'}")
    assert {clip.emotion for clip in clips} == {"happy", "angry"}
    assert {clip.speaker for clip in clips} == {"site/Anna"}
    (happy,) = (clip for clip in clips if clip.emotion == "happy")
    expected, _ = soundfile.read(str(kept), dtype="int16")
    cut, rate = soundfile.read(str(happy.path), dtype="int16")
    assert rate == RATE
    np.testing.assert_array_equal(cut, expected[int(6.75 * RATE) : int(8.25 * RATE)])
    assert stat.S_IMODE(happy.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(happy.path.parent.stat().st_mode) == 0o700


def test_it_goes_on_where_it_was(cli, tmp_path, kept):
    label(cli, answers="1\nq\n")
    before = (tmp_path / "site.csv").read_text()
    again = label(cli, answers="nonsense\n9\nhappy\nb\nangry\n")

    assert b"1 labelled, 2 to label" in again.stdout
    assert (tmp_path / "site.csv").read_text().startswith(before)
    clips = load_corpus(f"csv:site={tmp_path / 'site.csv'}")
    assert sorted(clip.emotion for clip in clips) == ["angry", "neutral"]
    assert len(list((tmp_path / "site").iterdir())) == 2


def test_the_end_of_the_input_ends_it(cli, tmp_path, kept):
    done = label(cli, "--near-misses")

    assert done.returncode == 0
    assert b"2 to label" in done.stdout
    assert not (tmp_path / "site.csv").exists()


def test_a_player_is_asked(cli, tmp_path, kept):
    player = tmp_path / "bin" / "aplay"
    player.parent.mkdir()
    player.write_text('#!/bin/sh\ncp "$2" played.wav\n')
    player.chmod(0o755)
    path = {"PATH": f"{player.parent}:/usr/bin:/bin"}
    done = cli("label", "kept", "--out", "site.csv", stdin=b"p\nq\n", env=path)

    assert done.returncode == 0
    if b"no player" not in done.stdout and (tmp_path / "played.wav").exists():
        assert soundfile.info(str(tmp_path / "played.wav")).frames == 1.5 * RATE


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("kept", "--out", "site.txt"), b".csv"),
        (("none", "--out", "site.csv"), b"no folder none"),
        (("empty", "--out", "site.csv"), b"no recorded utterance"),
        (("kept", "--out", "other.csv"), b"path,emotion,speaker"),
    ],
)
def test_errors_name_the_values(cli, tmp_path, kept, arguments, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    done = cli("label", *arguments)

    assert done.returncode == 2
    assert words in done.stderr
