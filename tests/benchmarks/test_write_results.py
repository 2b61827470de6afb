"""RESULTS.md and the README's table are what the JSON files give, and invent nothing."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import pytest
from support import ROOT

from edge_ser.evaluation.results import FoldResult, RunResult


def load(name):
    place = ROOT / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", place)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


write_results, listeners = load("write_results"), load("listeners")


def make_run(system, corpus, n_right, protocol="emobox", n_folds=1, folding="", notes=()):
    fold = FoldResult.of(
        "1",
        ["X/a"] * 10,
        [0] * 5 + [1] * 5,
        [0] * 5 + [1] * (n_right - 5) + [0] * (10 - n_right),
        2,
        n_train=1,
        n_validation=0,
        n_parameters=2_500_000,
        train_s=1.0,
        notes=tuple(notes),
        declares="",
        shared=(),
        revision="0123456789-dirty",
    )
    return RunResult.of(
        [fold],
        system=system,
        settings={},
        labels=("sad", "happy"),
        corpora=(corpus,),
        protocol=protocol,
        folding=folding,
        n_folds=n_folds,
        seeds=(),
        data_digest="",
        notes=tuple(notes),
        versions={},
        command="",
        date="2026-01-01",
    )


@pytest.fixture
def folder(tmp_path):
    """A results folder with what is written by hand, and nothing run."""
    for name in ("published", "looks"):
        shutil.copy(ROOT / "results" / f"{name}.json", tmp_path)
    return tmp_path


def page(folder):
    return write_results.page(write_results.Evidence.load(folder))


def row(text, start):
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_committed_page_and_readme_are_not_stale():
    done = subprocess.run(
        [sys.executable, "benchmarks/write_results.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_without_runs_nothing_is_claimed(folder):
    text = page(folder)

    assert text.count("Not run.") == 6
    assert "Ours: not run." in text
    assert "`benchmarks/listeners.py`: not run." in text
    assert "`benchmarks/notebook_memoriser.py`: not run." in text


def test_a_run_stands_in_its_cell(folder):
    make_run("svm-compare", "RAVDESS", 8).save(folder)
    make_run("compact", "RAVDESS", 9, n_folds=6).save(folder)
    make_run("paper-small", "RAVDESS", 6, notes=["a smaller network"]).save(folder)

    text = page(folder)

    assert row(text, "RAVDESS") == [
        "RAVDESS", "not run", "not run", "80.0 / 80.0", "60.0 / 60.0 †",
        "90.0 / 90.0 (1 of 6 folds)", "99.23",
    ]  # fmt: skip
    assert row(text, "SAVEE")[1:6] == ["not run"] * 5
    assert re.search(r"^† .*\bnetwork\b", text, re.MULTILINE)
    assert row(text, "ours") == ["ours", "2.5 M", "90.0", "not run", "not run"]
    assert row(text, "WavLM-large (published)")[1:3] == ["316.0 M", "72.2"]
    assert re.search(r"ours wins .*, SVM, ComParE: UAR 90\.0 and 80\.0", text)
    assert "[svm-compare](emobox-ravdess-svm-compare.json)" in text
    assert "0123456-dirty, 2026-01-01" in text


def test_a_smaller_network_stands_beside_the_papers_own(folder):
    make_run("paper", "TESS", 7, "paper").save(folder)
    make_run("paper-small", "TESS", 9, "paper").save(folder)

    assert (
        row(page(folder), "TESS | not run | not run | not run")[4] == "70.0 / 70.0, 90.0 / 90.0 †"
    )


def test_one_network_stands_under_both_protocols(folder):
    make_run("paper-small", "TESS", 10, "paper").save(folder)
    make_run("paper-small", "TESS", 6, "speaker-independent", n_folds=2, folding="5").save(folder)
    make_run("paper", "TESS", 7, "speaker-independent", folding="5").save(folder)
    make_run("svm-compare", "EMO-DB", 9, "paper").save(folder)

    assert row(page(folder), "paper-small, 2.5 M parameters") == [
        "paper-small, 2.5 M parameters", "TESS", "100.0", "60.0 / 60.0",
        "speaker-independent, 5 folds (1 of 2 folds)", "40.0",
    ]  # fmt: skip
    assert "| paper, 2.5 M" not in page(folder)
    assert "| svm-compare, 2.5 M" not in page(folder)


def test_a_loss_is_said(folder):
    make_run("svm-egemaps", "EMO-DB", 9, "speaker-independent", folding="5").save(folder)
    make_run("compact", "EMO-DB", 7, "speaker-independent", folding="5").save(folder)

    assert re.search(
        r"EMO-DB, speaker-independent, 5 folds: ours \*\*loses to\*\* .*, "
        r"SVM, eGeMAPS: UAR 70\.0 and 90\.0",
        page(folder),
    )


def test_the_memoriser_is_told_in_three_sentences(folder):
    figures = {"corpus": "RAVDESS", "notebook": 0.9981, "clip_grouped": 0.409}
    path = folder / "memoriser.json"
    path.write_text(json.dumps({**figures, "speaker_independent": 0.3}))

    (told,) = (line for line in page(folder).splitlines() if "nearest neighbour" in line)

    assert told.count(". ") == 2
    assert "99.8% of RAVDESS rows" in told
    assert "40.9%" in told
    assert "30.0%" in told


def test_every_look_is_listed(folder):
    looks = json.loads((folder / "looks.json").read_text())["looks"]
    text = page(folder)

    assert len(looks) >= 14
    assert all(look["recipe"] in text for look in looks)


def test_the_readme_keeps_what_is_around_its_table(folder):
    make_run("compact", "RAVDESS", 9).save(folder)
    text = write_results.summary(write_results.Evidence.load(folder))

    new = write_results.with_summary(
        "before\n<!-- results -->\nstale\n<!-- /results -->\nafter", text
    )

    assert new.startswith("before\n<!-- results -->\n| WA / UAR")
    assert new.endswith("\n<!-- /results -->\nafter")
    assert "stale" not in new
    assert "90.0 / 90.0" in new
    assert 'Both 99% and 60% are "accuracy"' in new


def test_a_readme_without_markers_is_refused(folder):
    with pytest.raises(write_results.ConfigError, match="README lacks"):
        write_results.with_summary("nothing", "")


def test_check_writes_nothing_and_says_what_is_stale(folder):
    readme = folder / "README.md"
    readme.write_text("<!-- results --><!-- /results -->")
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "write_results.py"),
        "--results",
        str(folder),
    ]
    command += ["--readme", str(readme)]

    def run(*more):
        return subprocess.run([*command, *more], capture_output=True, text=True, check=False)

    stale = run("--check")
    assert stale.returncode == 1
    assert "RESULTS.md " in stale.stdout
    assert "make results" in stale.stdout
    assert not (folder / "RESULTS.md").exists()
    assert run().returncode == 0
    assert run("--check").returncode == 0
    assert "not run" in readme.read_text()


# --- listeners ----------------------------------------------------------------------------


def test_listeners_of_emo_db_count_for_the_clips_that_are_there(tmp_path):
    (tmp_path / "wav").mkdir()
    for clip in ("03a01Fa", "03a01Nc"):
        (tmp_path / "wav" / f"{clip}.wav").touch()
    (tmp_path / "erkennung.txt").write_bytes(
        b"Nr.\tSatz\terkannt\tnatuerlich\n"
        b"1\xa0\t03a01Ab.wav\t65,00\xa0\xa0\t35,00\n"
        b"2\xa0\t03a01Fa.wav\t90,00\xa0\xa0\t75,00\n"
        b"3\xa0\t03a01Nc.wav\t97,50\xa0\xa0\t95,00\n"
    )

    assert listeners.emo_db_rates(tmp_path) == pytest.approx([0.9, 0.975])
    (tmp_path / "wav" / "03a01Wa.wav").touch()
    with pytest.raises(listeners.CorpusError, match="lacks 03a01Wa"):
        listeners.emo_db_rates(tmp_path)


def test_listeners_of_crema_d_share_ties(tmp_path):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "summaryTable.csv").write_text(
        '"","FileName","VoiceVote"\n"1","1001_IEO_NEU_XX","N"\n'
        '"2","1001_IEO_HAP_LO","N"\n"3","1001_IEO_SAD_LO","N:S"\n"4","1001_IEO_ANG_LO","A:D:N"\n'
    )

    assert listeners.crema_d_shares(tmp_path) == pytest.approx([1, 0, 1 / 2, 1 / 3])


def test_the_committed_figures_are_those_of_the_corpora(corpora_dir, tmp_path):
    out = tmp_path / "listeners.json"
    subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "listeners.py"),
         "--corpora", str(corpora_dir), "--out", str(out)],
        check=True, capture_output=True,
    )  # fmt: skip

    figures = json.loads(out.read_text())
    assert figures == json.loads((ROOT / "results" / "listeners.json").read_text())
    assert figures["EMO-DB"]["recognised"] == pytest.approx(0.935, abs=5e-4)
    assert figures["CREMA-D"]["recognised"] == pytest.approx(0.446, abs=5e-4)
