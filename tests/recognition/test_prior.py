"""Ratios of priors: syntax, what they do to probabilities, and their estimate by EM."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import FakeRunner

from edge_ser.audio.io import AudioChunk
from edge_ser.errors import ConfigError
from edge_ser.recognition.prior import FEWEST_CLIPS, check_prior, estimate_prior, parse_prior
from edge_ser.recognition.recognizer import Recognizer

LABELS = ("neutral", "happy", "sad")
RATE = 16_000


def test_what_a_text_stands_for():
    assert parse_prior("neutral=3,sad=0.5", LABELS) == {"neutral": 3.0, "sad": 0.5}
    assert parse_prior(" sad = 1e-1 ", LABELS) == {"sad": 0.1}
    assert parse_prior("none", LABELS) == {}


@pytest.mark.parametrize(
    "text",
    ["", "neutral", "neutral=", "=3", "neutral=much", "neutral=0", "neutral=-1", "neutral=inf",
     "neutral=nan", "angry=2", "neutral=1,neutral=2", "neutral=1;sad=2", "none,neutral=2"],
)  # fmt: skip
def test_what_is_no_prior(text):
    with pytest.raises(ConfigError, match="--prior neutral=3,happy="):
        parse_prior(text, LABELS)


def test_a_mapping_is_checked_too():
    assert check_prior({"sad": 2}, LABELS) == {"sad": 2.0}
    for bad in ({"sad": 0}, {"sad": "2"}, {"bored": 1}):
        with pytest.raises(ConfigError):
            check_prior(bad, LABELS)  # type: ignore[arg-type]


def test_probabilities_are_multiplied_and_sum_to_1():
    samples = np.random.default_rng(0).normal(size=3 * RATE).astype(np.float32) / 10
    plain, shifted = (
        list(Recognizer(FakeRunner(), prior=prior).stream([AudioChunk(samples, RATE)]))
        for prior in (None, {"low": 4, "high": 0.25})
    )
    assert len(plain) == len(shifted) > 1
    for one, other in zip(plain, shifted, strict=True):
        expected = np.array([4 * one.probs["low"], one.probs["middle"], one.probs["high"] / 4])
        assert list(other.probs.values()) == pytest.approx((expected / expected.sum()).tolist())


def test_a_recognizer_refuses_what_its_model_does_not_know():
    with pytest.raises(ConfigError, match="low, middle, high"):
        Recognizer(FakeRunner(), prior={"neutral": 3})


def drawn(shares: tuple[float, ...], n: int, seed: int) -> np.ndarray:
    """Return calibrated probabilities [n, 3] of clips whose classes have these shares.

    Features are normal about the class's mean, and the model knows that, but takes classes for equally
    frequent.
    """
    rng = np.random.default_rng(seed)
    classes = rng.choice(3, size=n, p=shares)
    means = 1.5 * np.eye(3)
    features = means[classes] + rng.normal(size=(n, 3))
    logits = -0.5 * ((features[:, None] - means[None]) ** 2).sum(axis=2)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("shares", [(1 / 3, 1 / 3, 1 / 3), (0.8, 0.15, 0.05), (0.1, 0.3, 0.6)])
def test_shifted_shares_are_recovered(shares):
    probs = drawn(shares, 3000, 1)
    estimate = estimate_prior(probs, LABELS)

    assert list(estimate.shares.values()) == pytest.approx(shares, abs=0.04)
    ratios = [estimate.ratios[label] for label in LABELS]
    assert ratios == pytest.approx([3 * s for s in estimate.shares.values()], rel=0.01)
    assert estimate.caveats == ()
    assert parse_prior(estimate.text, LABELS) == estimate.ratios
    # The plain mean of the probabilities stays between these shares and equal ones.
    assert (
        abs(probs.mean(axis=0) - shares).max()
        >= abs(np.array(list(estimate.shares.values())) - shares).max() - 0.02
    )


def test_the_shares_of_training_are_taken_into_account():
    """Probabilities that presume the shares of the clips need no ratios."""
    shares = np.array([0.7, 0.2, 0.1])
    joint = 3 * drawn(tuple(shares), 3000, 2) * shares
    estimate = estimate_prior(joint / joint.sum(axis=1, keepdims=True), LABELS, shares.tolist())
    assert list(estimate.ratios.values()) == pytest.approx([1, 1, 1], abs=0.25)


def test_few_clips_and_one_class_are_cautioned_about():
    few = estimate_prior(drawn((0.3, 0.3, 0.4), FEWEST_CLIPS - 1, 3), LABELS)
    assert len(few.caveats) == 1
    one_sided = estimate_prior(np.tile([0.98, 0.01, 0.01], (1000, 1)), LABELS)
    assert any("neutral" in caveat for caveat in one_sided.caveats)
    assert all(ratio > 0 for ratio in one_sided.ratios.values())


@pytest.mark.parametrize("shape", [(0, 3), (5, 2), (3,)])
def test_an_estimate_of_nothing(shape):
    with pytest.raises(ConfigError, match=re.escape(f"got {list(shape)}")):
        estimate_prior(np.zeros(shape), LABELS)
