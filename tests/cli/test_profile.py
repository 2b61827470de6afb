"""`edge-ser profile` as a user runs it, and what a device's CI sees of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from support import write_tiny_model

from edge_ser.profiling.report import Profile

SHORT = ("--duration", "1", "--cold-starts", "0")


@pytest.fixture
def models(tmp_path):
    write_tiny_model(tmp_path / "a.onnx")
    write_tiny_model(tmp_path / "b.onnx")
    return ("profile", "a.onnx", "b.onnx", *SHORT)


def test_what_is_printed_fits_80_columns_without_colours(cli, models, tmp_path):
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    done = cli(*models, "--html", "p.html", env=environment)
    shown = done.stdout.decode()

    assert done.returncode == 0, done.stderr.decode()
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    for words in (
        "a.onnx: onnxruntime",
        "b.onnx: onnxruntime",
        "stage ",
        "voice detector",
        "end to end",
        "windows/s, real-time factor",
        "made, speech-like, seed 0, 48,000 Hz",
        "decisions before anything counted",
        "overhead",
        "not measured: ",
        "Side by side",
        "take ",
    ):
        assert words in shown, words
    assert (tmp_path / "p.html").read_text().startswith("<!DOCTYPE html>")
    assert "written: p.html" in done.stderr.decode()


def test_the_record_holds_the_settings(cli, models, tmp_path):
    noise = np.random.default_rng(0).normal(size=8000 * 3) / 9
    soundfile.write(tmp_path / "n.wav", noise, 8000)
    options = ("--wav", "n.wav", "--arrival", "paced", "--chunk", "50", "--detector", "none")
    done = cli(*models, *options, "--duration", "2", "--cold-starts", "1", "--json", "p.json")
    assert done.returncode == 0, done.stderr.decode()

    profile = Profile.load(tmp_path / "p.json")
    setting = profile.setting
    assert (setting.arrival, setting.chunk_ms, setting.detector) == ("paced", 50.0, "none")
    assert (setting.sound.name, setting.sound.sample_rate, setting.sound.speech) == (
        "n.wav",
        8000,
        None,
    )
    assert [model.name for model in profile.models] == ["a.onnx", "b.onnx"]
    for model in profile.models:
        assert "vad" not in model.stages
        assert {"capture", "resample", "features", "inference", "sink"} <= model.stages.keys()
        assert len(model.cold) == 1
        assert 5 <= model.n_decisions <= 8
    assert profile.models[1].accuracy.passes is None  # 7 windows say nothing
    assert profile.recommendation is not None


def test_json_on_stdout_is_nothing_but_json(cli, models):
    done = cli(*models, "--json", "-")
    assert done.returncode == 0, done.stderr.decode()
    record = json.loads(done.stdout)
    assert (record["kind"], record["schema"]) == ("edge-ser profile", 1)
    assert record["models"][0]["stages"]["inference"]["p50_ms"] > 0


@pytest.mark.parametrize(("budget", "code"), [("100000", 0), ("0.0001", 1)])
def test_a_budget_decides_on_the_exit_code(cli, models, budget, code):
    done = cli(*models, "--budget-ms", budget, "--p", "50")
    message = done.stderr.decode()
    assert done.returncode == code, message
    assert done.stdout  # the figures are printed all the same
    if code:
        assert message.startswith("edge-ser: ")
        assert f" {float(budget):g} ms " in message
        assert " a.onnx: p50 is " in message
        assert "; b.onnx: p50 is " in message
    else:
        assert "kept: p50 " in done.stdout.decode()
        assert " 100000 ms" in done.stdout.decode()


def test_a_budget_that_cannot_be_judged_is_not_kept(cli, models):
    done = cli(*models, "--arrival", "paced", "--budget-ms", "100000", "--p", "99.9")
    assert done.returncode == 1
    assert b"p99.9 needs 1000 decisions" in done.stderr


def test_runners_are_compared_too(cli, models):
    done = cli("profile", "a.onnx", "--runner", "auto", "--runner", "cpu", *SHORT, "--json", "-")
    assert done.returncode == 0, done.stderr.decode()
    names = [model["name"] for model in json.loads(done.stdout)["models"]]
    assert [name.split(" on ") for name in names] == [["a.onnx", "auto"], ["a.onnx", "cpu"]]


def test_gated_windows_come_from_speech_only(cli, models, example_clips):
    done = cli("profile", "a.onnx", *SHORT, "--gated", "--wav", example_clips[0], "--json", "-")
    assert done.returncode == 0, done.stderr.decode()
    setting = json.loads(done.stdout)["setting"]
    assert setting["gated"] is True
    assert 0.3 < setting["sound"]["speech"] <= 1


@pytest.mark.parametrize(
    ("arguments", "code", "values"),
    [
        (["none.onnx"], 1, (" none.onnx",)),
        (["--mic", "--wav", "x.wav"], 2, ("--mic", "--wav")),
        (["--device", "1"], 2, ("--device", "--mic")),
        (["--gated", "--detector", "none"], 2, ("--gated", "--detector none")),
        (["--wav", "none.wav"], 1, ("none.wav",)),
        (["--budget-ms", "0"], 2, ("--budget-ms",)),
        (["--p", "42"], 2, ("--p",)),
    ],
)
def test_errors_name_the_values(cli, arguments, code, values):
    done = cli("profile", *arguments)
    assert done.returncode == code
    assert [value for value in values if value not in done.stderr.decode()] == []


def test_it_works_without_torch_and_onnx(models, tmp_path):
    """On a device neither is there, and importing them must not even be tried."""
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'matplotlib', 'scipy', 'librosa'):\n"
        "    sys.modules[name] = None\n"
        f"sys.argv = ['edge-ser', *{[*models, '--html', 'p.html']!r}]\n"
        "from edge_ser.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
