"""torchrun: several processes train like one, and end together."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import ROOT
from team_worker import N_CLIPS, plain_trainer

from edge_ser.errors import ConfigError, TrainingError
from edge_ser.training.config import RunRecord
from edge_ser.training.distillation.teacher import WIDTH
from edge_ser.training.distributed import SINGLE_PROCESS, ProcessGroup, find_process_group
from edge_ser.training.export import export
from edge_ser.training.job import start
from edge_ser.training.model import ModelConfig

CPU = torch.device("cpu")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def begin(*arguments: object) -> subprocess.Popen:
    """Start a script or module in two processes."""
    return subprocess.Popen(
        [*TORCHRUN, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
    )


def train(*arguments: object) -> tuple[int, str]:
    """Run `edge-ser train` in two processes, return exit code and messages."""
    with begin("-m", "edge_ser", "train", *arguments, "--threads", 1, "--device", "cpu") as process:
        _, messages = process.communicate(timeout=200)
    return process.returncode, messages


@pytest.fixture(scope="module")
def options(corpus, config, tmp_path_factory) -> tuple[object, ...]:
    settings = tmp_path_factory.mktemp("config") / "small.json"
    settings.write_text(json.dumps(dataclasses.asdict(dataclasses.replace(config, epochs=3))))
    speakers = ("--test-speakers", "s6", "--validation-speakers", "s3")
    return ("--corpus", corpus, *speakers, "--config", settings)


@pytest.fixture(scope="module")
def together(options, tmp_path_factory) -> tuple[Path, str]:
    """A run trained by two processes, and what was printed."""
    run = tmp_path_factory.mktemp("together") / "run"
    code, messages = train(*options, "--out", run)
    assert code == 0, messages
    return run, messages


# --- a training by two -------------------------------------------------------------------


def test_only_the_main_process_prints_and_writes(together, trained):
    run, messages = together

    assert {path.name for path in run.iterdir()} == {path.name for path in trained.iterdir()}
    for text in ("synth: 96 clips", "on cpu, 2 processes", "epoch   3/3", "kept: epoch"):
        assert messages.count(text) == 1, messages
    assert messages.count("validation: loss") == 3
    assert RunRecord.load(run).processes == 2


def test_what_they_trained_is_exported(together, tmp_path):
    card, parity = export(together[0], tmp_path / "model.onnx", gate_clips=8)

    assert parity.max_difference < parity.tolerance
    assert [a.split for a in card.accuracy] == ["validation", "test"]
    assert max(a.uar for a in card.accuracy) > 0.4, "chance is 0.25"


def test_stopped_together_they_resume_to_the_same_result(together, options, tmp_path):
    run = tmp_path / "run"
    with begin(
        "-m", "edge_ser", "train", *options, "--threads", 1, "--device", "cpu", "--out", run
    ) as process:
        deadline = time.monotonic() + 100
        while not (run / "last.safetensors").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=100)
    assert process.returncode != 0
    assert messages.count("complete epoch(s); continue with: edge-ser train --resume") == 1, (
        messages
    )
    assert messages.count("edge-ser: ") == 1
    assert not (run / "metrics.json").exists()

    code, messages = train("--resume", "--out", run)

    assert code == 0, messages
    assert messages.count("resumed ") == 1
    for name in ("last.safetensors", "best.safetensors"):
        one, other = load_file(run / name), load_file(together[0] / name)
        assert all(torch.equal(one[key], other[key]) for key in other), name


def test_a_damaged_clip_is_reported_once_and_ends_all_processes(corpus_dir, options, tmp_path):
    root = Path(shutil.copytree(corpus_dir, tmp_path / "corpus"))
    clip = root / "sad" / "s6" / "0.wav"
    clip.write_bytes(clip.read_bytes()[:-1000])

    corpus = ("--corpus", f"folder:synth={root}")
    code, messages = train(*corpus, *options[2:], "--out", tmp_path / "run")

    assert code != 0
    assert messages.count(f"edge-ser: {clip}") == 1, messages
    assert messages.count("edge-ser: ") == 1
    assert not (tmp_path / "run").exists()


# --- what one would do -------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_record(trained, config):
    """The record of a training without anything drawn, of a tiny network with a teacher."""
    record = RunRecord.load(trained)
    still = dataclasses.replace(config.augment, speeds=(1.0,), mixup_alpha=0.0)
    return dataclasses.replace(
        record,
        config=dataclasses.replace(
            config, epochs=2, teacher_weight=1.0, batch_size=7, augment=still, learning_rate=0.1
        ),
        model=ModelConfig(
            n_features=config.frontend.n_features,
            n_classes=4,
            channels=(16, 16),
            strides=(1, 2),
            attention_channels=8,
            embedding=WIDTH,
        ),
    )


@pytest.fixture(scope="module")
def both(plain_record, tmp_path_factory) -> tuple[Path, dict, dict]:
    """The run directory that two processes wrote, and what each of them found."""
    run = tmp_path_factory.mktemp("both")
    plain_record.save(run)
    with begin("-m", "tests.team_worker", run) as process:
        _, messages = process.communicate(timeout=200)
    assert process.returncode == 0, messages
    return run, *(json.loads((run / f"rank-{rank}.json").read_text()) for rank in (0, 1))


def test_each_process_of_a_group_receives_its_shard_and_the_means(both):
    _, lead, other = both

    assert (lead["shard"], other["shard"]) == ([0, 2, 4], [1, 3])
    for found in (lead, other):
        assert found["mean"] == 1.5
        assert found["average"] == [[0.5, 1.0], [[2.0]]]
        assert found["broadcast"] == {"from": 0}
        assert " 2 processes " in found["different"]


def test_two_processes_take_the_steps_of_one(both, plain_record, tmp_path):
    """Also with slices of 4 and 3 clips, rare classes and clips that are mostly silent."""
    run, lead, other = both
    plain_record.save(tmp_path)
    alone = plain_trainer(tmp_path)
    before = {name: value.clone() for name, value in alone.model.named_parameters()}

    losses = [epoch.train_loss for epoch in alone.epochs()]

    assert lead["losses"] == other["losses"] == pytest.approx(losses, rel=1e-5)
    after = {name: value.detach() for name, value in alone.model.named_parameters()}
    weights = load_file(run / "last.safetensors")
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    # Softmax over time does not feel this one: its gradient is zero but for rounding.
    assert set(before) - changed <= {"pool.score.2.bias"}
    for name, value in after.items():
        torch.testing.assert_close(value, weights[f"model.{name}"], rtol=1e-4, atol=1e-6)


def test_each_clip_is_processed_once_and_augmented_by_its_own_numbers(both):
    _, lead, other = both

    for epoch in (slice(0, 3), slice(3, 6)):
        clips = [c for found in (lead, other) for step in found["clips"][epoch] for c in step]
        assert len(clips) == len(set(clips)) == 21
        assert set(clips) < set(range(N_CLIPS))
    assert [len(step) for step in lead["clips"]] == [4] * 6
    for k in (0, 1):  # of the generator that is handed on, and of the global one
        drawn = [pair[k] for found in (lead, other) for pair in found["numbers"]]
        assert len(set(drawn)) == 12


# --- alone, and refused ------------------------------------------------------------------


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("RANK", "1")  # others than torchrun set it too
    batch = torch.arange(4)

    assert find_process_group() == SINGLE_PROCESS == ProcessGroup(rank=0, size=1)
    assert SINGLE_PROCESS.is_main
    assert torch.equal(SINGLE_PROCESS.shard(batch), batch)
    assert SINGLE_PROCESS.mean(batch) is batch
    with SINGLE_PROCESS.connected(CPU):
        assert not torch.distributed.is_initialized()


def test_rank_and_size_are_torchruns(monkeypatch):
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID")
    for name, value in zip(names, ("5", "8", "1", "4", "none"), strict=True):
        monkeypatch.setenv(name, value)

    assert find_process_group() == ProcessGroup(rank=5, size=8, local_rank=1, local_size=4)
    assert not find_process_group().is_main


@pytest.mark.parametrize(("batch_size", "size"), [(8, 5), (2, 2), (100, 33)])
def test_batches_too_small_for_the_group_are_refused(job, tmp_path, batch_size, size):
    """64 clips are trained on, so a batch of 100 is one of 64."""
    small = dataclasses.replace(job, config=dataclasses.replace(job.config, batch_size=batch_size))

    with pytest.raises(ConfigError, match=rf"\b{size} processes.*--batch-size {2 * size}\b"):
        start(small, tmp_path / "run", CPU, group=ProcessGroup(size=size))

    assert not (tmp_path / "run").exists()


def test_a_run_of_one_process_is_not_resumed_by_two(job, run_copy):
    with pytest.raises(TrainingError, match=r"\b1 process\(es\).*got 2\b"):
        start(job, run_copy, CPU, resume=True, group=ProcessGroup(size=2))


def test_more_processes_than_gpus_are_refused(monkeypatch):
    from edge_ser.cli._shared.training_session import choose_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    assert choose_device("auto", 1, ProcessGroup(1, 2, 1, 2)) == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match=r"\b3 processes\b.*\b2 CUDA\b"):
        choose_device("cuda", 1, ProcessGroup(0, 3, 0, 3))


def test_a_lost_process_is_an_error_of_the_training(monkeypatch):
    def lose(*_: object) -> None:
        raise RuntimeError("[pair.cc:534] Connection closed by peer. More\nand more")

    monkeypatch.setattr(torch.distributed, "all_reduce", lose)

    with pytest.raises(TrainingError, match=r"\bpeer\).*--resume"):
        ProcessGroup(size=2).mean(torch.zeros(1))
