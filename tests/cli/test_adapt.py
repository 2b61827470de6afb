"""`edge-ser adapt` as a user runs it: adapted, refused, undone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from adaptable import write_adaptable, write_site
from support import make_card

from edge_ser.inference.onnxruntime import OnnxRunner


@pytest.fixture
def site(tmp_path):
    write_adaptable(tmp_path / "m.onnx", card=make_card(usual_outputs=(0.1, 0.2, 0.3)))
    write_site(tmp_path / "site", ("a", "b", "c"))
    return ("adapt", "m.onnx", "--corpus", "folder:site=site")


def test_a_model_is_adapted_evaluated_and_undone(cli, tmp_path, site):
    done = cli(*site, "--out", "a.onnx", "--json", "a.json")

    assert done.returncode == 0, done.stderr.decode()
    shown = done.stdout.decode()
    for words in ("48 clips, 144 s, 3 known speakers", "3 folds by speaker", "log loss", "high"):
        assert words in shown
    record = json.loads((tmp_path / "a.json").read_text())
    card = OnnxRunner(tmp_path / "a.onnx").card
    assert record["refusal"] == ""
    assert card.adapted is not None
    assert not card.takes_baseline
    assert card.adapted.labels == {"low": 24, "high": 24}
    assert card.adapted.speakers == ("site/a", "site/b", "site/c")
    assert card.adapted.after.uar == record["adapted"]["after"]["uar"] > 0.9
    assert card.accuracy[0].uar == card.adapted.after.uar
    # The speakers are trained on now: an honest evaluation leaves them out.
    evaluated = cli("evaluate", "a.onnx", "--corpus", "folder:site=site")
    assert b"of speakers that the model was trained on" in evaluated.stderr
    inspected = cli("inspect", "a.onnx").stdout.decode()
    assert "adapted" in inspected
    assert "48 clips" in inspected

    again = cli("adapt", "a.onnx", "--corpus", "folder:site=site", "--out", "b.onnx")
    assert again.returncode == 0
    assert b"already adapted" in again.stderr
    back = cli("adapt", "b.onnx", "--undo", "--out", "back.onnx")
    assert b"identical to the file before" in back.stderr
    assert (tmp_path / "back.onnx").read_bytes() == (tmp_path / "m.onnx").read_bytes()
    windows = np.ones((1, 13, 97), np.float32)
    np.testing.assert_array_equal(
        OnnxRunner(tmp_path / "a.onnx").run(windows), OnnxRunner(tmp_path / "b.onnx").run(windows)
    )


def test_what_does_not_hold_for_the_held_out_is_refused(cli, tmp_path):
    """Two speakers whose labels mean the opposite: what one teaches is wrong of the other."""
    write_adaptable(tmp_path / "m.onnx")
    site = write_site(tmp_path / "site", ("a", "b"), n=12)
    (site / "low" / "b").rename(site / "keep")
    (site / "high" / "b").rename(site / "low" / "b")
    (site / "keep").rename(site / "high" / "b")
    done = cli("adapt", "m.onnx", "--corpus", "folder:site=site", "--out", "a.onnx")

    assert done.returncode == 1
    assert b"a.onnx was not written" in done.stderr
    assert b"2 folds by speaker" in done.stdout
    assert not (tmp_path / "a.onnx").exists()


def test_a_dry_run_writes_nothing_and_json_goes_to_stdout(cli, tmp_path, site):
    before = sorted(tmp_path.iterdir())
    done = cli(*site, "--dry-run", "--json", "-")

    assert done.returncode == 0
    assert json.loads(done.stdout)["kind"] == "edge-ser adaptation"
    assert b"log loss" in done.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("m.onnx", "--out", "a.onnx"), 2, b"--corpus"),
        (("m.onnx", "--corpus", "folder:site=site"), 2, b"--out"),
        (("m.onnx", "--corpus", "folder:site=site", "--out", "m.onnx"), 2, b"another file"),
        (("m.onnx", "--corpus", "folder:site=site", "--out", "m.engine"), 2, b".onnx"),
        (("m.onnx", "--undo", "--out", "a.onnx"), 1, b"not adapted"),
        (("m.onnx", "--undo", "--dry-run", "--out", "a.onnx"), 2, b"--undo"),
        (("none.onnx", "--corpus", "folder:site=site", "--out", "a.onnx"), 1, b"none.onnx"),
        (("m.onnx", "--corpus", "folder:site=few", "--out", "a.onnx"), 2, b"low 2"),
    ],
)
def test_errors_name_the_values(cli, tmp_path, arguments, code, words):
    write_adaptable(tmp_path / "m.onnx")
    write_site(tmp_path / "few", n=2)
    (tmp_path / "site").symlink_to(tmp_path / "few")
    done = cli("adapt", *arguments)

    assert done.returncode == code, done.stderr.decode()
    assert words in done.stderr
    assert not (tmp_path / "a.onnx").exists()
