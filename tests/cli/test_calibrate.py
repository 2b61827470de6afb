"""`edge-ser calibrate` as a user runs it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import soundfile
from support import make_card, write_tiny_model

from edge_ser.card import Accuracy, CorpusUse
from edge_ser.quantization.calibration_set import CalibrationSet

RATE = 16_000


@pytest.fixture
def site(tmp_path):
    """Clips of two classes, and of one that the model does not know, of three speakers."""
    rng = np.random.default_rng(0)
    for label in ("low", "high", "odd"):
        for speaker in range(1, 4):
            folder = tmp_path / "site" / label / f"s{speaker}"
            folder.mkdir(parents=True)
            for take, gain in enumerate((0.01, 0.1)):
                soundfile.write(folder / f"{take}.wav", gain * rng.normal(size=2 * RATE), RATE)
    soundfile.write(tmp_path / "site/low/s1/short.wav", rng.normal(size=RATE // 2) / 9, RATE)
    soundfile.write(tmp_path / "site/low/s1/silent.wav", np.zeros(2 * RATE), RATE)
    card = make_card(
        corpora=(CorpusUse("site", 4, ("site/s1", "site/s2"), "own", ""),),
        accuracy=(Accuracy("speaker-independent", "test", "site", ("site/s3",), 2, 0.5, 0.5),),
    )
    write_tiny_model(tmp_path / "site.onnx", card)
    return card


SELECT = ("calibrate", "select", "--model", "site.onnx", "--out", "set")


def test_a_labelled_corpus_becomes_a_set(cli, site, tmp_path):
    done = cli(*SELECT, "--corpus", "folder:site=site", "--clips", 4, "--licence", "ours")

    message = done.stderr.decode()
    assert done.returncode == 0, message
    assert done.stdout == b""
    chosen = CalibrationSet.load(tmp_path / "set")
    chosen.require(site)
    for words in (
        "left out: 6 clips of emotions that tiny has no label for",
        "left out: 4 clips of speakers that tiny was not trained on",
        "skipped: 1 recordings shorter than a window (1 s)",
        "skipped: 1 recordings silent\n",
        "licence: ours",
        f"written: set, 4 windows of 1 s (13 features, 97 frames), digest {chosen.digest}",
    ):
        assert words in message
    assert "note:" not in message
    assert sorted((c.emotion, c.speaker) for c in chosen.clips) == [
        (label, f"site/{speaker}") for label in ("high", "low") for speaker in ("s1", "s2")
    ]


def test_what_is_shown(cli, site, tmp_path):
    cli(*SELECT, "--corpus", "folder:site=site", "--clips", 4)
    done = cli("calibrate", "show", "set", "--files")

    shown = done.stdout.decode()
    chosen = CalibrationSet.load(tmp_path / "set")
    assert done.returncode == 0, done.stderr.decode()
    for words in ("4 windows of 1 s", chosen.digest, "n_mfcc 13", "site: not stated", "site/s2"):
        assert words in shown
    assert [clip.sha256[:16] in shown for clip in chosen.clips] == [True] * 4
    (row,) = (line.split() for line in shown.splitlines() if line.startswith("all"))
    counts = [sum(c.level == level for c in chosen.clips) for level in ("soft", "middle", "loud")]
    assert row[1:5] == [*map(str, counts), "4"]


def test_the_default_set_is_shown_without_a_folder(cli):
    done = cli("calibrate", "show")
    assert done.returncode == 0, done.stderr.decode()
    assert b"96 windows of 3 s" in done.stdout
    assert b"CC BY-NC-SA 4.0" in done.stdout


def test_recordings_of_a_site_need_no_labels(cli, site, tmp_path):
    done = cli(*SELECT, "--wav", "site", "--clips", 50)

    assert done.returncode == 0, done.stderr.decode()
    assert b"expected 50 windows, got " in done.stderr
    chosen = CalibrationSet.load(tmp_path / "set")
    assert {clip.emotion for clip in chosen.clips} == {""}
    assert b"not labelled" in cli("calibrate", "show", "set").stdout


def test_a_channel_of_a_site_is_taken_as_run_takes_it(cli, site, tmp_path):
    stereo = np.random.default_rng(0).normal(size=(2 * RATE, 2)) * (0.1, 1e-5)
    soundfile.write(tmp_path / "stereo.wav", stereo, RATE)

    silent = cli(*SELECT, "--wav", "stereo.wav", "--channel", 1)
    audible = cli(*SELECT, "--wav", "stereo.wav", "--channel", 0)

    assert (silent.returncode, audible.returncode) == (1, 0)
    assert b"1 silent" in silent.stderr
    for clip in CalibrationSet.load(tmp_path / "set").clips:
        assert clip.level_dbfs == pytest.approx(-20, abs=0.2)


def test_test_speakers_are_used_on_request_and_warned_of(cli, site):
    done = cli(*SELECT, "--corpus", "folder:site=site", "--speakers", "s1,s3")
    assert done.returncode == 0
    assert b"note: site/s3: test speakers of tiny" in done.stderr


def test_the_same_command_writes_the_same_set(cli, site, tmp_path):
    for name in ("a", "b"):
        cli(*SELECT[:-1], name, "--corpus", "folder:site=site", "--seed", 5)
    for file in ("manifest.json", "windows.npz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ((), ("--corpus", "--wav", "neither")),
        (("--corpus", "folder:site=site", "--wav", "site"), ("--corpus", "--wav", "both")),
        (("--wav", "site", "--speakers", "s1"), ("--speakers", "--corpus")),
        (("--corpus", "folder:site=site", "--channel", "0"), ("--channel", "--wav")),
        (("--corpus", "folder:site=site", "--speakers", "s9"), ("'s9'", "site/s1")),
        (("--corpus", "site"), ("'site'", " RAVDESS=DIR")),
        (("--wav", "site", "--clips", "0"), ("--clips",)),
        (("--wav", "site", "--out", "site.onnx"), ("site.onnx/", "File exists")),
    ],
)
def test_bad_options_end_with_exit_code_2(cli, site, arguments, values):
    done = cli(*SELECT, *arguments)
    assert done.returncode == 2
    assert [value for value in values if value not in done.stderr.decode()] == []


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (("--wav", "nowhere"), (" nowhere",)),
        (("--wav", "site/low/s1/silent.wav"), (" 1 s ", "(1 silent)")),
        (("--wav", "site/low/s1/short.wav"), (" 1 s ", "(1 shorter ")),
        (("--corpus", "folder:site=nowhere"), (" nowhere ", "exist")),
        (("--wav", "site", "--model", "none.onnx"), (" none.onnx",)),
    ],
)
def test_what_cannot_be_used_ends_with_exit_code_1_and_writes_nothing(
    cli, site, tmp_path, arguments, values
):
    done = cli(*SELECT, *arguments)
    assert done.returncode == 1
    assert [value for value in values if value not in done.stderr.decode()] == []
    assert not (tmp_path / "set").exists()


def test_a_damaged_set_is_not_shown(cli, tmp_path):
    done = cli("calibrate", "show", tmp_path)
    assert done.returncode == 1
    assert b"is not a calibration set" in done.stderr
    assert done.stdout == b""


def test_a_device_calibrates_without_torch_and_onnx(site, tmp_path):
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'matplotlib', 'safetensors', 'scipy', 'librosa', 'sklearn'):\n"
        "    sys.modules[name] = None\n"
        f"sys.argv = ['edge-ser', *{[*SELECT, '--wav', 'site']!r}]\n"
        "from edge_ser.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert CalibrationSet.load(tmp_path / "set").clips
