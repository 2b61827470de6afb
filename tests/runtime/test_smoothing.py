"""Labels that do not flicker: the smoothing against its formula, hysteresis, dwell, abstaining."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import ConfigError
from edge_ser.runtime.smoothing import SURE_AGAIN, Smoother, Smoothing

LABELS = ("neutral", "happy", "angry")


def probs(*values: float) -> dict[str, float]:
    return dict(zip(LABELS, values, strict=True))


def follow(settings: Smoothing, steps, hop_s: float = 0.25):
    smoother = Smoother(settings)
    return [smoother.update(p, hop_s * (i + 1)) for i, p in enumerate(steps)]


def test_smoothing_is_a_first_order_low_pass():
    """A step from 1 to 0 has fallen to 1/e after the time constant, in hops of any length."""
    for hop_s in (0.05, 0.25, 0.5):
        smoother = Smoother(Smoothing(time_constant_s=1.0))
        smoother.update(probs(1, 0, 0), 0.0)
        for i in range(round(1 / hop_s)):
            decision = smoother.update(probs(0, 1, 0), hop_s * (i + 1))
        assert decision.probs["neutral"] == pytest.approx(1 / math.e)
        assert sum(decision.probs.values()) == pytest.approx(1)


def test_without_smoothing_the_last_window_alone_counts():
    settings = Smoothing(time_constant_s=0, margin=0, dwell_s=0)
    decisions = follow(settings, [probs(0.9, 0.1, 0), probs(0.2, 0.7, 0.1)])
    assert [d.label for d in decisions] == ["neutral", "happy"]
    assert decisions[1].probs == probs(0.2, 0.7, 0.1)
    assert decisions[1].confidence == 0.7
    assert [(d.changed, d.previous) for d in decisions] == [(True, None), (True, "neutral")]


def test_another_class_must_lead_by_the_margin():
    settings = Smoothing(time_constant_s=0, margin=0.1, dwell_s=0)
    decisions = follow(
        settings, [probs(0.5, 0.4, 0.1), probs(0.42, 0.48, 0.1), probs(0.4, 0.51, 0.09)]
    )
    assert [d.label for d in decisions] == ["neutral", "neutral", "happy"]
    assert [d.changed for d in decisions] == [True, False, True]


def test_a_label_stays_for_the_dwell():
    settings = Smoothing(time_constant_s=0, margin=0, dwell_s=0.75)
    steps = [probs(1, 0, 0), *[probs(0, 1, 0)] * 4]
    assert [d.label for d in follow(settings, steps)] == [*["neutral"] * 3, "happy", "happy"]


def test_abstaining_has_a_hysteresis_too():
    settings = Smoothing(time_constant_s=0, margin=0, dwell_s=0, abstain_below=0.5)
    steps = [probs(p, 1 - p, 0) for p in (0.6, 0.5)] + [
        probs(p, (1 - p) / 2, (1 - p) / 2) for p in (0.49, 0.52, 0.5 + SURE_AGAIN)
    ]
    assert [d.label for d in follow(settings, steps)] == [
        "neutral",
        "neutral",
        None,
        None,
        "neutral",
    ]


def test_the_first_decision_may_be_to_abstain():
    decision = follow(Smoothing(abstain_below=0.9), [probs(0.5, 0.3, 0.2)])[0]
    assert (decision.label, decision.changed, decision.confidence) == (None, True, 0.5)


def test_a_label_that_cannot_be_stood_for_gives_way_to_none():
    """The present label fell below the threshold, and the other does not lead by the margin."""
    settings = Smoothing(time_constant_s=0, margin=0.3, dwell_s=0, abstain_below=0.45)
    steps = [probs(0.6, 0.3, 0.1), probs(0.4, 0.5, 0.1)]
    assert [d.label for d in follow(settings, steps)] == ["neutral", None]


def test_reset_forgets():
    smoother = Smoother(Smoothing())
    smoother.update(probs(1, 0, 0), 0.25)
    smoother.reset()
    decision = smoother.update(probs(0, 1, 0), 0.5)
    assert (decision.label, decision.previous, decision.changed) == ("happy", None, True)
    assert decision.probs == probs(0, 1, 0)


simplex = st.tuples(*[st.floats(0.01, 1)] * 3).map(
    lambda v: dict(zip(LABELS, (np.array(v) / sum(v)).tolist(), strict=True))
)


@given(
    steps=st.lists(simplex, min_size=1, max_size=60),
    tau=st.floats(0, 3),
    margin=st.floats(0, 0.5),
    dwell_s=st.floats(0, 3),
    abstain_below=st.floats(0, 0.9),
)
def test_whatever_comes(steps, tau, margin, dwell_s, abstain_below):
    """Labels change no faster than the dwell, only when `changed` says so, and never without cause."""
    settings = Smoothing(tau, margin, dwell_s, abstain_below)
    decisions = follow(settings, steps)

    changes = [0.25 * (i + 1) for i, d in enumerate(decisions) if d.changed]
    assert changes[0] == 0.25
    assert all(b - a >= dwell_s for a, b in itertools.pairwise(changes))
    for before, after in itertools.pairwise(decisions):
        assert after.previous == before.label
        assert after.changed == (after.label != before.label)
    for d in decisions:
        assert sum(d.probs.values()) == pytest.approx(1)
        assert d.confidence == max(d.probs.values())
        if d.changed and d.label is not None:
            assert d.probs[d.label] >= abstain_below


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"time_constant_s": -1}, "time_constant_s is -1, wanted: 0 to 60 seconds"),
        ({"dwell_s": math.nan}, "dwell_s is nan"),
        ({"margin": 1}, "margin is 1"),
        ({"abstain_below": 1.0}, "abstain_below is 1.0"),
    ],
)
def test_settings_out_of_range(settings, said):
    with pytest.raises(ConfigError, match=said):
        Smoothing(**settings)
