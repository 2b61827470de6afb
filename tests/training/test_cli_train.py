"""The command line: train, export, run."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from support import ROOT

from edge_ser.cli import main

posix = pytest.mark.skipif(os.name != "posix", reason="stops a process by a signal")
SPEAKERS = ("--test-speakers", "s6", "--validation-speakers", "synth/s3")


@pytest.fixture(scope="module")
def settings(config, tmp_path_factory) -> Path:
    """A file with the small settings, as --config takes it."""
    path = tmp_path_factory.mktemp("config") / "small.json"
    path.write_text(json.dumps(dataclasses.asdict(config)))
    return path


@pytest.fixture(scope="module")
def arguments(corpus, settings) -> tuple[str, ...]:
    options = ("--epochs", "3", "--threads", "1", "--device", "cpu", "--config", str(settings))
    licences = ("--weights-licence", "commercial", "--corpus-licence", "synth=MIT")
    return ("train", "--corpus", corpus, *SPEAKERS, *options, *licences)


@pytest.fixture(scope="module")
def first(edge_ser, arguments, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A run trained by the command line, and what was printed."""
    run = tmp_path_factory.mktemp("cli") / "runs" / "first"
    return run, edge_ser(*arguments, "--out", run)


# --- the main job ------------------------------------------------------------------------


def test_training_reports_its_steps(first, corpus_dir):
    run, done = first

    assert done.stdout == ""
    assert "synth: 96 clips, 6 speakers; neutral 24, happy 24, sad 24, angry 24" in done.stderr
    assert "protocol: speaker-independent, fold named" in done.stderr
    (leaks,) = (line for line in done.stderr.splitlines() if line.startswith("leaks: "))
    assert "%" not in leaks
    assert "validation    16 clips: synth/s3" in done.stderr
    assert "test          16 clips: synth/s6" in done.stderr
    assert "epoch   3/3" in done.stderr
    assert f"edge-ser export {run}" in done.stderr.replace("\n", "")
    record = json.loads((run / "run.json").read_text())
    assert record["config"]["epochs"] == 3  # the option wins over the file
    assert record["terms"] == {"weights": "commercial", "corpora": {"synth": "MIT"}}
    assert record["config"]["window_s"] == 1.0
    assert record["corpora"] == [f"folder:synth={corpus_dir}"]


@pytest.mark.parametrize("extra", [(), ("--with-frontend",)], ids=["features", "waveform"])
def test_export_and_run(edge_ser, first, corpus_dir, tmp_path, extra):
    model = tmp_path / "model.onnx"
    clip = corpus_dir / "happy" / "s6" / "0.wav"

    done = edge_ser("export", first[0], "--out", model, "--gate-clips", 4, *extra)
    assert "parity with PyTorch over 4 clips" in done.stderr
    assert f"allowed {'1e-03' if extra else '1e-04'}" in done.stderr
    assert "speaker-independent, test, synth: WA" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]

    done = edge_ser("run", "--wav", clip, "--model", model, "--format", "jsonl")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert any(event["event"] == "window" for event in events)
    (verdict,) = (event for event in events if event["event"] == "clip")
    assert verdict["source"] == str(clip)
    assert verdict["label"] in {"neutral", "happy", "sad", "angry"}
    assert sum(verdict["probs"].values()) == pytest.approx(1, abs=1e-3)


def stop_after_first_epoch(arguments: tuple[str, ...], run: Path, how: signal.Signals):
    """Train until the first checkpoint is there, send a signal, return exit code and messages."""
    with subprocess.Popen(
        [sys.executable, "-m", "edge_ser", *arguments, "--out", str(run)],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 100
        while not (run / "last.safetensors").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(how)
        _, messages = process.communicate(timeout=100)
    assert not (run / "metrics.json").exists()
    return process.returncode, messages


@posix
def test_a_killed_training_ends_as_one_that_was_not(edge_ser, first, arguments, tmp_path):
    run = tmp_path / "run"
    code, _ = stop_after_first_epoch(arguments, run, signal.SIGKILL)
    assert code == -signal.SIGKILL

    done = edge_ser("train", "--resume", "--out", run, "--threads", 1)

    assert "resumed " in done.stderr
    records = [json.loads((folder / "run.json").read_text()) for folder in (run, first[0])]
    for record in records:
        del record["created"]  # midnight may lie between them
    assert records[0] == records[1]
    assert (run / "metrics.json").read_text() == (first[0] / "metrics.json").read_text()
    one, other = (load_file(folder / "best.safetensors") for folder in (run, first[0]))
    assert all((one[name] == other[name]).all() for name in other)


@posix
def test_ctrl_c_reports_how_to_continue(arguments, tmp_path):
    code, messages = stop_after_first_epoch(arguments, tmp_path / "run", signal.SIGINT)

    assert code == 1
    assert "edge-ser: stopped after 1 complete epoch(s)" in messages
    assert f"edge-ser train --resume --out {tmp_path / 'run'}" in messages
    assert "Traceback" not in messages
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "run.json",
        "best.safetensors",
        "last.safetensors",
    }


# --- errors ------------------------------------------------------------------------------


