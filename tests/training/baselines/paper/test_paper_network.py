"""The paper's network: its number of parameters, and equality with its layers written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from edge_ser.training.baselines.paper.trainer import PaperNetwork
from edge_ser.training.model import count_parameters


def count_with_statistics(model):
    """Return the number of parameters as Keras counts: batch norm's moving statistics included."""
    statistics = sum(b.numel() for b in model.buffers() if b.is_floating_point())
    return sum(p.numel() for p in model.parameters()) + statistics


@pytest.fixture(scope="module")
def full():
    with torch.device("meta"):
        return PaperNetwork(2268, 7)


def test_the_network_has_the_papers_size(full):
    assert count_with_statistics(full) == 37_434_661
    assert count_parameters(full) == 37_433_509
    assert count_parameters(full.channel_attention) == 8_464
    assert count_parameters(full.spatial_attention) == 14
    assert full.dense.weight.numel() / count_with_statistics(full) == pytest.approx(0.987, abs=5e-4)


def test_the_size_follows_the_length():
    with torch.device("meta"):
        tess, small = PaperNetwork(2060, 7), PaperNetwork(2268, 7, channels=32, stride=2)

    assert count_with_statistics(tess) == 37_434_661 - (2268 - 2060) * 256 * 64
    assert round(count_with_statistics(tess) / 1e6, 1) == 34.0
    assert count_parameters(small) == pytest.approx(1.16e6, rel=0.01)


def test_it_starts_and_normalises_as_keras():
    torch.manual_seed(0)
    network = PaperNetwork(100, 7, channels=16)

    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            assert (module.eps, module.momentum) == (1e-3, pytest.approx(1 - 0.99))
        if isinstance(module, torch.nn.Conv1d | torch.nn.Linear):
            width, height = module.weight.shape[:2]
            taps = module.weight[0, 0].numel() if module.weight.ndim == 3 else 1
            limit = np.sqrt(6 / (taps * (width + height)))
            assert module.weight.abs().max() <= limit
            assert module.weight.numel() < 100 or module.weight.abs().max() > 0.9 * limit
            assert module.bias is None or not module.bias.any()


def keras_forward(network, rows, stride):
    """Return logits by NumPy in Keras' layout: [batch, time, channels]."""
    state = {name: value.double().numpy() for name, value in network.state_dict().items()}

    def norm(x, name):
        scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + 1e-3)
        return (x - state[f"{name}.running_mean"]) * scale + state[f"{name}.bias"]

    def relu(x):
        return np.maximum(x, 0)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    x = rows[:, :, None].astype(float)
    for conv, batch_norm in (
        ("convolutions.0", "convolutions.2"),
        ("convolutions.3", "convolutions.5"),
    ):
        windows = sliding_window_view(x, 7, axis=1)[:, ::stride]
        x = np.einsum("btik,oik->bto", windows, state[f"{conv}.weight"]) + state[f"{conv}.bias"]
        x = norm(relu(x), batch_norm)
    first, second = (state[f"channel_attention.mlp.{i}.weight"][:, :, 0] for i in (0, 2))
    biases = [state[f"channel_attention.mlp.{i}.bias"] for i in (0, 2)]
    gates = [relu(s @ first.T + biases[0]) @ second.T + biases[1] for s in (x.mean(1), x.max(1))]
    x = x * sigmoid(gates[0] + gates[1])[:, None]
    summary = np.pad(np.stack([x.mean(2), x.max(2)], 2), ((0, 0), (3, 3), (0, 0)))
    weight = state["spatial_attention.conv.weight"][0]
    x = (
        x
        * sigmoid(np.einsum("btik,ik->bt", sliding_window_view(summary, 7, axis=1), weight))[
            ..., None
        ]
    )
    x = relu(x.reshape(len(x), -1) @ state["dense.weight"].T + state["dense.bias"])
    return norm(x, "norm") @ state["output.weight"].T + state["output.bias"]


@pytest.mark.parametrize("stride", [1, 2])
def test_logits_are_those_of_the_layers_written_out(stride):
    torch.manual_seed(stride)
    network = PaperNetwork(61, 5, channels=32, stride=stride)
    for name, value in network.state_dict().items():
        if "running" in name or name.endswith("bias") or "norm.weight" in name:
            value.uniform_(0.2, 1.5)
    rows = torch.randn(4, 61)

    logits = network.eval()(rows).detach().numpy()

    assert np.allclose(logits, keras_forward(network, rows.numpy(), stride), atol=1e-4)


def test_dropout_is_for_training_only():
    torch.manual_seed(0)
    network, rows = PaperNetwork(61, 5, channels=8), torch.randn(4, 61)

    assert not torch.equal(network(rows), network(rows))
    network.eval()
    assert torch.equal(network(rows), network(rows))
