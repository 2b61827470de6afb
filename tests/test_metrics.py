"""Figures of merit against counts made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_ser.metrics import confusion, recalls, unweighted_average_recall, weighted_accuracy

TRUTH = [0, 0, 0, 0, 1, 1, 2]
PREDICTED = [0, 0, 0, 1, 1, 2, 0]


def test_confusion_has_the_truth_in_rows():
    counts = confusion(TRUTH, PREDICTED, 3)
    assert counts.tolist() == [[3, 1, 0], [0, 1, 1], [1, 0, 0]]
    assert counts.dtype == np.int64


def test_figures_of_a_small_example():
    counts = confusion(TRUTH, PREDICTED, 3)
    assert weighted_accuracy(counts) == pytest.approx(4 / 7)
    assert recalls(counts).tolist() == [0.75, 0.5, 0.0]
    assert unweighted_average_recall(counts) == pytest.approx((0.75 + 0.5 + 0.0) / 3)


def test_always_the_majority_is_accurate_but_recalls_nothing():
    counts = confusion([0] * 9 + [1], [0] * 10, 2)
    assert weighted_accuracy(counts) == pytest.approx(0.9)
    assert unweighted_average_recall(counts) == pytest.approx(0.5)


def test_classes_that_never_occur_do_not_count():
    counts = confusion([0, 0, 2, 2], [0, 1, 2, 2], 4)
    got = recalls(counts)
    assert got[[0, 2]].tolist() == [0.5, 1.0]
    assert [math.isnan(value) for value in got] == [False, True, False, True]
    assert unweighted_average_recall(counts) == pytest.approx(0.75)
    assert weighted_accuracy(counts) == pytest.approx(0.75)


def test_no_clips_at_all():
    counts = confusion([], [], 3)
    assert counts.tolist() == [[0] * 3] * 3
    assert weighted_accuracy(counts) == 0.0
    assert unweighted_average_recall(counts) == 0.0
    assert np.isnan(recalls(counts)).all()


def test_perfect_and_all_wrong():
    assert unweighted_average_recall(confusion([0, 1, 2], [0, 1, 2], 3)) == 1.0
    assert weighted_accuracy(confusion([0, 1, 2], [1, 2, 0], 3)) == 0.0


def test_against_the_definition_on_random_labels():
    rng = np.random.default_rng(1)
    truth, predicted = rng.integers(0, 5, 400), rng.integers(0, 5, 400)

    counts = confusion(truth, predicted, 5)

    assert counts.sum() == 400
    assert weighted_accuracy(counts) == pytest.approx(np.mean(truth == predicted))
    by_class = [np.mean(predicted[truth == k] == k) for k in range(5)]
    assert recalls(counts) == pytest.approx(by_class)
    assert unweighted_average_recall(counts) == pytest.approx(np.mean(by_class))


@pytest.mark.parametrize("label", [3, 7])
def test_a_class_beyond_the_last(label):
    with pytest.raises(IndexError):
        confusion([label], [0], 3)
