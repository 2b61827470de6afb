"""`edge-ser prior`: ratios for `run --prior` on stdout, cautions and counts on stderr."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from edge_ser.inference.loader import open_runner
from edge_ser.recognition.prior import parse_prior

RATE = 16_000


def test_the_ratios_are_what_prior_takes(cli, example_clips):
    done = cli("prior", example_clips[0].parent)

    assert done.returncode == 0
    text = done.stdout.decode().strip()
    labels = open_runner().card.labels
    assert list(parse_prior(text, labels)) == list(labels)
    assert b"caution: " in done.stderr  # five clips are few
    run = cli("run", example_clips[0], "--prior", text, "--format", "jsonl")
    assert run.returncode == 0
    assert json.loads(run.stdout.splitlines()[0])["prior"] == parse_prior(text, labels)


def test_the_same_as_json(cli, example_clips):
    found = json.loads(cli("prior", example_clips[0].parent, "--json").stdout)

    assert 0 < found["n_clips"] <= len(example_clips)
    assert sum(found["shares"].values()) == pytest.approx(1, abs=1e-3)
    assert found["caveats"]
    assert parse_prior(found["prior"], open_runner().card.labels) == found["ratios"]


def test_recordings_without_speech_give_no_estimate(cli, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    (tmp_path / "b.wav").write_text("no audio")

    done = cli("prior", "a.wav", "b.wav")

    assert done.returncode == 2
    assert b"b.wav cannot be read" in done.stderr
    assert b"edge-ser prior recordings/" in done.stderr
    assert done.stdout == b""


def test_paths_are_needed(cli):
    assert cli("prior").returncode == 2
