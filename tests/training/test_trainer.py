"""Training learns, is reproducible, and resumes exactly."""

from __future__ import annotations

import dataclasses
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file, save_file

from edge_ser.errors import TrainingError
from edge_ser.training.checkpoint import BEST, LAST, load_checkpoint, save_checkpoint


def run_through(trainer, epochs=None):
    return list(islice(trainer.epochs(), epochs))


def assert_same_tensors(one, other):
    one, other = load_file(one), load_file(other)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


# --- learning ----------------------------------------------------------------------------


def test_the_corpus_is_learned(trainer):
    history = trainer.history

    assert [epoch.epoch for epoch in history] == list(range(6))
    assert history[-1].train_loss < history[0].train_loss - 0.3
    assert trainer.best.uar > 0.6  # chance is 0.25
    assert trainer.best.uar == max(epoch.uar for epoch in history)
    assert history[0].best


def test_the_kept_weights_are_those_of_the_best_epoch(trainer, job):
    tensors, header = load_checkpoint(trainer.run / BEST)

    assert header["history"][-1] == dataclasses.asdict(trainer.best)
    for name, value in trainer.averaged.state_dict().items():
        assert torch.equal(value, tensors[name])
    scores = trainer.score(job.cut_clips(job.fold.validation))
    assert scores.loss == pytest.approx(trainer.best.validation_loss)


def test_the_average_follows_the_weights(make_trainer, tmp_path):
    trainer = make_trainer(tmp_path / "run")
    before = {name: value.clone() for name, value in trainer.averaged.state_dict().items()}
    run_through(trainer, 1)

    weights = trainer.model.state_dict()
    for name, value in trainer.averaged.named_parameters():
        moved = (value - before[name]).norm()
        assert moved > 0, name
        assert (value - weights[name]).norm() < (before[name] - weights[name]).norm(), name


def test_steps_are_reported(make_trainer, tmp_path):
    trainer, seen = make_trainer(tmp_path / "run"), []
    next(trainer.epochs(lambda *step: seen.append(step)))

    assert seen == [(step, 8) for step in range(1, 9)]  # 64 clips, 8 at a time


# --- the same again ----------------------------------------------------------------------


def test_one_seed_one_result(make_trainer, tmp_path):
    histories = {}
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        torch.manual_seed(len(histories))  # whatever happened before must not matter
        histories[name] = run_through(make_trainer(tmp_path / name, epochs=2, seed=seed))

    assert histories["a"] == histories["b"] != histories["c"]
    assert_same_tensors(tmp_path / "a" / LAST, tmp_path / "b" / LAST)
    assert_same_tensors(tmp_path / "a" / BEST, tmp_path / "b" / BEST)


@pytest.mark.parametrize("stops", [(1,), (3,), (1, 1, 1)])
def test_an_interrupted_training_ends_as_one_that_was_not(make_trainer, tmp_path, stops):
    whole = make_trainer(tmp_path / "whole", epochs=4)
    run_through(whole)

    run_through(make_trainer(tmp_path / "parts", epochs=4), stops[0])
    for n_epochs in (*stops[1:], None):
        torch.manual_seed(99)
        parts = make_trainer(tmp_path / "parts", epochs=4)
        parts.resume()
        run_through(parts, n_epochs)

    assert parts.history == whole.history
    assert_same_tensors(tmp_path / "parts" / LAST, tmp_path / "whole" / LAST)
    assert_same_tensors(tmp_path / "parts" / BEST, tmp_path / "whole" / BEST)


def test_a_training_that_ended_has_nothing_to_go_on_with(make_trainer, tmp_path):
    run_through(make_trainer(tmp_path / "run", epochs=1))

    again = make_trainer(tmp_path / "run", epochs=1)
    again.resume()

    assert len(again.history) == 1
    assert run_through(again) == []


def test_a_training_stopped_before_its_first_checkpoint_begins_again(make_trainer, tmp_path):
    """Its run.json is there, so it cannot be started anew: --resume must take it from the start."""
    make_trainer(tmp_path / "stopped", epochs=1)

    again = make_trainer(tmp_path / "stopped", epochs=1)
    again.resume()

    assert run_through(again) == run_through(make_trainer(tmp_path / "whole", epochs=1))


# --- the end -----------------------------------------------------------------------------


