"""`edge-ser enroll`, and what `run`, `evaluate` and `profile` do with its file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from bundled_with_both import write_bundled_with_both

from edge_ser.recognition.baseline import Baseline


@pytest.fixture
def model(tmp_path):
    """The bundled model with usual outputs and an arousal."""
    return write_bundled_with_both(tmp_path / "both.onnx")


@pytest.fixture
def enrolled(cli, model, example_clips, tmp_path):
    done = cli("enroll", "--wav", *example_clips, "--model", model, "--out", "lab.json")
    assert done.returncode == 0, done.stderr.decode()
    return tmp_path / "lab.json"


def clips_of(output: bytes) -> list[dict]:
    lines = [json.loads(line) for line in output.splitlines()]
    return [line for line in lines if line["event"] == "clip"]


def test_speech_becomes_a_file_of_statistics(enrolled):
    baseline = Baseline.load(enrolled)
    assert baseline.name == "lab"
    assert 5 < baseline.speech_s < 15
    assert baseline.n_utterances == 5
    assert len(baseline.mean) == 7
    assert len(baseline.labels) == 6
    assert enrolled.stat().st_size < 4_000


def test_little_speech_is_warned_of_and_very_little_refused(cli, model, example_clips, tmp_path):
    doubted = cli("enroll", *example_clips, "--model", model, "--out", "lab.json")
    assert doubted.returncode == 0
    assert b"15 s" in doubted.stderr
    (tmp_path / "lab.json").unlink()
    refused = cli("enroll", example_clips[0], "--model", model, "--out", "lab.json")
    assert refused.returncode == 1
    assert b"at least 5 s" in refused.stderr
    assert not (tmp_path / "lab.json").exists()


def test_noise_is_no_speech(cli, model, tmp_path):
    noise = 0.1 * np.random.default_rng(0).normal(size=20 * 16_000)
    soundfile.write(tmp_path / "noise.wav", noise, 16_000)
    done = cli("enroll", "noise.wav", "--model", model, "--out", "lab.json")
    assert done.returncode == 1
    assert b"at least 5 s" in done.stderr


def test_what_was_enrolled_is_used(cli, model, enrolled, example_clips):
    options = ("--wav", *example_clips, "--model", model, "--format", "jsonl", "--no-vad")
    plain = cli("run", *options)
    used = cli("run", *options, "--baseline", enrolled)
    assert used.returncode == 0, used.stderr.decode()
    assert json.loads(used.stdout.splitlines()[0])["baseline"] == "lab"
    assert json.loads(plain.stdout.splitlines()[0])["baseline"] == "none"
    pairs = list(zip(clips_of(plain.stdout), clips_of(used.stdout), strict=True))
    assert any(one["probs"] != other["probs"] for one, other in pairs)
    assert all(0 < one["arousal"] < 1 for one, _ in pairs)


def test_a_running_baseline_on_a_pipe(cli, model, example_clips):
    pause = np.zeros(20_000, np.float32)
    parts = [x for path in example_clips for x in (soundfile.read(path, dtype="float32")[0], pause)]
    pcm = (np.concatenate(parts) * 32767).astype("<i2").tobytes()
    done = cli(
        *("run", "--stdin", "--rate", 16_000, "--model", model, "--format", "jsonl", "--vad"),
        *("--baseline", "running"),
        stdin=pcm,
    )
    assert done.returncode == 0, done.stderr.decode()
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    held = [line["baseline_s"] for line in lines if line["event"] == "speech_end"]
    assert len(held) == 5
    assert held == sorted(held)
    assert 5 < held[-1] < 15


def test_a_file_fits_forms_of_its_model_and_no_other(cli, enrolled, example_clips, tmp_path):
    form = write_bundled_with_both(tmp_path / "form.onnx", name="another form")
    options = ("--baseline", enrolled, "--format", "jsonl")
    done = cli("run", "--wav", example_clips[0], "--model", form, *options)
    assert done.returncode == 0, done.stderr.decode()
    other = write_bundled_with_both(tmp_path / "other.onnx", usual_outputs=(0.0,) * 7)
    done = cli("run", "--wav", example_clips[0], "--model", other, *options)
    assert done.returncode == 1
    assert b"enroll again" in done.stderr


@pytest.mark.parametrize("command", ["run", "enroll"])
def test_a_model_without_usual_outputs_refuses_a_baseline(
    cli, command, example_clips, enrolled, tmp_path
):
    model = write_bundled_with_both(tmp_path / "none.onnx", usual_outputs=())
    more = ["--baseline", enrolled] if command == "run" else ["--out", "new.json"]
    done = cli(command, *example_clips, "--model", model, *more)
    assert done.returncode == 1
    assert b"takes no baseline" in done.stderr


def test_evaluate_names_the_baseline(cli, model, enrolled, example_clips, tmp_path):
    folder = tmp_path / "site" / "angry" / "somebody"
    folder.mkdir(parents=True)
    (folder / "a.wav").write_bytes(example_clips[0].read_bytes())
    done = cli("evaluate", model, "--corpus", "folder:site=site", "--baseline", enrolled)
    assert done.returncode == 0, done.stderr.decode()
    assert b"with the baseline lab" in done.stdout
    options = ("--baseline", "running")
    done = cli("evaluate", model, "--corpus", "folder:site=site", *options)
    assert done.returncode == 0, done.stderr.decode()
    assert b"with a running baseline" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (("enroll", "--out", "b.json"), b"--mic"),
        (("enroll", "--mic", "a.wav", "--out", "b.json"), b"--mic or files"),
        (("enroll", "--mic"), b"--out"),
        (("run", "--mic", "--no-vad", "--baseline", "running"), b"--no-vad"),
    ],
)
def test_usage(cli, arguments, value):
    done = cli(*arguments)
    assert done.returncode == 2
    assert value in done.stderr
