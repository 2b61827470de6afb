"""Records of cross-validations: figures that follow from their counts, files that can be trusted."""

from __future__ import annotations

import dataclasses
import json
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import make_fold, make_run

from edge_ser.errors import ConfigError
from edge_ser.evaluation import provenance
from edge_ser.evaluation.results import RunResult, load_runs, speaker_intervals
from edge_ser.metrics import confusion, unweighted_average_recall, weighted_accuracy


def test_a_fold_is_counted():
    fold = make_fold()

    assert fold.test_speakers == ("X/a", "X/b")
    assert fold.n_test == 5
    assert fold.wa == pytest.approx(3 / 5)
    assert fold.uar == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert fold.confusion == ((1, 0, 1), (0, 2, 0), (0, 1, 0))
    assert fold.by_speaker["X/a"] == ((1, 0, 0), (0, 1, 0), (0, 0, 0))


def test_a_run_sums_up_its_folds():
    run = make_run()

    assert run.mean_wa == pytest.approx((3 / 5 + 1) / 2)
    assert run.mean_uar == pytest.approx((1 / 2 + 1) / 2)
    assert run.confusion == ((2, 0, 1), (0, 3, 0), (0, 1, 1))
    assert run.revision == "abc"
    assert run.file_name == "speaker-independent-5-x-svm-egemaps.json"


def test_folds_of_different_code_are_all_named():
    later = dataclasses.replace(make_fold("2"), revision="def")

    assert make_run([make_fold("1"), later]).revision == "abc, def"


def test_it_comes_back_from_its_file(tmp_path):
    run = make_run()

    path = run.save(tmp_path / "new")

    assert RunResult.load(path) == run
    assert json.loads(path.read_text()) == json.loads(json.dumps(dataclasses.asdict(run)))
    assert "[2, 0, 1]" in path.read_text()  # a matrix can be read


def test_a_folder_gives_its_runs_and_leaves_other_files(tmp_path):
    runs = {make_run(system=name).save(tmp_path).name for name in ("majority", "compact")}
    (tmp_path / "looks.json").write_text("{}")
    (tmp_path / "RESULTS.md").write_text("# Results")

    assert {run.file_name for run in load_runs(tmp_path)} == runs


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("mean_wa", 0.99, "means and confusion"),
        ("mean_uar", 0.99, "means and confusion"),
        ("labels", ["sad", "happy"], "means and confusion"),
        ("schema", 2, "schema is 2"),
        ("n_folds", 1, "folds is"),
        ("folds", [], "folds is 'empty'"),
        ("system", 3, "system is 3, expected str"),
        ("extra", 3, "unknown fields extra"),
    ],
)
def test_a_record_that_was_changed_by_hand_is_refused(tmp_path, field, value, says):
    path = make_run().save(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))

    with pytest.raises(ConfigError, match=says):
        load_runs(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("wa", 0.9), ("uar", 0.1), ("n_test", 4), ("by_speaker", {}), ("test_speakers", ["X/a"])],
)
def test_figures_of_a_fold_must_follow_from_its_counts(tmp_path, field, value):
    path = make_run().save(tmp_path)
    data = json.loads(path.read_text())
    data["folds"][0][field] = value
    path.write_text(json.dumps(data))

    with pytest.raises(ConfigError, match="fold 1"):
        RunResult.load(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", '"kind"'])
def test_files_that_are_no_records_are_named(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)

    with pytest.raises(ConfigError, match=r"broken\.json"):
        RunResult.load(path)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40
    )
)
def test_intervals_are_shares_and_hold_the_figure_of_all_clips(clips):
    speakers, truth, predicted = zip(*clips, strict=True)
    fold = make_fold("1", [str(s) for s in speakers], truth, predicted)

    wa, uar = speaker_intervals([fold])

    if len(set(speakers)) < 4:
        assert wa == uar == ()
        return
    counts = confusion(truth, predicted, 3)
    assert 0 <= wa[0] <= wa[1] <= 1
    assert 0 <= uar[0] <= uar[1] <= 1
    assert fold.wa == weighted_accuracy(counts)
    assert fold.uar == unweighted_average_recall(counts)


def test_intervals_are_those_of_resampled_speakers():
    """The same as drawing speakers one by one and counting their clips anew."""
    rng = np.random.default_rng(1)
    speakers = rng.integers(0, 12, 400)
    truth = rng.integers(0, 3, 400)
    predicted = np.where(rng.random(400) < 0.3 + 0.05 * speakers, truth, (truth + 1) % 3)
    fold = make_fold("1", [f"{s:02}" for s in speakers], truth.tolist(), predicted.tolist())
    drawn = []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(speakers == s) for s in rng.integers(0, 12, 12)])
        drawn.append(np.mean(truth[rows] == predicted[rows]))

    np.testing.assert_allclose(
        speaker_intervals([fold])[0], np.percentile(drawn, (2.5, 97.5)), atol=0.015
    )


# --- provenance ---------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with a package in it that stands for ours."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")

    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(
            ["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True
        )

    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr(provenance, "_PACKAGE", package)
    return package


def test_the_revision_says_whether_the_code_was_changed(checkout):
    clean = provenance.revision()
    (checkout.parent / "results.json").write_text("{}")

    assert len(clean) == 40
    assert provenance.revision() == clean
    (checkout / "__init__.py").write_text("changed = True")
    assert provenance.revision() == f"{clean}-dirty"


def test_code_outside_a_repository_gives_its_release(checkout, tmp_path, monkeypatch):
    stranger = tmp_path / "site-packages"
    stranger.mkdir()
    (stranger / "__init__.py").write_text("")
    monkeypatch.setattr(provenance, "_PACKAGE", stranger)

    assert provenance.revision().startswith("release ")


def test_versions_are_of_what_is_installed():
    found = provenance.versions(("numpy", "no-such-package"))

    assert found["numpy"] == np.__version__
    assert set(found) == {"python", "edge-ser", "numpy"}
