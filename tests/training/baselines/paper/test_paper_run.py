"""`edge-ser train --recipe paper` from a shell: run directory, stated leaks, and resuming."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from edge_ser.cli import main
from edge_ser.errors import ConfigError, TrainingError
from edge_ser.metrics import confusion, unweighted_average_recall
from edge_ser.splits import PROTOCOLS, SplitConfig
from edge_ser.training.baselines.paper.features import FeatureRows, Standardizer, prepare
from edge_ser.training.baselines.paper.run import PaperRecord, plan, replan
from edge_ser.training.baselines.paper.settings import PaperConfig
from edge_ser.training.baselines.paper.trainer import PaperNetwork, PaperTrainer
from edge_ser.training.config import RunRecord
from edge_ser.training.job import replan as replan_compact
from edge_ser.training.run_record import recipe_of

posix = pytest.mark.skipif(os.name != "posix", reason="stops a process by a signal")
FILES = {
    "run.json",
    "last.safetensors",
    "weights.safetensors",
    "metrics.json",
    "curves.png",
    "confusion-test.png",
}
HONEST = ("--test-speakers", "s3")


@pytest.fixture(scope="module")
def folder(clips, tmp_path_factory) -> Path:
    """The 24 clips in folders of their own."""
    root = tmp_path_factory.mktemp("few")
    for clip in clips:
        place = root / clip.emotion / clip.path.parent.name / clip.path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip.path, place)
    return root


@pytest.fixture(scope="module")
def settings(small, tmp_path_factory) -> Path:
    """The small settings as --config takes them."""
    path = tmp_path_factory.mktemp("config") / "small.json"
    path.write_text(json.dumps({**dataclasses.asdict(small), "epochs": 9}))
    return path


@pytest.fixture(scope="module")
def arguments(folder, settings) -> tuple[str, ...]:
    options = ("--config", str(settings), "--epochs", "3", "--device", "cpu", "--threads", "1")
    return ("train", "--recipe", "paper", "--corpus", f"folder:synth={folder}", *options)


def shell(*arguments: object) -> tuple[int, str]:
    """Run the command line in this process; return its exit code and its output to stderr."""
    out, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(stderr):
        patched.setattr(sys, "argv", ["edge-ser", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
    assert out.getvalue() == ""
    return stopped.value.code, stderr.getvalue()


@pytest.fixture(scope="module")
def leaky(edge_ser, arguments, tmp_path_factory) -> tuple[Path, str]:
    """A run by the paper's own protocol, and its output to stderr."""
    run = tmp_path_factory.mktemp("runs") / "leaky"
    return run, edge_ser(*arguments, "--protocol", "paper", "--out", run).stderr


@pytest.fixture(scope="module")
def honest(arguments, tmp_path_factory) -> tuple[Path, str]:
    """A run whose test speaker is new, and its output to stderr."""
    run = tmp_path_factory.mktemp("runs") / "honest"
    code, stderr = shell(*arguments, *HONEST, "--out", run)
    assert code == 0
    return run, stderr


@pytest.fixture
def copied(honest, tmp_path) -> Path:
    """A copy of the honest run, to be damaged."""
    return Path(shutil.copytree(honest[0], tmp_path / "copy"))


# --- output ------------------------------------------------------------------------


def test_the_papers_protocol_is_named_for_what_it_is(leaky, folder):
    run, stderr = leaky

    assert "protocol: paper, fold rows" in stderr
    assert "20 test rows (100.0%) " in stderr
    assert PROTOCOLS["paper"].declares in stderr
    (sentence,) = (line for line in stderr.splitlines() if line.startswith("This figure"))
    assert "(20 of 20 test rows)" in sentence
    words = shlex.split(sentence.rpartition(": ")[2])
    assert words[:6] == ["edge-ser", "train", "--recipe", "paper", "--protocol", words[5]]
    assert words[5:] == [
        *("speaker-independent", "--corpus", f"folder:synth={folder}"),
        *("--out", f"{run}-speaker-independent"),
    ]


def test_an_honest_protocol_needs_no_warning(honest):
    _, stderr = honest

    assert "protocol: speaker-independent, fold named" in stderr
    assert "validation     0 clips: none" in stderr
    assert "test           8 clips: synth/s3" in stderr
    (leaks,) = (line for line in stderr.splitlines() if line.startswith("leaks: "))
    assert "%" not in leaks
    assert "This figure" not in stderr