@pytest.mark.parametrize("patience", [1, 3])
def test_training_stops_when_nothing_is_gained(make_trainer, tmp_path, patience, monkeypatch):
    trainer = make_trainer(tmp_path / "run", epochs=10, patience=patience)
    monkeypatch.setattr("edge_ser.training.trainer.unweighted_average_recall", lambda _: 0.5)

    history = run_through(trainer)

    assert [epoch.best for epoch in history] == [True] + [False] * patience
    assert trainer.stale_epochs == patience
    assert trainer.best.epoch == 0


def test_patience_counts_across_a_stop(make_trainer, tmp_path, monkeypatch):
    monkeypatch.setattr("edge_ser.training.trainer.unweighted_average_recall", lambda _: 0.5)
    run_through(make_trainer(tmp_path / "run", epochs=10, patience=3), 2)

    again = make_trainer(tmp_path / "run", epochs=10, patience=3)
    again.resume()

    assert len(run_through(again)) == 2


def test_a_loss_that_is_not_finite_ends_the_training(make_trainer, tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path / "run")
    run_through(trainer, 1)
    before = (tmp_path / "run" / LAST).read_bytes()
    monkeypatch.setattr(trainer, "_loss", lambda *_: trainer.model.head[2].bias.sum() * torch.nan)

    with pytest.raises(TrainingError, match=r"epoch 2 is nan.*--learning-rate"):
        run_through(trainer)

    assert (tmp_path / "run" / LAST).read_bytes() == before


# --- damaged checkpoints -----------------------------------------------------------------


@pytest.fixture
def stopped(make_trainer, tmp_path):
    """A trainer whose run directory holds the checkpoint of one epoch."""
    run_through(make_trainer(tmp_path / "run"), 1)
    return make_trainer(tmp_path / "run")


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_a_truncated_checkpoint_is_named(stopped, size):
    path = stopped.run / LAST
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(TrainingError, match=rf"{path} is damaged"):
        stopped.resume()


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_foreign_safetensors_are_named(stopped, metadata):
    path = stopped.run / LAST
    save_file({"weight": torch.zeros(3)}, path, metadata=metadata)

    with pytest.raises(TrainingError, match=rf"{path} .*`edge-ser train`"):
        stopped.resume()


@pytest.mark.parametrize("header", ["{", "[]", '{"history": [{"epoch": 1}]}', "{}"])
def test_a_checkpoint_with_a_foreign_header_is_named(stopped, header):
    path = stopped.run / LAST
    save_file(load_file(path), path, metadata={"edge_ser.checkpoint": header})

    with pytest.raises(TrainingError, match=str(path)):
        stopped.resume()


@pytest.mark.parametrize("changes", [{"channels": (16, 16, 32)}, {"n_classes": 5}, {"kernel": 3}])
def test_the_checkpoint_of_another_network_is_named(stopped, changes):
    from edge_ser.training.model import CompactAttentionCnn

    record = stopped.record
    other = dataclasses.replace(record.model, **changes)
    stopped.model = CompactAttentionCnn(other, record.normalization)

    with pytest.raises(TrainingError, match=rf"{stopped.run / LAST} .*\bbelong\b"):
        stopped.resume()


def test_the_best_weights_are_no_state_to_go_on_from(stopped):
    (stopped.run / BEST).replace(stopped.run / LAST)

    with pytest.raises(TrainingError, match=rf"{stopped.run / LAST} .*\bbelong\b"):
        stopped.resume()


def test_best_weights_of_another_network_are_named(stopped):
    save_checkpoint(stopped.run / BEST, {"weight": torch.zeros(3)}, {"history": []})

    with pytest.raises(TrainingError, match=str(stopped.run / BEST)):
        stopped.load_best()


def test_checkpoints_keep_every_tensor_and_no_leftovers(tmp_path):
    tensors = {
        "transposed": torch.arange(6.0).reshape(2, 3).T,
        "count": torch.tensor(3),
        "shared": (shared := torch.ones(4)),
        "again": shared[:2],
    }
    save_checkpoint(tmp_path / "x.safetensors", tensors, {"history": [1, "é"]})

    loaded, header = load_checkpoint(tmp_path / "x.safetensors")

    assert header == {"history": [1, "é"]}
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor), name
        assert loaded[name].dtype == tensor.dtype
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]
