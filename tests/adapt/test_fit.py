"""The fitted head against scipy's and scikit-learn's solutions of the same problem."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from edge_ser.adapt.fitting import Windows, fit_head
from edge_ser.adapt.head import Head
from edge_ser.errors import TrainingError

N, D, K = 60, 7, 4


def problem(n: int = N, d: int = D, classes: int = K) -> tuple[Head, Windows]:
    rng = np.random.default_rng(0)
    head = Head(rng.normal(size=(K, d)), rng.normal(size=K))
    embedding = rng.normal(size=(n, d)) * rng.uniform(0.5, 3, d) + rng.normal(size=d)
    truth = (embedding[:, 0] > 0).astype(int) + rng.integers(0, classes - 1, n)
    return head, Windows(embedding, truth, rng.uniform(0.2, 1, n))


def standardised(windows: Windows) -> tuple[np.ndarray, np.ndarray, float]:
    mean = np.average(windows.embedding, axis=0, weights=windows.weight)
    centred = windows.embedding - mean
    scale = np.sqrt(np.average((centred**2).sum(1), weights=windows.weight))
    return np.c_[centred / scale, np.ones(len(centred))], mean, scale


@pytest.mark.parametrize("strength", [10.0, 1.0, 0.01])
def test_it_is_scipys_solution(strength):
    head, windows = problem()
    inputs, mean, scale = standardised(windows)
    old = head.logits(windows.embedding)

    def loss(flat: np.ndarray) -> float:
        logits = old + inputs @ flat.reshape(K, -1).T
        total = np.logaddexp.reduce(logits, axis=1)
        own = logits[np.arange(N), windows.truth]
        return windows.weight @ (total - own) + strength / 2 * flat @ flat

    found = minimize(loss, np.zeros(K * (D + 1)), method="BFGS", options={"gtol": 1e-6})
    change = found.x.reshape(K, -1)
    fitted = fit_head(head, windows, strength)

    expected = head.weight + change[:, :-1] / scale
    np.testing.assert_allclose(fitted.weight, expected, atol=2e-3)
    expected = head.bias + change[:, -1] - change[:, :-1] @ mean / scale
    np.testing.assert_allclose(fitted.bias, expected, atol=5e-3)


@pytest.mark.parametrize("d", [D, 200])
def test_from_nothing_it_is_scikit_learns(d):
    _, windows = problem(d=d)
    inputs, _, _ = standardised(windows)
    fitted = fit_head(Head(np.zeros((K, d)), np.zeros(K)), windows, 0.5)
    theirs = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-10, max_iter=10_000)
    theirs.fit(inputs, windows.truth, sample_weight=windows.weight)

    logits = fitted.logits(windows.embedding)
    expected = inputs @ theirs.coef_.T
    np.testing.assert_allclose(
        logits - logits.mean(1, keepdims=True),
        expected - expected.mean(1, keepdims=True),
        atol=1e-3,
    )


def test_a_class_without_a_window_keeps_its_row():
    head, windows = problem(classes=3)
    fitted = fit_head(head, windows, 0.1)
    change = fitted.logits(windows.embedding) - head.logits(windows.embedding)

    np.testing.assert_array_equal(fitted.weight[3], head.weight[3])
    assert fitted.bias[3] == head.bias[3]
    np.testing.assert_allclose(change[:, :3].sum(axis=1), 0, atol=1e-5)


def test_a_strong_pull_changes_hardly_anything():
    head, windows = problem()

    assert np.abs(fit_head(head, windows, 1e6).weight - head.weight).max() < 1e-4


def test_separable_windows_converge():
    embedding = np.r_[np.eye(3)[[0] * 5], np.eye(3)[[1] * 5]]
    windows = Windows(embedding, np.repeat([0, 1], 5), np.ones(10))
    fitted = fit_head(Head(np.zeros((2, 3)), np.zeros(2)), windows, 0.001)

    assert (fitted.logits(embedding).argmax(1) == windows.truth).all()


def test_embeddings_that_are_not_finite_are_refused():
    head, windows = problem()
    windows.embedding[3, 2] = np.nan

    with pytest.raises(TrainingError):
        fit_head(head, windows, 1.0)