@pytest.mark.parametrize("name", ["leaky", "honest"])
def test_training_reports_its_steps(name, request):
    _, stderr = request.getfixturevalue(name)

    lines = [line.strip() for line in stderr.splitlines()]
    notes = [line for line in lines if line.startswith("differs from the paper")]
    assert [re.findall(r"\d[\d.e-]*", note) for note in notes] == [
        ["8", "256", "2", "1"],
        ["3", "100"],
        ["0.003", "1e-05"],
        ["8", "16", "32"],
    ]
    epochs = [line for line in lines if line.startswith("epoch")]
    assert [line[:11] for line in epochs] == ["epoch   1/3", "epoch   2/3", "epoch   3/3"]
    assert all("loss " in line and "training accuracy " in line for line in epochs)
    assert "edge-ser export" not in stderr


# --- the run directory -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "protocol", "n_test"), [("leaky", "paper", 20), ("honest", "speaker-independent", 8)]
)
def test_the_run_directory(name, protocol, n_test, small, folder, request):
    run, stderr = request.getfixturevalue(name)

    assert {path.name for path in run.iterdir()} == FILES
    record = PaperRecord.load(run)
    assert record.recipe == recipe_of(run) == "paper"
    assert record.config == small  # the option wins over the file
    assert record.corpora == (f"folder:synth={folder}",)
    assert record.labels == ("neutral", "happy", "sad", "angry")
    assert (record.split.protocol, record.split.validation_speakers) == (protocol, "none")
    assert record.validation_speakers == ()
    assert record.leaks.overlaps
    assert [stderr.count(f": {note}\n") for note in record.notes] == [1] * 4
    assert f"{record.length} values" in stderr
    assert f"{record.n_parameters:,} parameters" in stderr
    (figure,) = json.loads((run / "metrics.json").read_text())
    assert (figure["protocol"], figure["split"], figure["n_clips"]) == (protocol, "test", n_test)
    for picture in ("curves.png", "confusion-test.png"):
        assert (run / picture).stat().st_size > 5000


@pytest.mark.parametrize("name", ["leaky", "honest"])
def test_the_weights_alone_give_the_figures(name, request):
    """Nothing that the network needs is lost with the process."""
    run, _ = request.getfixturevalue(name)
    tensors = load_file(run / "weights.safetensors")
    record, fold = PaperRecord.load(run), replan(run).fold
    network = PaperNetwork(record.length, 4, record.config.channels, record.config.stride).eval()
    weights = {n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("net")}
    network.load_state_dict(weights)
    standardize = Standardizer(
        tensors["standardizer.mean"].numpy(), tensors["standardizer.std"].numpy()
    )
    features = FeatureRows(record.config.seed)
    features.compute(fold.test, lambda _: None)

    rows = torch.from_numpy(standardize(features.matrix(fold.test, record.length)))
    with torch.inference_mode():
        answers = network(rows).argmax(1).tolist()

    truth = [record.labels.index(clip.emotion) for clip in fold.test]
    counts = confusion(truth, answers, 4)
    (figure,) = json.loads((run / "metrics.json").read_text())
    assert figure["wa"] == pytest.approx(np.mean(np.array(answers) == truth))
    assert figure["uar"] == pytest.approx(unweighted_average_recall(counts))
    assert list(figure["recall"].values()) == pytest.approx(np.diagonal(counts) / counts.sum(1))
    assert sum(weight.numel() for weight in network.parameters()) == record.n_parameters


def test_an_honest_fold_is_standardised_by_its_training_rows(honest):
    tensors, job = load_file(honest[0] / "weights.safetensors"), replan(honest[0])

    rows = prepare(job.fold, job.labels, True, FeatureRows(), lambda _: None)  # noqa: FBT003

    assert len(rows.train) == 4 * len(job.fold.train) == 64
    assert np.allclose(tensors["standardizer.mean"], rows.standardizer.mean, rtol=1e-5, atol=1e-5)
    assert np.allclose(rows.train.mean(0), 0, atol=1e-4)
    assert not np.allclose(rows.test.mean(0), 0, atol=0.1)


# --- killed ------------------------------------------------------------------------------


def assert_same_run(run: Path, wanted: Path) -> None:
    assert {path.name for path in run.iterdir()} == FILES
    for name in ("run.json", "metrics.json"):
        assert (run / name).read_text() == (wanted / name).read_text()
    for name in ("weights.safetensors", "last.safetensors"):
        one, other = load_file(run / name), load_file(wanted / name)
        assert one.keys() == other.keys()
        for key, tensor in other.items():
            assert torch.equal(one[key], tensor), key


