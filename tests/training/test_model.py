"""The network: small, for any length, normalising by itself."""

from __future__ import annotations

import pytest
import torch

from edge_ser.card import Normalization
from edge_ser.training.config import TrainConfig
from edge_ser.training.model import (
    AttentiveStatistics,
    ChannelAttention,
    CompactAttentionCnn,
    ModelConfig,
    SpatialAttention,
    count_parameters,
)

PLAIN = Normalization((0.0,) * 40, (1.0,) * 40)
SHORTEST = TrainConfig().frontend.n_frames(8_000)
"""Frames of 0.5 s, the least that is classified."""


@pytest.fixture
def network() -> CompactAttentionCnn:
    torch.manual_seed(0)
    network = CompactAttentionCnn(ModelConfig(), PLAIN)
    network(torch.randn(8, 40, 100))  # some life for the running statistics
    return network.eval()


def test_the_default_network_stays_under_half_a_million_parameters(network):
    n = count_parameters(network)

    assert 100_000 < n < 500_000
    assert n == sum(p.numel() for p in network.parameters())


def test_frozen_parameters_do_not_count(network):
    network.head.requires_grad_(requires_grad=False)
    assert count_parameters(network) < sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("n_frames", [SHORTEST, SHORTEST + 1, 297, 298, 299, 300, 3000])
def test_any_number_of_frames(network, n_frames):
    with torch.inference_mode():
        logits = network(10 * torch.randn(2, 40, n_frames))

    assert logits.shape == (2, 8)
    assert torch.isfinite(logits).all()


def test_examples_of_a_batch_do_not_meet(network):
    x = torch.randn(5, 40, 120)

    with torch.inference_mode():
        together = network(x)
        alone = torch.cat([network(one[None]) for one in x])

    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_the_gradient_reaches_every_parameter(network):
    network.train()
    torch.nn.functional.cross_entropy(network(torch.randn(8, 40, 120)), torch.arange(8)).backward()

    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_normalization_is_the_first_step(network):
    mean = torch.linspace(-300, 50, 40)
    std = torch.linspace(1, 90, 40)
    other = CompactAttentionCnn(
        ModelConfig(), Normalization(tuple(mean.tolist()), tuple(std.tolist()))
    ).eval()
    weights = {n: t for n, t in network.state_dict().items() if n not in ("mean", "inverse_std")}
    other.load_state_dict(weights, strict=False)
    z = torch.randn(3, 40, 150)

    with torch.inference_mode():
        raw = other(z * std[:, None] + mean[:, None])
        torch.testing.assert_close(raw, network(z), rtol=0, atol=1e-4)


def test_normalization_is_not_learned(network):
    assert {"mean", "inverse_std"} <= network.state_dict().keys()
    assert not {"mean", "inverse_std"} & dict(network.named_parameters()).keys()


def test_attentions_only_weigh():
    """What goes out is what came in times a factor in (0, 1), one a channel or one a frame."""
    torch.manual_seed(0)
    x = torch.randn(2, 16, 30)

    by_channel = ChannelAttention(16, 8)(x) / x
    by_frame = SpatialAttention()(x) / x

    torch.testing.assert_close(by_channel, by_channel[:, :, :1].expand(-1, -1, 30))
    torch.testing.assert_close(by_frame, by_frame[:, :1].expand(-1, 16, -1))
    for factor in (by_channel, by_frame):
        assert factor.min() > 0
        assert factor.max() < 1


def test_statistics_of_a_constant_are_its_value_and_no_spread():
    x = torch.linspace(-3, 3, 12)[None, :, None].expand(1, 12, 40)

    mean, std = AttentiveStatistics(12, 4)(x)[0].chunk(2)

    torch.testing.assert_close(mean, x[0, :, 0])
    assert std.max() < 0.01


def test_longer_silence_does_not_make_logits_explode(network):
    with torch.inference_mode():
        logits = network(torch.full((1, 40, 500), -400.0))
    assert torch.isfinite(logits).all()
