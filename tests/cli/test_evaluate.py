"""`edge-ser evaluate` as a user runs it, and what a CI job sees of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from support import make_card, write_tiny_model

from edge_ser.card import Accuracy, CorpusUse
from edge_ser.evaluation.report import Evaluation

RATE = 16_000
TRAINED = b"includes speakers of the training data"


@pytest.fixture
def site(tmp_path):
    """Two labels of four speakers in site/, and site.onnx, which was trained on the first."""
    rng = np.random.default_rng(0)
    for label in ("low", "high", "odd"):
        for speaker in range(1, 5):
            folder = tmp_path / "site" / label / f"s{speaker}"
            folder.mkdir(parents=True)
            soundfile.write(folder / "a.wav", rng.normal(size=RATE) / 9, RATE)
    card = make_card(
        corpora=(CorpusUse("site", 2, ("site/s1",), "own", ""),),
        accuracy=(
            Accuracy("speaker-independent", "validation", "site", ("site/s2",), 2, 0.5, 0.5),
        ),
    )
    write_tiny_model(tmp_path / "site.onnx", card)
    return ("evaluate", "site.onnx", "--corpus", "folder:site=site")


@pytest.fixture
def wide(cli):
    def run(*arguments, **options):
        return cli(*arguments, env={**os.environ, "COLUMNS": "160"}, **options)

    return run


def test_text_output(wide, site):
    done = wide(*site)
    shown = done.stdout.decode()

    assert done.returncode == 0, done.stderr.decode()
    for words in (
        "tiny (site.onnx, SHA-256 ",
        "protocol: all speakers, without those of the training data",
        "mode: each clip as one recording",
        "site: 6 clips, speakers: 3 (new speakers of a training corpus)",
        "has no middle; the model may still predict it",
        "left out: site, 4 clips labelled odd, which the model does not know",
        "left out: site, 2 clips of speakers that the model was trained on",
        "site/s2 selected the training's epoch (validation)",
        "New speakers of the training corpora",
        "site: 95% intervals by bootstrap over speakers, 2000 draws; too narrow",
    ):
        assert words in shown
    for title in (
        "Accuracy",
        "Clips answered (the card advises no threshold)",
        "Recall and precision of each class",
        "Confident errors",
        "Confusion",
        "Are the probabilities true?",
    ):
        assert title in shown
    assert "With noise" not in shown
    assert TRAINED not in done.stdout
    assert done.stderr == b""


def test_all_files_at_once_say_the_same(wide, site, tmp_path):
    files = ("--json", "e.json", "--html", "e.html", "--card", "CARD.md")
    done = wide(*site, "--snr", 10, "--snr", 20, *files, "--bootstrap", 100)

    assert done.returncode == 0, done.stderr.decode()
    measured = Evaluation.load(tmp_path / "e.json")
    uar = f"{100 * measured.blocks[0].overall.uar.value:.1f}%"
    assert [level.snr_db for level in measured.blocks[0].noisy] == [20, 10]
    assert uar in done.stdout.decode()
    assert uar in (tmp_path / "e.html").read_text()
    assert uar in (tmp_path / "CARD.md").read_text()
    assert "pink noise" in done.stdout.decode()
    assert [f"written: {name}" in done.stderr.decode() for name in files[1::2]] == [True] * 3


def test_it_repeats_itself(wide, site, tmp_path):
    for name in ("a", "b"):
        wide(*site, "--snr", 5, "--noise", "white", "--json", f"{name}.json")
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()


def test_training_speakers_are_included_on_request_and_marked(wide, site, tmp_path):
    done = wide(*site, "--include-trained", "--html", "e.html", "--json", "e.json")

    assert done.stdout.count(TRAINED) >= 4  # the protocol and every table by corpus
    assert TRAINED in (tmp_path / "e.html").read_bytes()
    assert Evaluation.load(tmp_path / "e.json").trained_speakers == ("site/s1",)


@pytest.mark.parametrize(
    ("options", "speakers"),
    [
        (("--speakers", "s2,s3"), ["site/s2", "site/s3"]),
        (("--speakers", "site/s4,s1"), ["site/s4"]),
        (("--protocol", "speaker-independent", "--folds", "leave-one-speaker-out", "--fold", "s3"),
         ["site/s3"]),
        (("--protocol", "clip-grouped", "--folds", "2", "--fold", "1", "--include-trained"),
         ["site/s1", "site/s2", "site/s3", "site/s4"]),
    ],
)  # fmt: skip
def test_who_is_measured_on_can_be_chosen(wide, site, tmp_path, options, speakers):
    done = wide(*site, *options, "--json", "e.json")

    assert done.returncode == 0, done.stderr.decode()
    measured = Evaluation.load(tmp_path / "e.json")
    assert set(measured.corpora[0].speakers) <= set(speakers)
    assert "clip-grouped" in measured.protocol or list(measured.corpora[0].speakers) == speakers
    assert measured.blocks[0].overall.n_clips <= 6
    if len(measured.corpora[0].speakers) == 1:
        assert b"one speaker, so no intervals" in done.stdout


@pytest.mark.parametrize(("minimum", "code"), [(0, 0), (100, 1)])
def test_min_uar_decides_the_exit_code_after_all_is_written(wide, site, tmp_path, minimum, code):
    done = wide(*site, "--min-uar", minimum, "--json", "e.json")

    assert done.returncode == code
    measured = Evaluation.load(tmp_path / "e.json")
    assert (100 * measured.blocks[0].overall.uar.value < minimum) == bool(code)
    assert (b"expected a UAR of 100% or more" in done.stderr) == bool(code)


@pytest.fixture
def plain(site, tmp_path):
    """Noise in crowd/ and hum/, and a model that knows neutral, with a threshold."""
    rng = np.random.default_rng(1)
    for folder in ("crowd", "hum"):
        (tmp_path / folder).mkdir()
        for number in range(3):
            soundfile.write(tmp_path / folder / f"{number}.wav", rng.normal(size=RATE) / 9, RATE)
    card = make_card(labels=("neutral", "low", "high"), abstain_below=0.4)
    write_tiny_model(tmp_path / "plain.onnx", card)
    return ("evaluate", "plain.onnx", "--corpus", "neutral:crowd=crowd", "--noise-only", "hum")


def test_plain_speech_and_noise_alone_are_distributions(wide, plain, tmp_path):
    files = ("--json", "e.json", "--html", "e.html", "--card", "CARD.md")
    done = wide(*plain, "--corpus", "unlabelled:talk=site", *files)

    assert done.returncode == 0, done.stderr.decode()
    measured = Evaluation.load(tmp_path / "e.json")
    assert measured.blocks == ()
    assert [(d.of, d.kind, d.n_clips) for d in measured.distributions] == [
        ("crowd", "neutral", 3),
        ("hum", "no speech", 3),
        ("talk", "unlabelled", 12),
    ]
    shown = done.stdout.decode()
    for words in ("Corpora of one label or none", "crowd (neutral)", "Files without speech"):
        assert words in shown
    assert "crowd (neutral)" in (tmp_path / "e.html").read_text()
    assert "crowd (neutral)" in (tmp_path / "CARD.md").read_text()


def test_labelled_and_plain_corpora_together(wide, plain, tmp_path):
    done = wide(*plain, "--corpus", "folder:site=site", "--speakers", "site/*", "--json", "e.json")

    assert done.returncode == 0, done.stderr.decode()
    measured = Evaluation.load(tmp_path / "e.json")
    (block,) = measured.blocks
    assert block.scope == "unknown"  # the card names no corpora
    assert {answer.corpus for answer in measured.clips} == {"site", "crowd", "hum"}
    assert block.overall.n_clips == 8


@pytest.mark.parametrize(
    ("option", "passes", "fails"),
    [
        ("--min-neutral", lambda d: d["crowd"].expected_or_abstained, 1),
        ("--max-false", lambda d: d["crowd"].something_else, -1),
        ("--max-noise-labels", lambda d: d["hum"].any_label, -1),
    ],
)
def test_bounds_on_plain_speech_and_noise_decide_the_exit_code(
    wide, plain, tmp_path, option, passes, fails
):
    wide(*plain, "--json", "e.json")
    found = {d.of: d for d in Evaluation.load(tmp_path / "e.json").distributions}
    share = 100 * passes(found).value

    assert wide(*plain, option, share).returncode == 0
    beyond = share + fails
    if 0 <= beyond <= 100:
        done = wide(*plain, option, beyond)
        assert done.returncode == 1
        assert b"expected " in done.stderr


def test_live_mode_is_printed_and_recorded(wide, site, tmp_path):
    done = wide(*site, "--vad", "--json", "e.json", "--html", "e.html", "--card", "CARD.md")

    assert done.returncode == 0, done.stderr.decode()
    assert b"mode: live, each clip through the voice detector silero" in done.stdout
    assert b"no speech found" in done.stdout
    measured = Evaluation.load(tmp_path / "e.json")
    assert measured.mode == "live"
    assert measured.detector
    assert measured.blocks[0].overall.live is not None
    assert "## Measured live: " in (tmp_path / "CARD.md").read_text()


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (("--speakers", "s1"), ("--include-trained",)),
        (("--speakers", "s9"), ("'s9'", "site/s1")),
        (("--speakers", "s2", "--protocol", "emobox"), ("--speakers", "--protocol")),
        (("--fold", "1"), ("--fold", "--folds", "--protocol")),
        (("--protocol", "random"), ("'random'", "speaker-independent, ")),
        (("--protocol", "paper"), ("--protocol paper", "copies")),
        (("--protocol", "emobox"), ("EmoBox", " site ", "RAVDESS, SAVEE, EMOVO")),
        (("--protocol", "clip-grouped", "--folds", "2"), ("--fold ", " 1, 2")),
        (("--snr", "loud"), ("loud",)),
        (("--noise", "white"), ("--noise", "--snr")),
        (("--bootstrap", "1"), ("bootstrap",)),
        (("--min-uar", "101"), ("min-uar",)),
        (("--min-neutral", "92"), ("--min-neutral", "neutral:NAME=DIR")),
        (("--max-false", "3"), ("--max-false", "neutral:NAME=DIR")),
        (("--max-noise-labels", "1"), ("--noise-only DIR",)),
        (("--noise-only", "nowhere"), ("nowhere",)),
        (("--recipe-results", "r.json"), ("--recipe-results", "--card")),
        (("--recipe-results", "r.json", "--card", "c.md"), ("r.json ", "No such file")),
        (("--speakers", "lab/*"), ("'lab/*'", " site")),
        (("--corpus", "elsewhere=x"), ("'elsewhere'", "RAVDESS, ")),
        (("--html", "/proc/none/e.html"), ("/proc/none", "No such file")),
    ],
)
def test_bad_options_end_with_exit_code_2(wide, site, options, values):
    done = wide(*site, *options)

    assert done.returncode == 2, done.stderr.decode()
    assert [value for value in values if value not in done.stderr.decode()] == []


def test_no_corpus(wide):
    done = wide("evaluate")
    assert done.returncode == 2
    assert b"--corpus" in done.stderr
    assert b"--noise-only" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (("none.onnx", "--corpus", "folder:site=site"), (" none.onnx",)),
        (("site.onnx", "--corpus", "folder:site=nowhere"), ("nowhere ", "exist")),
        (
            ("site.onnx", "--corpus", "folder:site=site", "--snr", "5", "--noise", "brown"),
            ("brown",),
        ),
    ],
)
def test_missing_inputs_are_exit_code_1(wide, site, arguments, values):
    done = wide("evaluate", *arguments)
    assert done.returncode == 1
    assert [value for value in values if value not in done.stderr.decode()] == []


def test_labels_with_brackets_are_shown_as_they_are(wide, site, tmp_path):
    write_tiny_model(tmp_path / "site.onnx", make_card(labels=("low", "[red]", "high")))
    done = wide(*site)
    assert done.returncode == 0, done.stderr.decode()
    assert "[red]" in done.stdout.decode()


def test_the_bundled_model_is_the_default_and_agrees_with_its_card(cli, corpora_dir, tmp_path):
    """On the test speakers of EMO-DB that its card names, the figures are the card's."""
    from edge_ser.inference.loader import open_runner

    (own,) = (a for a in open_runner().card.accuracy if (a.split, a.corpus) == ("test", "EMO-DB"))
    named = ",".join(own.speakers)
    corpus = f"EMO-DB={corpora_dir / 'EMO-DB'}"
    done = cli("evaluate", "--corpus", corpus, "--speakers", named, "--json", "e.json")

    assert done.returncode == 0, done.stderr.decode()
    f = Evaluation.load(tmp_path / "e.json").blocks[0].overall
    assert f.n_clips == own.n_clips
    assert f.wa.value == pytest.approx(own.wa)
    assert f.uar.value == pytest.approx(own.uar)
    recall = {label: figure.value for label, figure in f.recall.items()}
    assert recall == pytest.approx(dict(own.recall))


def test_a_device_without_torch_evaluates(site, tmp_path):
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'matplotlib', 'safetensors', 'scipy', 'librosa', 'sklearn'):\n"
        "    sys.modules[name] = None\n"
        f"sys.argv = ['edge-ser', *{[*site, '--snr', '5', '--json', 'e.json', '--html', 'e.html']!r}]\n"
        "from edge_ser.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "e.json").read_text())["model"]["name"] == "tiny"


def test_a_reader_that_leaves_does_not_cost_the_record(site, tmp_path):
    """As `| head -1` does."""
    command = [sys.executable, "-m", "edge_ser", *site, "--json", "e.json"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        errors = process.stderr.read()

    assert b"Traceback" not in errors
    assert Evaluation.load(tmp_path / "e.json").blocks[0].overall.n_clips == 6
