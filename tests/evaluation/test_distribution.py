"""What plain speech and noise are called, counted by hand."""

from __future__ import annotations

import pytest

from edge_ser.evaluation.answers import ClipAnswer, LiveFacts
from edge_ser.evaluation.distribution import distribution

LABELS = ("neutral", "sad", "angry")


def answer(*probs: float, speaker: str = "?", no_answer: str = "", n_labels: int | None = None):
    live = None if n_labels is None else LiveFacts(2.0, 1.0, 1, 2, 1, n_labels)
    predicted = LABELS[max(range(len(probs)), key=probs.__getitem__)] if probs else ""
    return ClipAnswer("c", "X", f"X/{speaker}", "neutral", predicted, probs, no_answer, None, live)


ANSWERS = [
    answer(0.9, 0.1, 0.0),
    answer(0.4, 0.3, 0.3),
    answer(0.1, 0.45, 0.45),
    answer(0.1, 0.85, 0.05),
    answer(0.1, 0.3, 0.6),
    answer(no_answer="silent"),
]


def made(answers=tuple(ANSWERS), kind="neutral", abstain_below=0.5):
    return distribution(
        "X", answers, LABELS, kind=kind, abstain_below=abstain_below, n_draws=200, seed=0
    )


def test_counts_by_hand():
    d = made()

    assert d.likeliest == {"neutral": 2, "sad": 2, "angry": 1}
    assert d.called == {"neutral": 1, "sad": 1, "angry": 1}
    assert d.n_abstained == 2
    assert d.no_answer == {"silent": 1}
    assert d.expected_or_abstained.value == pytest.approx(3 / 6)
    assert d.something_else.value == pytest.approx(2 / 6)
    assert d.sure_else.value == pytest.approx(1 / 6)
    assert d.any_label.value == pytest.approx(3 / 6)
    assert d.confidence == pytest.approx((0.9 + 0.4 + 0.45 + 0.85 + 0.6) / 5)
    assert sum(d.called.values()) + d.n_abstained + sum(d.no_answer.values()) == d.n_clips
    assert (d.n_speakers, d.n_speaker_unknown) == (0, 6)


def test_without_a_threshold_every_answer_is_a_call():
    d = made(abstain_below=0.0)
    assert d.called == d.likeliest
    assert d.n_abstained == 0
    assert d.expected_or_abstained.value == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    ("kind", "expected", "false"),
    [("unlabelled", "neutral", 2), ("sad", "sad", 2), ("no speech", "", 3)],
)
def test_what_is_no_false_alarm_depends_on_the_kind(kind, expected, false):
    d = made(kind=kind)
    assert d.expected == expected
    assert d.something_else.value == pytest.approx(false / 6)


def test_a_share_of_none_is_not_certain_where_nobody_knows_the_speakers():
    d = made([ANSWERS[0]] * 20)
    assert d.something_else.value == 0.0
    assert d.something_else.interval == pytest.approx((0.0, 0.161), abs=1e-3)
    assert d.expected_or_abstained.interval == pytest.approx((0.839, 1.0), abs=1e-3)
    assert d.intervals_over == "files"


def test_known_speakers_are_drawn():
    d = made([answer(0.9, 0.1, 0.0, speaker="a"), answer(0.1, 0.9, 0.0, speaker="b")])
    assert d.intervals_over == "speakers"
    assert (d.n_speakers, d.n_speaker_unknown) == (2, 0)
    assert d.something_else.interval == (0.0, 1.0)


def test_a_label_shown_for_a_moment_is_a_label():
    d = made([answer(0.3, 0.4, 0.3, n_labels=1), answer(0.3, 0.4, 0.3, n_labels=0)], "no speech")
    assert d.any_label.value == 0.5
    assert d.called == {}
    assert d.live.n_changes == 4
    assert d.live.changes_per_min == pytest.approx(60 * 4 / 2.0)
