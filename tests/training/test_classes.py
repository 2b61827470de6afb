"""Labels that not every corpus has: what a clip's corpus lacks takes no part in its loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.training.classes import Classes, masked_cross_entropy

LOGITS = torch.tensor([[2.0, -1.0, 0.5, 1.0], [0.1, 0.3, -2.0, 4.0]])
TRUTH = torch.eye(4)[[0, 2]]
ALL = torch.ones(2, 4)


def mean_loss(*arguments):
    total, weight = masked_cross_entropy(*arguments)
    return total / weight


def test_rare_classes_weigh_more():
    targets = [0] * 16 + [1] * 4 + [2]

    weights = Classes.of(targets, [(True,) * 3] * 21).weights

    assert weights.mean() == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(2)
    assert weights[2] / weights[0] == pytest.approx(4)


def test_truth_and_what_could_be():
    classes = Classes.of([1, 0], [(True, True, False), (True, False, True)])

    truth, possible = classes.one_hot(torch.tensor([1, 0])).unbind(1)

    assert truth.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert possible.tolist() == [[1, 0, 1], [1, 1, 0]]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_with_all_labels_it_is_the_usual_loss(smoothing):
    weights = torch.tensor([1.0, 0.5, 2.0, 0.5])

    loss = mean_loss(LOGITS, TRUTH, ALL, weights, smoothing)

    own = torch.nn.functional.cross_entropy(
        LOGITS, TRUTH, reduction="none", label_smoothing=smoothing
    )
    assert loss.item() == pytest.approx(((own * torch.tensor([1.0, 2.0])).sum() / 3).item())


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.1, 0.5]))
def test_masking_is_leaving_the_columns_out(seed, smoothing):
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 5, generator=rng)
    truth = torch.eye(5)[torch.randint(3, (6,), generator=rng)]
    possible = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0]).expand(6, 5)
    weights = torch.rand(5, generator=rng) + 0.1

    masked = mean_loss(logits, truth, possible, weights, smoothing)
    left = mean_loss(logits[:, :3], truth[:, :3], torch.ones(6, 3), weights[:3], smoothing)

    torch.testing.assert_close(masked, left)


def test_what_is_not_possible_is_not_taught():
    logits = LOGITS.clone().requires_grad_()
    possible = torch.tensor([[1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])

    mean_loss(logits, TRUTH, possible, torch.ones(4), 0.1).backward()

    assert logits.grad[0, 2] == 0
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[1] != 0).all()
