"""The arousal head: targets from labels, a loss of known ones alone, an output in the file."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.splits import SplitConfig
from edge_ser.training.arousal import arousal_loss, arousal_targets
from edge_ser.training.export import export
from edge_ser.training.job import finish, plan, start


def test_targets_follow_the_labels():
    targets = arousal_targets(["angry", "sad", "surprised", "calm", "puzzled"])

    assert targets[:4].tolist() == [1, 0, 1, 0]
    assert targets[4].isnan()


def test_the_loss_is_that_of_known_targets():
    logits = torch.tensor([[2.0], [-1.0], [5.0]])
    loss = arousal_loss(logits, torch.tensor([1.0, 0.0, float("nan")]))

    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    assert float(loss) == pytest.approx(expected)


def test_nothing_known_costs_nothing():
    assert float(arousal_loss(torch.ones(2, 1), torch.full((2,), float("nan")))) == 0


@pytest.fixture(scope="module")
def run(corpus, config, tmp_path_factory):
    settings = dataclasses.replace(config, arousal_weight=1.0, baseline_share=0.5, epochs=4)
    split = SplitConfig(test_speakers="s6", validation_speakers="s3")
    job = plan([corpus], settings, labels="neutral,happy,sad", split=split)
    path = tmp_path_factory.mktemp("arousal") / "run"
    trainer = start(job, path, torch.device("cpu"))
    list(trainer.epochs())
    finish(job, trainer)
    return job, trainer


def test_clips_of_other_emotions_teach_the_arousal(run):
    job, trainer = run

    assert {clip.emotion for clip in job.extra} == {"angry"}
    assert {clip.speaker for clip in job.extra} == {clip.speaker for clip in job.fold.train}
    assert (trainer._classes.targets == -1).sum() == len(job.extra)
    (use,) = trainer.record.used
    assert use.n_clips == len(job.fold.train) + len(job.extra)


def test_the_arousal_is_learned(run):
    _, trainer = run
    scores = trainer.score(trainer.scored["test"])

    happy = [place for place, truth in enumerate(scores.truth) if truth == 1]
    calm = [place for place, truth in enumerate(scores.truth) if truth != 1]
    assert scores.arousal[happy].mean() > scores.arousal[calm].mean()


def test_the_file_gives_the_arousal(run, tmp_path):
    _, trainer = run
    card, parity = export(trainer.run, tmp_path / "model.onnx", gate_clips=4)
    runner = OnnxRunner(tmp_path / "model.onnx")

    output = runner.infer(np.random.default_rng(0).normal(size=(2, 20, 60)).astype(np.float32))

    assert card.arousal
    assert parity.max_difference <= parity.tolerance
    assert output.logits.shape == (2, 3)
    assert output.arousal.shape == (2,)
    assert ((output.arousal >= 0) & (output.arousal <= 1)).all()