@posix
def test_a_killed_training_ends_as_one_that_was_not(edge_ser, leaky, arguments, tmp_path):
    run = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-m", "edge_ser", *arguments, "--protocol", "paper", "--out", str(run)],
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 100
        while not (run / "last.safetensors").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert not (run / "metrics.json").exists()

    stderr = edge_ser("train", "--resume", "--out", run, "--threads", 1).stderr

    assert "resumed " in stderr
    assert " 3 epochs " in stderr
    assert_same_run(run, leaky[0])


@pytest.fixture
def stopped(arguments, tmp_path, monkeypatch) -> tuple[Path, str]:
    """An honest run in which Ctrl-C was pressed in the second epoch, and its output to stderr."""
    run, train_epoch = tmp_path / "stopped", PaperTrainer._train_epoch

    def interrupted(self, number, on_step):
        if number == 1:
            raise KeyboardInterrupt
        return train_epoch(self, number, on_step)

    with monkeypatch.context() as patched:
        patched.setattr(PaperTrainer, "_train_epoch", interrupted)
        code, stderr = shell(*arguments, *HONEST, "--out", run)
    assert code == 1
    return run, stderr


def test_ctrl_c_reports_how_to_continue(stopped, honest):
    run, stderr = stopped
    assert "edge-ser: stopped after 1 complete epoch(s)" in stderr
    assert f"continue with: edge-ser train --resume --out {run}" in stderr
    assert {path.name for path in run.iterdir()} == {"run.json", "last.safetensors"}

    code, stderr = shell("train", "--resume", "--out", run, "--threads", 1)

    assert code == 0
    assert re.search(r"\bresumed .*\bepoch 1\b", stderr)
    assert "epoch   1/3" not in stderr
    assert_same_run(run, honest[0])


def test_a_run_that_ended_is_measured_again(honest, copied):
    (copied / "metrics.json").unlink()

    code, stderr = shell("train", "--resume", "--out", copied, "--threads", 1)

    assert code == 0
    assert re.search(r"\bresumed .*\bepoch 3\b", stderr)
    assert "loss" not in stderr
    assert_same_run(copied, honest[0])


def test_a_changed_corpus_is_refused(copied, folder, tmp_path):
    root = Path(shutil.copytree(folder, tmp_path / "corpus"))
    text = (copied / "run.json").read_text()
    (copied / "run.json").write_text(text.replace(str(folder), str(root)))
    replan(copied)
    (root / "sad" / "s1" / "0.wav").unlink()

    code, stderr = shell("train", "--resume", "--out", copied)

    assert code == 1
    assert f" {copied} " in stderr
    assert f"(folder:synth={root})" in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("damage", "values"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), ("last.safetensors ", "damaged")),
        (
            lambda path: save_file({"a": torch.ones(1)}, path),
            ("last.safetensors ", "`edge-ser train`"),
        ),
        (
            lambda path: (path.parent / "weights.safetensors").replace(path),
            ("last.safetensors ", "belong"),
        ),
        (
            lambda path: edit(path.parent / "run.json", '"learning_rate": 0.003', "0.004"),
            ("last.safetensors ", "belong", "settings"),
        ),
        (
            lambda path: edit(path.parent / "run.json", '"channels": 8', '"8"'),
            ("run.json ", "channels is '8'"),
        ),
    ],
    ids=["cut", "foreign", "weights", "settings", "record"],
)
def test_what_does_not_belong_to_the_run_is_named(copied, damage, values):
    damage(copied / "last.safetensors")

    code, stderr = shell("train", "--resume", "--out", copied, "--threads", 1)

    assert code == 1
    assert [value for value in values if value not in stderr] == []
    assert str(copied) in stderr.splitlines()[-1]


def edit(path: Path, fact: str, value: str) -> None:
    """Give another value to a fact of a JSON file."""
    text = path.read_text()
    assert text.count(fact) == 1
    path.write_text(text.replace(fact, f"{fact.partition(':')[0]}: {value}"))


