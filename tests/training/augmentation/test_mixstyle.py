"""MixStyle: statistics of another example, the same shape over time."""

from __future__ import annotations

import torch

from edge_ser.training.augmentation.augment import MixStyle


def batch():
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1.0, 5.0, 0.2, 2.0])[:, None, None]
    return scale * torch.randn(4, 3, 50, generator=generator) + scale


def test_a_share_of_zero_changes_nothing():
    x = batch()
    torch.testing.assert_close(MixStyle(0.0, torch.Generator().manual_seed(1))(x), x)


def test_statistics_change_and_the_course_does_not():
    x = batch()
    mixed = MixStyle(1.0, torch.Generator().manual_seed(3))(x)

    changed = (mixed.mean(2) - x.mean(2)).abs().amax(1) > 0.1
    assert changed.any()
    for before, after in zip(x, mixed, strict=True):
        for one, other in zip(before, after, strict=True):
            assert torch.corrcoef(torch.stack([one, other]))[0, 1] > 0.999


def test_statistics_lie_between_those_of_the_batch():
    x = batch()
    means = MixStyle(1.0, torch.Generator().manual_seed(3))(x).mean(2)

    assert (means >= x.mean(2).amin(0) - 1e-4).all()
    assert (means <= x.mean(2).amax(0) + 1e-4).all()


def test_one_generator_one_result():
    results = [MixStyle(0.5, torch.Generator().manual_seed(5))(batch()) for _ in range(2)]
    assert torch.equal(*results)
