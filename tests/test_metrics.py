"""Figures of merit against counts made by hand, scikit-learn, and what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.metrics import (
    aucs,
    bootstrap_weights,
    brier_scores,
    calibration_bins,
    calibration_errors,
    calibration_interval,
    confusion,
    expected_calibration_error,
    log_losses,
    percentile_interval,
    precisions,
    recalls,
    unweighted_average_recall,
    unweighted_average_recalls,
    weighted_accuracies,
    weighted_accuracy,
    wilson_interval,
)

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


def random_answers(n: int = 400, n_classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.integers(0, n_classes, n), rng.dirichlet(np.full(n_classes, 0.7), size=n)


def test_accuracy_and_recall_are_those_of_scikit_learn():
    truth, probs = random_answers()
    predicted = probs.argmax(1)

    counts = confusion(truth, predicted, 5)

    assert counts.tolist() == sklearn.metrics.confusion_matrix(truth, predicted).tolist()
    assert weighted_accuracy(counts) == pytest.approx(
        sklearn.metrics.accuracy_score(truth, predicted)
    )
    assert unweighted_average_recall(counts) == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(truth, predicted)
    )
    assert recalls(counts) == pytest.approx(
        sklearn.metrics.recall_score(truth, predicted, average=None)
    )


def test_scores_of_probabilities_are_those_of_scikit_learn():
    truth, probs = random_answers()

    assert log_losses(probs, truth).mean() == pytest.approx(sklearn.metrics.log_loss(truth, probs))
    by_class = [sklearn.metrics.brier_score_loss(truth == k, probs[:, k]) for k in range(5)]
    assert brier_scores(probs, truth).mean() == pytest.approx(sum(by_class))


def test_scores_of_certainty():
    sure = np.eye(3)
    assert brier_scores(sure, np.array([0, 1, 0])).tolist() == [0, 0, 2]
    assert log_losses(sure, np.array([0, 1, 0])) == pytest.approx([0, 0, -math.log(1e-12)])


def test_many_confusions_at_once_are_scored_like_each_alone():
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 4, size=(6, 7, 3, 4))
    counts[2, 3] = 0
    counts[1, :, 1] = 0

    was, uars, each = (
        f(counts) for f in (weighted_accuracies, unweighted_average_recalls, recalls)
    )

    for place in np.ndindex(6, 7):
        assert was[place] == weighted_accuracy(counts[place])
        assert uars[place] == unweighted_average_recall(counts[place])
        np.testing.assert_array_equal(each[place], recalls(counts[place]))


def test_clips_without_an_answer_are_errors():
    """They stand in a further column."""
    counts = np.array([[3, 0, 1], [0, 2, 2]])
    assert weighted_accuracy(counts) == pytest.approx(5 / 8)
    assert recalls(counts).tolist() == [0.75, 0.5]


def test_calibration_error_by_hand():
    """Five bins. (0.2, 0.4]: 0.3 and 0.4, one right. (0.8, 1]: 0.9, 0.9 and 1, two right."""
    confidence = np.array([0.3, 0.4, 0.9, 0.9, 1.0])
    correct = np.array([True, False, True, True, False])

    bins = calibration_bins(confidence, correct, n_bins=5)

    assert bins[:, 0].tolist() == [0, 2, 0, 0, 3]
    assert bins[1].tolist() == pytest.approx([2, 0.7, 1])
    wanted = 2 / 5 * abs(1 / 2 - 0.35) + 3 / 5 * abs(2 / 3 - 2.8 / 3)
    assert expected_calibration_error(confidence, correct, n_bins=5) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("confidence", "share", "wanted"), [(0.7, 0.7, 0.0), (1.0, 0.0, 1.0), (0.5, 1.0, 0.5)]
)
def test_calibration_error_of_a_single_confidence(confidence, share, wanted):
    correct = np.arange(100) < 100 * share
    got = expected_calibration_error(np.full(100, confidence), correct)
    assert got == pytest.approx(wanted, abs=1e-9)


def test_a_calibrated_model_has_nearly_no_calibration_error():
    rng = np.random.default_rng(4)
    confidence = rng.uniform(0.2, 1.0, 100_000)
    assert expected_calibration_error(confidence, rng.uniform(size=100_000) < confidence) < 0.01


def test_no_clips_have_no_calibration_error():
    assert expected_calibration_error(np.empty(0), np.empty(0, dtype=bool)) == 0.0


def test_bootstrap_draws_as_many_speakers_as_there_are_and_repeats_itself():
    weights = bootstrap_weights(7, 300, seed=5)
    assert weights.shape == (300, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean() == 1.0
    np.testing.assert_array_equal(weights, bootstrap_weights(7, 300, seed=5))
    assert (weights != bootstrap_weights(7, 300, seed=6)).any()


def test_percentile_interval():
    assert percentile_interval(np.arange(1001.0)) == pytest.approx((25, 975))
    assert percentile_interval(np.array([np.nan, 1, 1])) == (1, 1)
    assert percentile_interval(np.arange(101.0), level=0.9) == pytest.approx((5, 95))


def test_the_interval_over_speakers_holds_what_it_promises_and_one_over_clips_does_not():
    """Speakers differ much, their clips little: 24 speakers of 20 clips, drawn 300 times."""
    rng = np.random.default_rng(6)
    n_speakers, n_clips, n_repeats = 24, 20, 300
    by_speaker = by_clip = 0
    for repeat in range(n_repeats):
        chance = rng.beta(2, 2, n_speakers)
        right = rng.binomial(n_clips, chance)
        low, high = percentile_interval(
            bootstrap_weights(n_speakers, 400, repeat) @ right / (n_speakers * n_clips)
        )
        by_speaker += low <= 0.5 <= high
        n = n_speakers * n_clips
        low, high = percentile_interval(rng.binomial(n, right.sum() / n, size=400) / n)
        by_clip += low <= 0.5 <= high

    assert 0.89 <= by_speaker / n_repeats <= 0.98
    assert by_clip / n_repeats < 0.7


def test_precision_is_that_of_scikit_learn_and_ignores_clips_without_an_answer():
    truth, probs = random_answers()
    predicted = probs.argmax(1)
    counts = confusion(truth.tolist(), predicted.tolist(), 5)
    wanted = sklearn.metrics.precision_score(truth, predicted, average=None)
    assert precisions(counts) == pytest.approx(wanted)

    assert precisions(np.array([[3, 1, 9], [1, 0, 9]])).tolist() == [0.75, 0.0]
    assert np.isnan(precisions(np.array([[3, 0], [1, 0]]))[1])


@given(st.integers(0, 10_000))
def test_areas_are_those_of_scikit_learn_with_ties_and_weights(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, size=30) / 6
    positive = np.arange(30) % 3 == 0
    weights = rng.integers(0, 4, size=(4, 30))
    weights[:, :2] = 1

    got = aucs(scores, positive, weights)

    for area, weight in zip(got, weights, strict=True):
        wanted = sklearn.metrics.roc_auc_score(positive, scores, sample_weight=weight)
        assert area == pytest.approx(wanted)


def test_no_area_without_both_sides():
    one_sided = aucs(np.array([0.1, 0.9]), np.array([True, False]), np.array([[1, 0], [0, 1]]))
    assert np.isnan(one_sided).all()


def bins_of(confidence, correct):
    """Return the sums of each clip [n_clips, ECE_BINS, 3]."""
    pairs = zip(confidence, correct, strict=True)
    return np.stack([calibration_bins(c[None], k[None]) for c, k in pairs])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.integers(0, 100))
def test_an_interval_of_a_calibration_error_holds_it(draws, seed):
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.4, 1.0, 30)
    bins = calibration_bins(confidence, rng.uniform(size=30) < 0.5)
    value = float(calibration_errors(bins))
    low, high = calibration_interval(bins, value, np.array(draws))
    assert 0 <= low <= value <= high


def test_an_interval_of_a_calibration_error_by_hand():
    """All of 100 clips are wrong at 0.8: no calibrated model would be."""
    bins = calibration_bins(np.full(100, 0.8), np.zeros(100, dtype=bool))
    draws = np.linspace(0.7, 1.1, 1001)
    assert calibration_interval(bins, 0.8, draws, level=0.9) == pytest.approx((0.52, 0.88))


def test_the_interval_of_a_calibration_error_covers_the_truth_where_percentiles_do_not():
    """A calibrated model, whose true error is 0."""
    rng = np.random.default_rng(7)
    n_repeats, n_clips = 60, 100
    held = by_percentile = 0
    for repeat in range(n_repeats):
        confidence = rng.uniform(0.5, 1.0, n_clips)
        bins = bins_of(confidence, rng.uniform(size=n_clips) < confidence)
        total = bins.sum(axis=0)
        weights = bootstrap_weights(n_clips, 200, repeat).astype(float)
        draws = calibration_errors(np.tensordot(weights, bins, axes=1))
        held += calibration_interval(total, float(calibration_errors(total)), draws)[0] == 0
        by_percentile += percentile_interval(draws)[0] == 0

    assert held / n_repeats > 0.85
    assert by_percentile == 0


@pytest.mark.parametrize(
    ("n_hits", "n_all", "wanted"),
    [(0, 10, (0, 0.2775)), (10, 10, (0.7225, 1)), (5, 10, (0.2366, 0.7634))],
)
def test_wilson_interval(n_hits, n_all, wanted):
    assert wilson_interval(n_hits, n_all) == pytest.approx(wanted, abs=1e-4)