# --- refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (("--patience", "3"), ["--patience", "--epochs"]),
        (("--resume",), ["--resume", "--out"]),
        (("--validation-speakers", "s1"), ["--validation-speakers s1 "]),
        (("--validation-speakers", "drawn"), ["--validation-speakers drawn "]),
        (("--test-speakers", "none"), ["--test-speakers"]),
        (("--learning-rate", "2"), ["learning_rate", "2.0"]),
        (("--protocol", "emobox"), ["EmoBox", " synth ", "RAVDESS, SAVEE, EMOVO"]),
        (("--labels", "sad,joyful"), [" joyful", "neutral, happy, sad, angry"]),
    ],
    ids=lambda value: "-".join(value).strip("-") if isinstance(value, tuple) else "",
)
def test_options_that_the_recipe_has_no_use_for(arguments, tmp_path, options, values):
    code, stderr = shell(*arguments, *options, "--out", tmp_path / "run")

    assert code == 2
    assert [value for value in values if value not in stderr] == []
    assert not (tmp_path / "run").exists()


def test_settings_of_the_other_recipe_are_refused(arguments, tmp_path):
    (tmp_path / "compact.json").write_text('{"patience": 3}')

    code, stderr = shell(
        *arguments, "--config", tmp_path / "compact.json", "--out", tmp_path / "run"
    )

    assert code == 2
    assert "/compact.json " in stderr
    assert " patience" in stderr


def test_a_run_is_not_overwritten(arguments, copied):
    before = {path: path.read_bytes() for path in copied.iterdir()}

    code, stderr = shell(*arguments, "--out", copied)

    assert code == 1
    assert f" {copied} " in stderr
    assert "--resume" in stderr
    assert {path: path.read_bytes() for path in copied.iterdir()} == before


def test_a_clip_that_ends_too_early_leaves_no_run(arguments, folder, tmp_path):
    root = Path(shutil.copytree(folder, tmp_path / "corpus"))
    soundfile.write(root / "sad" / "s3" / "0.wav", np.full(9_000, 0.1), 16_000)
    words = [word.replace(str(folder), str(root)) for word in arguments]

    code, stderr = shell(*words, *HONEST, "--out", tmp_path / "run")

    assert code == 1
    assert f" {root / 'sad' / 's3' / '0.wav'} " in stderr.splitlines()[-1]
    assert " 0.6 s " in stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_several_processes_are_refused(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")

    code, stderr = shell(*arguments, "--out", tmp_path / "run")

    assert code == 2
    assert "got 2" in stderr
    assert "torchrun" in stderr


def test_such_a_run_is_not_exported(honest, tmp_path):
    code, stderr = shell("export", honest[0], "--out", tmp_path / "model.onnx")

    assert code == 1
    assert stderr.startswith(f"edge-ser: {honest[0]} ")
    assert "librosa" in stderr
    assert "--recipe compact" in stderr
    assert list(tmp_path.iterdir()) == []


def test_the_runs_of_two_recipes_are_not_confused(honest, trained):
    assert recipe_of(trained) == "compact"
    with pytest.raises(TrainingError, match=rf"{honest[0]}: .*\bcompact\b.*\bpaper\b"):
        replan_compact(honest[0])
    with pytest.raises(TrainingError, match=rf"{trained}: .*\bpaper\b.*\bcompact\b"):
        replan(trained)


def test_a_run_from_before_there_were_recipes_is_compact(run_copy):
    text = (run_copy / "run.json").read_text()
    (run_copy / "run.json").write_text(text.replace('"recipe": "compact",', ""))

    assert "recipe" not in json.loads((run_copy / "run.json").read_text())
    assert recipe_of(run_copy) == "compact"
    assert RunRecord.load(run_copy).recipe == "compact"


# --- the plan ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "split",
    [
        SplitConfig(),
        SplitConfig(validation_speakers="none"),
        SplitConfig(folds="leave-one-speaker-out", fold="s2"),
        SplitConfig("clip-grouped", fold="4"),
        SplitConfig("paper"),
    ],
    ids=lambda split: f"{split.protocol} {split.folds} {split.validation_speakers}",
)
def test_every_protocol_goes_without_validation(folder, split):
    job = plan([f"folder:synth={folder}"], PaperConfig(seed=7), split=split)

    assert job.fold.protocol == split.protocol
    assert job.fold.validation == ()
    assert job.fold.test
    assert job.notes == ()


def test_the_seed_decides_who_is_drawn(folder):
    tested = {
        job.fold.test[0].speaker
        for job in (plan([f"folder:synth={folder}"], PaperConfig(seed=seed)) for seed in range(9))
    }

    assert len(tested) > 1


def test_validation_is_refused_by_the_library_too(folder):
    with pytest.raises(ConfigError, match="--validation-speakers s1"):
        plan([f"folder:synth={folder}"], PaperConfig(), split=SplitConfig(validation_speakers="s1"))