@pytest.fixture
def refused(monkeypatch, capsys):
    """Run the command line in this process, where torch is loaded; return code and message."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["edge-ser", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, message = capsys.readouterr()
        assert out == ""
        return stopped.value.code, message

    return run


def test_another_corpus_than_the_name_states(edge_ser, corpus_dir, tmp_path):
    done = edge_ser("train", "--corpus", f"RAVDESS={corpus_dir}", "--out", tmp_path / "r", code=1)

    assert done.stderr.startswith("edge-ser: RAVDESS: ")
    assert " 96 audio files " in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_a_run_that_is_there(refused, trained, corpus):
    code, message = refused("train", "--corpus", corpus, "--out", trained)

    assert code == 1
    assert f" {trained} " in message
    assert "--resume" in message


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ((), ("--corpus RAVDESS=DIR",)),
        (("--resume", "--epochs", "3"), ("--resume", "--out")),
        (("--resume", "--corpus", "RAVDESS=x"), ("--resume", "--out")),
        (("--resume", "--protocol", "paper"), ("--resume", "--out")),
        (("--resume", "--fold", "1"), ("--resume", "--out")),
        (("--resume", "--weights-licence", "MIT"), ("--resume", "--out")),
        (("--resume", "--noise", "n"), ("--resume", "--out")),
        (("--corpus", "RAVDESS=x", "--noise", "nowhere"), ("--noise", " nowhere")),
        (
            ("--corpus", "RAVDESS=x", "--recipe", "paper", "--noise", "n"),
            ("--noise", "--microphones"),
        ),
        (
            ("--corpus", "RAVDESS=x", "--recipe", "paper", "--encoder", "e"),
            ("--unlabelled", "--encoder"),
        ),
        (("--corpus", "RAVDESS=x", "--protocol", "fair"), ("--protocol", "fair")),
        (("--corpus", "RAVDESS=x", "--epochs", "0"), ("--epochs",)),
        (("--corpus", "RAVDESS=x", "--batch-size", "1"), ("--batch-size",)),
        (("--corpus", "RAVDESS=x", "--device", "tpu"), ("--device", "tpu")),
        (("--corpus", "RAVDESS=x", "--learning-rate", "fast"), ("--learning-rate", "fast")),
    ],
)
def test_options_that_cannot_be(refused, tmp_path, options, values):
    code, message = refused("train", *options, "--out", tmp_path / "run")

    assert code == 2
    assert [value for value in values if value not in message] == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (("--corpus", "RAVDES=x"), ("'RAVDES'", "RAVDESS, ")),
        (("--corpus", "RAVDESS"), ("'RAVDESS'", " RAVDESS=DIR")),
        (("--learning-rate", "3"), ("learning_rate", "3.0")),
        (("--labels", "sad,joyful"), (" joyful", "neutral, happy, sad, angry")),
        (("--test-speakers", "s9"), ("test speaker 's9'", "synth/s1")),
        (("--config", "missing.json"), ("missing.json ", "No such file")),
        (("--folds", "3"), ("--fold ", " speaker-independent ", ": 1, 2, 3")),
        (("--folds", "leave-one-speaker-out", "--fold", "s9"), ("fold 's9'", "synth/s1, ")),
        (("--protocol", "clip-grouped", "--folds", "few"), ("--folds ", "'few'")),
        (("--protocol", "emobox"), ("EmoBox", " synth ", "RAVDESS, SAVEE, EMOVO")),
        (("--protocol", "cross-corpus"), ("got 1 ", "(synth)")),
        (("--corpus-licence", "synth"), ("NAME=TERMS", "'synth'")),
        (("--corpus-licence", "lab=MIT"), ("'lab'", "(synth)")),
    ],
)
def test_settings_that_cannot_be(refused, corpus, tmp_path, options, values):
    given = options if "--corpus" in options else ("--corpus", corpus, *options)

    code, message = refused("train", *given, "--out", tmp_path / "run")

    assert code == 2
    assert [value for value in values if value not in message] == []
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{", ("JSON",)),
        ('{"epoch": 3}', (" fields epoch",)),
        ('{"augment": {"speeds": 1}}', ("augment.speeds is 1", " list")),
    ],
)
def test_a_settings_file_that_cannot_be_used(refused, corpus, tmp_path, text, values):
    path = tmp_path / "settings.json"
    path.write_text(text)

    code, message = refused(
        "train", "--corpus", corpus, "--config", path, "--out", tmp_path / "run"
    )

    assert code == 2
    assert str(path) in message
    assert [value for value in values if value not in message] == []


@pytest.mark.parametrize("recipe", ["compact", "paper"])
def test_commercial_weights_of_corpora_that_forbid_it(refused, official_root, tmp_path, recipe):
    corpora = [f"{name}={official_root / name}" for name in ("EMO-DB", "nEMO")]
    options = [part for corpus in corpora for part in ("--corpus", corpus)]

    code, message = refused(
        "train",
        *options,
        "--recipe",
        recipe,
        "--weights-licence",
        "commercial",
        "--out",
        tmp_path / "run",
    )

    assert code == 2
    assert "nEMO (CC BY-NC-SA 4.0)" in message
    assert not (tmp_path / "run").exists()


def test_export_needs_an_onnx_name_and_a_run(refused, tmp_path):
    code, message = refused("export", tmp_path, "--out", tmp_path / "model.pt")
    assert code == 2
    assert "/model.pt" in message
    assert ".onnx" in message

    code, message = refused("export", tmp_path, "--out", tmp_path / "model.onnx")
    assert code == 1
    assert f" {tmp_path} " in message
    assert "run.json" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "package"), [("train", "torch"), ("train", "matplotlib"), ("export", "torch")]
)
def test_a_missing_package_is_named_with_its_extra(tmp_path, command, package):
    options = {"train": ["--corpus", "RAVDESS=x"], "export": [str(tmp_path)]}[command]
    script = (
        f"import sys; sys.modules[{package!r}] = None; "
        f"sys.argv = {['edge-ser', command, *options, '--out', str(tmp_path / 'x.onnx')]!r}; "
        "from edge_ser.cli import main; main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT
    )

    assert done.returncode == 1
    assert done.stderr.startswith("edge-ser: ")
    assert f" {package} " in done.stderr
    assert done.stderr.endswith(" pip install 'edge-ser[train]'\n")
    assert done.stderr.count("\n") == 1
