"""Bounds: what fails them, and what they need."""

from __future__ import annotations

import dataclasses

import pytest
from support import clips_of

from edge_ser.errors import ConfigError
from edge_ser.evaluation.answers import ClipAnswer
from edge_ser.evaluation.distribution import distribution
from edge_ser.evaluation.report import Gates

ANSWERS = [
    ClipAnswer("c", "X", "X/?", "neutral", "neutral" if p >= 0.5 else "sad", (p, q))
    for p, q in ((0.9, 0.1), (0.45, 0.47), (0.4, 0.45), (0.1, 0.9))
]


@pytest.fixture(scope="module")
def measured(evaluation):
    found = tuple(
        distribution(
            kind,
            ANSWERS,
            ("neutral", "sad"),
            kind=kind,
            abstain_below=0.5,
            n_draws=100,
            seed=0,
        )
        for kind in ("neutral", "unlabelled", "no speech")
    )
    return dataclasses.replace(evaluation, distributions=found)


@pytest.mark.parametrize(
    ("bounds", "n_failures"),
    [
        ({}, 0),
        ({"min_uar": 0}, 0),
        ({"min_uar": 100}, 1),
        ({"min_neutral": 70}, 0),
        ({"min_neutral": 76}, 1),
        ({"max_false": 25}, 0),
        ({"max_false": 24}, 1),
        ({"max_noise_labels": 50}, 0),
        ({"max_noise_labels": 49}, 1),
        ({"min_neutral": 76, "max_false": 24, "min_uar": 100}, 3),
    ],
)
def test_failures(measured, bounds, n_failures):
    """Of four clips one is neutral, two abstained, one sad."""
    assert len(Gates(**bounds).failures(measured)) == n_failures


def test_a_bound_needs_its_speech():
    labelled, neutral = clips_of("X", "a"), clips_of("Y", "a", emotions=("neutral",))
    Gates().check_data((), ())
    Gates(min_uar=60, min_neutral=92, max_false=3).check_data(labelled, neutral)
    for bounds in ({"min_neutral": 92}, {"max_false": 3}, {"max_noise_labels": 1}):
        with pytest.raises(ConfigError, match="got none"):
            Gates(**bounds).check_data(labelled, clips_of("Z", "a", emotions=("unlabelled",)))
    with pytest.raises(ConfigError, match="--min-uar"):
        Gates(min_uar=60).check_data((), neutral)
