"""The paper's training: the loss of Keras, and equal results after an interruption."""

from __future__ import annotations

import dataclasses
import re
from itertools import islice

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from edge_ser.errors import ConfigError, TrainingError
from edge_ser.training.baselines.paper.settings import PaperConfig
from edge_ser.training.baselines.paper.trainer import PaperNetwork, PaperTrainer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data():
    """Three classes with a bump at different positions, [33, 60]."""
    rng = np.random.default_rng(0)
    targets = tuple(i % 3 for i in range(33))
    rows = rng.normal(scale=0.3, size=(33, 60)).astype(np.float32)
    for row, target in zip(rows, targets, strict=True):
        row[15 + 10 * target : 25 + 10 * target] += 2
    return rows, targets


@pytest.fixture
def make(data, small, tmp_path):
    def make_trainer(name="run", rows=data[0], **changes):
        config = dataclasses.replace(small, **changes)
        return PaperTrainer(
            config, rows, data[1], 3, CPU, tmp_path / f"{name}.safetensors", {"labels": ("a", "b")}
        )

    return make_trainer


def run(trainer, epochs=None):
    return [dataclasses.replace(e, seconds=0) for e in islice(trainer.epochs(), epochs)]


# --- learning ----------------------------------------------------------------------------


def test_the_rows_are_learned(make, data):
    trainer, shares = make(epochs=12, learning_rate=1e-2), []
    # 33 rows, 8 at a time: the last one alone is left out.
    history = list(trainer.epochs(shares.append))

    assert shares == pytest.approx([n / 48 for n in range(1, 49)])
    assert history[-1].loss < history[0].loss / 2
    probs = trainer.predict(data[0])
    assert probs.shape == (33, 3)
    assert np.allclose(probs.sum(1), 1)
    assert (probs.argmax(1) == data[1]).mean() > 0.9


def test_a_step_descends_the_loss_that_keras_has(make, data):
    """Cross-entropy + 1e-3 * the squares of the three regularised kernels, by Adam."""
    trainer = make(batch_size=33, epochs=1, learning_rate=1e-2)
    # Twice the weights: the squares must matter beside the cross-entropy.
    with torch.no_grad():
        for weight in trainer.network.regularized:
            weight.mul_(2)
    network = PaperNetwork(60, 3, channels=8, stride=2)
    network.load_state_dict(trainer.network.state_dict())
    order = torch.randperm(33, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    logits = network(torch.from_numpy(data[0])[order])
    kernels = [network.convolutions[0].weight, network.convolutions[3].weight, network.dense.weight]
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(data[1])[order])
    (loss + 1e-3 * sum((k**2).sum() for k in kernels)).backward()

    (epoch,) = run(trainer)

    assert epoch.loss == pytest.approx(loss.item())
    for name, parameter in network.named_parameters():
        gradient = parameter.grad
        # Adam's first step, its moments corrected: the learning rate times the gradient's sign.
        expected = parameter - 1e-2 * gradient / (gradient.abs() + 1e-7)
        moved = dict(trainer.network.named_parameters())[name]
        clear = gradient.abs() > 1e-5
        assert clear.any(), name
        assert torch.allclose(moved[clear], expected[clear], atol=1e-4), name


@pytest.mark.parametrize("bf16", [False, True])
def test_one_seed_one_result(make, data, bf16):
    results = {}
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        torch.manual_seed(len(results))  # whatever happened before must not matter
        trainer = make(name, seed=seed, bf16=bf16)
        results[name] = (run(trainer), trainer.predict(data[0]).tolist())

    assert results["a"] == results["b"]
    assert results["a"] != results["c"]


def test_bfloat16_comes_near_float32(make, data):
    losses = [run(make(str(bf16), bf16=bf16, epochs=1))[0].loss for bf16 in (False, True)]

    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_a_loss_that_is_not_finite_ends_the_training(make, data):
    rows = data[0].copy()
    rows[5, 5] = np.nan

    with pytest.raises(TrainingError, match="epoch 1 is nan"):
        run(make(rows=rows))


def test_one_row_is_too_few(small):
    with pytest.raises(TrainingError, match="1 row"):
        PaperTrainer(small, np.zeros((1, 60), np.float32), (0,), 3, CPU)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("channels", 0),
        ("stride", 0),
        ("epochs", 0),
        ("learning_rate", 1.0),
        ("batch_size", 1),
        ("seed", -1),
    ],
)
def test_settings_that_cannot_work_are_refused(field, value):
    with pytest.raises(ConfigError, match=rf"(?=.*\b{field}\b).*{re.escape(repr(value))}"):
        PaperConfig(**{field: value})


# --- interrupted -------------------------------------------------------------------------


@pytest.mark.parametrize("stops", [(1,), (1, 1)])
def test_an_interrupted_training_ends_as_one_that_was_not(make, data, stops):
    whole = make("whole")
    history = run(whole)

    run(make("parts"), stops[0])
    for n_epochs in (*stops[1:], None):
        torch.manual_seed(99)
        parts = make("parts")
        parts.resume()
        run(parts, n_epochs)

    assert [dataclasses.replace(e, seconds=0) for e in parts.history] == history
    assert np.array_equal(parts.predict(data[0]), whole.predict(data[0]))
    one, other = load_file(whole.checkpoint), load_file(parts.checkpoint)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_there_is_nothing_to_resume_before_the_first_epoch(make):
    trainer = make()
    trainer.resume()

    assert trainer.history == []


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_truncated_checkpoint_is_named(make, size):
    run(make(), 1)
    path = make().checkpoint
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(TrainingError, match=rf"{path} is damaged"):
        make().resume()


def test_the_checkpoint_of_another_training_is_named(make, data, small):
    path = make().checkpoint
    run(make(), 1)
    other = PaperTrainer(small, *data, 3, CPU, path, {"labels": ("a", "c")})

    with pytest.raises(TrainingError, match=rf"{path} .*\bsettings\b"):
        other.resume()


@pytest.mark.parametrize("changes", [{"channels": 9}, {"stride": 1}])
def test_the_checkpoint_of_another_network_is_named(make, changes):
    run(make(), 1)

    other = make(**changes)
    with pytest.raises(TrainingError, match=rf"{other.checkpoint} .*\bPaperNetwork\b"):
        other.resume()


@pytest.mark.parametrize("header", ["{}", "[]", '{"identity": {"labels": ["a", "b"]}}'])
def test_a_foreign_header_is_named(make, header):
    run(make(), 1)
    path = make().checkpoint
    save_file(load_file(path), path, metadata={"edge_ser.checkpoint": header})

    with pytest.raises(TrainingError, match=str(path)):
        make().resume()
