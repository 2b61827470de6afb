"""Labels that do not flicker: the smoothing against its formula, hysteresis, dwell, abstaining."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import ConfigError
from edge_ser.recognition.smoothing import Smoother, Smoothing

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


ABSTAINING = Smoothing(
    time_constant_s=0, margin=0, dwell_s=0, abstain_below=0.5, doubt_margin=0.1, doubt_s=0.5
)


def led_by(*values: float) -> list[dict[str, float]]:
    """Return windows in which neutral has these probabilities, the others half of the rest each."""
    return [probs(p, (1 - p) / 2, (1 - p) / 2) for p in values]


def test_a_label_is_given_up_after_lasting_doubt_only():
    """Below 0.5 but not by the margin it stays; 0.39 is doubt, and lasts 0.5 s at the third."""
    steps = led_by(0.6, 0.45, 0.45, 0.45, 0.39, 0.39, 0.39)
    assert [d.label for d in follow(ABSTAINING, steps)] == [*["neutral"] * 6, None]


def test_doubt_that_is_broken_off_begins_anew():
    steps = led_by(0.6, 0.39, 0.39, 0.45, 0.39, 0.39, 0.45)
    assert {d.label for d in follow(ABSTAINING, steps)} == {"neutral"}


def test_any_sure_class_replaces_doubt_at_once():
    """The dwell protects labels; doubt has none."""
    settings = replace(ABSTAINING, dwell_s=5)
    steps = led_by(*[0.4] * 3, 0.49, 0.5)
    decisions = follow(settings, steps)
    assert [d.label for d in decisions] == [*[None] * 4, "neutral"]
    assert [d.changed for d in decisions] == [False, False, True, False, True]


def test_the_first_decision_may_be_to_abstain():
    """It comes when doubt has lasted, not with the first window."""
    decisions = follow(ABSTAINING, led_by(0.45, 0.45, 0.45))
    assert [(d.label, d.changed) for d in decisions] == [(None, False), (None, False), (None, True)]
    at_once = follow(replace(ABSTAINING, doubt_s=0), led_by(0.45))[0]
    assert (at_once.label, at_once.changed, at_once.confidence) == (None, True, 0.45)


def test_a_class_that_is_not_sure_replaces_nothing():
    steps = [probs(0.6, 0.3, 0.1), probs(0.41, 0.49, 0.1), probs(0.4, 0.5, 0.1)]
    assert [d.label for d in follow(ABSTAINING, steps)] == ["neutral", "neutral", "happy"]


def test_the_dwell_protects_a_label_from_doubt_too():
    settings = replace(ABSTAINING, dwell_s=1, doubt_s=0.25)
    assert [d.label for d in follow(settings, led_by(0.6, *[0.35] * 4))] == [*["neutral"] * 4, None]


def test_flicker_about_the_threshold_is_one_decision():
    """Probabilities oscillate about the threshold."""
    steps = led_by(*[0.45, 0.58] * 40)
    assert sum(d.changed for d in follow(Smoothing(abstain_below=0.5), steps)) == 1


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
    settings=st.builds(
        Smoothing,
        time_constant_s=st.floats(0, 3),
        margin=st.floats(0, 0.5),
        dwell_s=st.floats(0, 3),
        abstain_below=st.floats(0, 0.9),
        doubt_margin=st.floats(0, 0.3),
        doubt_s=st.floats(0, 3),
    ),
)
def test_whatever_comes(steps, settings):
    """Labels stay for the dwell, change only when `changed` says so, and never without cause."""
    decisions = follow(settings, steps)

    changes = [(0.25 * (i + 1), d) for i, d in enumerate(decisions) if d.changed]
    for (before_s, before), (after_s, _) in itertools.pairwise(changes):
        assert before.label is None or after_s - before_s >= settings.dwell_s
    given = [i for i, d in enumerate(decisions) if d.changed]
    first = given[0] if given else len(decisions)
    assert all(d.label is None for d in decisions[:first])
    for before, after in itertools.pairwise(decisions):
        assert after.previous == before.label
    for before, after in itertools.pairwise(decisions[first:]):
        assert after.changed == (after.label != before.label)
    for d in decisions:
        assert sum(d.probs.values()) == pytest.approx(1)
        assert d.confidence == max(d.probs.values())
        if d.changed and d.label is not None:
            assert d.probs[d.label] >= settings.abstain_below


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"time_constant_s": -1}, "time_constant_s is -1, expected 0 to 60 seconds"),
        ({"dwell_s": math.nan}, "dwell_s is nan"),
        ({"margin": 1}, "margin is 1"),
        ({"abstain_below": 1.0}, "abstain_below is 1.0"),
        ({"doubt_margin": -0.1}, "doubt_margin is -0.1"),
        ({"doubt_s": 61}, "doubt_s is 61"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ConfigError, match=message):
        Smoothing(**settings)
