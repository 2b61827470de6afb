"""Training on a CUDA device: `make gpu-test`. Not part of the suite, which needs no GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import skip_or_fail

from edge_ser.training.checkpoint import LAST
from edge_ser.training.export import export
from edge_ser.training.job import finish, start

pytestmark = pytest.mark.gpu


@pytest.fixture
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        skip_or_fail("torch sees no CUDA device")
    return torch.device("cuda")


def test_training_on_cuda_learns_and_exports(job, tmp_path, cuda):
    trainer = start(job, tmp_path / "run", cuda)
    history = list(trainer.epochs())
    accuracies, _ = finish(job, trainer)
    _, parity = export(tmp_path / "run", tmp_path / "model.onnx", gate_clips=8)

    assert next(trainer.model.parameters()).is_cuda
    assert history[-1].train_loss < history[0].train_loss
    assert max(a.uar for a in accuracies) > 0.5, "four classes: chance is 0.25"
    assert parity.max_difference <= 1e-4


def test_cuda_and_cpu_score_the_same_weights_alike(job, trained, tmp_path, cuda):
    scores = []
    for device in (torch.device("cpu"), cuda):
        run = tmp_path / device.type
        run.mkdir()
        for file in trained.iterdir():
            (run / file.name).write_bytes(file.read_bytes())
        trainer = start(job, run, device, resume=True)
        trainer.load_best()
        scores.append(trainer.score(job.cut_clips(job.fold.validation)).probs)

    np.testing.assert_allclose(scores[0], scores[1], atol=2e-3)


def test_a_stopped_cuda_training_resumes(job, tmp_path, cuda):
    trainer = start(job, tmp_path / "run", cuda)
    epochs = trainer.epochs()
    first = [next(epochs), next(epochs)]
    epochs.close()
    resumed = start(job, tmp_path / "run", cuda, resume=True)

    assert resumed.history == first
    assert len([*resumed.epochs()]) == job.config.epochs - 2
    assert (tmp_path / "run" / LAST).is_file()


def test_auto_takes_cuda(corpus, edge_ser, tmp_path, cuda):
    done = edge_ser("train", "--corpus", corpus, "--epochs", 2, "--out", tmp_path / "run")

    assert f"on {cuda.type}" in done.stderr
