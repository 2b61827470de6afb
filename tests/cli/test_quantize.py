"""`edge-ser quantize` as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from networks import calibration_of, write_network
from support import make_card

from edge_ser.card import FrontendConfig
from edge_ser.inference.onnxruntime import OnnxRunner

LOOSE = ("--max-uar-loss", 100, "--min-agreement", 0)


@pytest.fixture
def small(tmp_path):
    """small.onnx and a calibration set for it in set/."""
    write_network(tmp_path / "small.onnx")
    calibration_of(make_card()).save(tmp_path / "set")
    return ("quantize", "small.onnx", "--calibration", "set", *LOOSE)


@pytest.mark.parametrize(
    ("options", "kind"),
    [((), "INT8"), (("--fp16",), "FP16"), (("--int8", "--fp16"), "INT8+FP16")],
)
def test_a_file_is_written(cli, small, tmp_path, options, kind):
    done = cli(*small, *options, "--out", "out.onnx")
    message = done.stderr.decode()

    assert done.returncode == 0, message
    assert f"out.onnx: {kind}, " in message
    assert " 24 calibration windows, no labels: " in message
    assert "--corpus" in message
    assert OnnxRunner(tmp_path / "out.onnx").card == make_card()


def test_a_corpus_is_judged_without_the_sensitivity_being_asked_for(cli, small, tmp_path):
    rng = np.random.default_rng(0)
    for label in make_card().labels:
        for speaker in ("s1", "s2"):
            folder = tmp_path / "site" / label / speaker
            folder.mkdir(parents=True)
            soundfile.write(folder / "a.wav", rng.normal(size=20_000) / 9, 16_000)
    done = cli(*small, "--corpus", "folder:site=site", "--speakers", "s2", "--out", "out.onnx")
    message = done.stderr.decode()

    assert done.returncode == 0, message
    assert "points) on 3 clips of 1 speakers" in message


def test_tables_and_json(cli, small, tmp_path):
    done = cli(*small, "--sensitivity", "--json", "s.json", "--compare-methods")
    shown = done.stdout.decode()

    assert done.returncode == 0, done.stderr.decode()
    for words in ("entropy", "percentile", "minmax", "mse", "each layer alone", "pooling"):
        assert words in shown
    assert len(json.loads((tmp_path / "s.json").read_text())["costs"]) == 5
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "values"),
    [
        (("small.onnx", "--out", "out.onnx"), 1, ("--calibration ", "INT8")),
        (("small.onnx", "--fp16", "--out", "out.onnx"), 1, ("--calibration ",)),
        (
            ("small.onnx", "--calibration", "none", "--out", "o.onnx"),
            1,
            ("none ", "calibration set"),
        ),
        (("small.onnx", "--calibration", "other", "--out", "o.onnx"), 1, ("fmin is 50.0",)),
        (("small.onnx", "--calibration", "set", "--out", "o.bin"), 2, ("o.bin", ".onnx")),
        (("small.onnx", "--calibration", "set"), 2, ("--out ",)),
        (("none.onnx", "--calibration", "set", "--out", "o.onnx"), 1, (" none.onnx",)),
        (
            ("small.onnx", "--calibration", "set", "--fp16", "--method", "mse", "--out", "o.onnx"),
            2,
            ("--method", "INT8"),
        ),
        (
            ("small.onnx", "--calibration", "set", "--speakers", "1", "--out", "o.onnx"),
            2,
            ("--speakers", "--corpus"),
        ),
        (
            ("small.onnx", "--calibration", "set", "--exclude", "x", "--out", "o.onnx"),
            2,
            ("'x'", "exclude"),
        ),
        (
            ("loud.onnx", "--calibration", "set", "--fp16", "--out", "o.onnx"),
            1,
            ("overflow",),
        ),
    ],
)
def test_refusals(cli, small, tmp_path, arguments, code, values):
    other = make_card(frontend=FrontendConfig(n_mels=26, n_mfcc=13, fmin=50.0))
    calibration_of(other, 4).save(tmp_path / "other")
    write_network(tmp_path / "loud.onnx", gain=1e5)
    before = sorted(tmp_path.iterdir())
    done = cli("quantize", *arguments)

    assert done.returncode == code
    message = done.stderr.decode().replace("\n", " ")
    assert [value for value in values if value not in message] == []
    assert sorted(tmp_path.iterdir()) == before


def test_nan_and_empty_sets_are_refused(cli, small, tmp_path):
    windows = tmp_path / "set" / "windows.npz"
    for bad in (np.full((24, 13, 97), np.nan, np.float32), np.empty((0, 13, 97), np.float32)):
        np.savez_compressed(windows, windows=bad)
        done = cli(*small, "--out", "out.onnx")

        assert done.returncode == 1
        assert b"calibrate select" in done.stderr
        assert not (tmp_path / "out.onnx").exists()
