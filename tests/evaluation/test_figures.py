"""Figures from answers: against counts by hand, intervals included."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ser.evaluation.answers import ClipAnswer
from edge_ser.evaluation.figures import (
    Abstention,
    ClassCalls,
    ConfidentErrors,
    ConfusedPair,
    SpeakerAccuracy,
    figures,
)
from edge_ser.evaluation.resampling import Figure
from edge_ser.metrics import (
    bootstrap_weights,
    brier_scores,
    calibration_bins,
    calibration_interval,
    confusion,
    expected_calibration_error,
    log_losses,
    unweighted_average_recall,
)

LABELS = ("sad", "happy", "angry")


def answer(speaker: str, truth: str, *probs: float, no_answer: str = "") -> ClipAnswer:
    predicted = LABELS[int(np.argmax(probs))] if probs else ""
    return ClipAnswer("c", "X", f"X/{speaker}", truth, predicted, probs, no_answer)


ANSWERS = [
    answer("a", "sad", 0.8, 0.1, 0.1),
    answer("a", "sad", 0.3, 0.6, 0.1),
    answer("a", "happy", 0.2, 0.7, 0.1),
    answer("b", "happy", 0.1, 0.5, 0.4),
    answer("b", "sad", no_answer="silent"),
    answer("b", "happy", no_answer="too short"),
    answer("b", "sad", no_answer="silent"),
]


def made(answers=tuple(ANSWERS), **options):
    return figures("X", answers, LABELS, **{"n_draws": 500, "seed": 0, **options})


def test_counts_by_hand():
    f = made()

    assert f.confusion == ((1, 1, 0, 2), (0, 2, 0, 1), (0, 0, 0, 0))
    assert f.n_clips == 7
    assert f.no_answer == {"silent": 2, "too short": 1}
    assert f.wa.value == pytest.approx(3 / 7)
    assert f.recall.keys() == {"sad", "happy"}
    assert f.recall["sad"].value == pytest.approx(1 / 4)
    assert f.recall["happy"].value == pytest.approx(2 / 3)
    assert f.uar.value == pytest.approx((1 / 4 + 2 / 3) / 2)
    assert f.speakers == (
        SpeakerAccuracy("X/b", 4, 1 / 4),
        SpeakerAccuracy("X/a", 3, pytest.approx(2 / 3)),
    )


def test_probabilities_are_judged_where_there_are_any():
    f = made()
    probs = np.array([a.probs for a in ANSWERS if a.probs])
    truth = np.array([LABELS.index(a.truth) for a in ANSWERS if a.probs])
    correct = probs.argmax(1) == truth

    assert f.ece.value == pytest.approx(expected_calibration_error(probs.max(1), correct))
    assert f.brier.value == pytest.approx(brier_scores(probs, truth).mean())
    assert f.nll.value == pytest.approx(log_losses(probs, truth).mean())
    assert sum(b.n_clips for b in f.reliability) == 4
    assert sum(b.n_clips * b.confidence for b in f.reliability) == pytest.approx(2.6)
    assert all(b.low < b.confidence <= b.high for b in f.reliability)


def test_abstention_counts_clips_without_an_answer_as_not_answered():
    f = made(thresholds=(0.6, 0.0, 0.75, 0.6, 0.99))
    assert f.abstention == (
        Abstention(0.0, 4, 3),
        Abstention(0.6, 3, 2),
        Abstention(0.75, 1, 1),
        Abstention(0.99, 0, 0),
    )


def many(n_speakers: int = 9) -> list[ClipAnswer]:
    rng = np.random.default_rng(1)
    return [
        answer(f"s{s}", LABELS[rng.integers(3)], *rng.dirichlet((0.5, 0.5, 0.5)))
        for s in range(n_speakers)
        for _ in range(rng.integers(4, 20))
    ]


def test_intervals_are_those_of_clips_that_are_really_drawn():
    """The quick way, sums by speaker, against gathering the drawn speakers' clips one by one."""
    answers = many()
    by_speaker = {s: [a for a in answers if a.speaker == s] for s in {a.speaker for a in answers}}
    names = sorted(by_speaker)
    uars, eces = [], []
    for weights in bootstrap_weights(len(names), 200, seed=3):
        drawn = [a for n, w in zip(names, weights, strict=True) for a in by_speaker[n] * int(w)]
        truth = [LABELS.index(a.truth) for a in drawn]
        probs = np.array([a.probs for a in drawn])
        uars.append(unweighted_average_recall(confusion(truth, probs.argmax(1).tolist(), 3)))
        eces.append(expected_calibration_error(probs.max(1), probs.argmax(1) == truth))

    f = made(answers, n_draws=200, seed=3)

    assert f.uar.interval == pytest.approx(np.quantile(uars, [0.025, 0.975]))
    probs = np.array([a.probs for a in answers])
    right = [a.predicted == a.truth for a in answers]
    bins = calibration_bins(probs.max(1), np.array(right))
    wanted = calibration_interval(bins, f.ece.value, np.array(eces))
    assert f.ece.interval == pytest.approx(wanted)


def test_intervals_hold_the_value_and_repeat_with_the_seed():
    answers = many()
    f = made(answers)
    precisions = [calls.precision for calls in f.calls]
    for figure in (f.wa, f.uar, *f.recall.values(), *precisions, f.brier, f.nll):
        low, high = figure.interval
        assert low < figure.value < high
    assert f.ece.interval[0] <= f.ece.value <= f.ece.interval[1]
    assert f.intervals_over == "speakers"
    assert made(answers) == f
    assert made(answers, seed=1).uar.interval != f.uar.interval


def test_one_speaker_has_no_interval():
    f = made([a for a in ANSWERS if a.speaker == "X/a"])
    assert f.wa == Figure(pytest.approx(2 / 3))
    assert f.wa.interval == f.uar.interval == f.ece.interval == ()


def test_precision_and_calls_by_hand():
    by_label = {calls.label: calls for calls in made().calls}

    assert by_label["sad"] == ClassCalls("sad", 4, 1, by_label["sad"].precision)
    assert by_label["sad"].precision.value == 1.0
    assert by_label["happy"].n_called == 3
    assert by_label["happy"].precision.value == pytest.approx(2 / 3)
    assert by_label["happy"].ratio == 1.0
    assert by_label["angry"] == ClassCalls("angry", 0, 0, None)
    assert by_label["angry"].ratio is None


def test_confident_errors_name_the_worst_pairs():
    answers = [
        answer("a", "sad", 0.05, 0.9, 0.05),
        answer("a", "sad", 0.05, 0.85, 0.1),
        answer("b", "happy", 0.1, 0.05, 0.85),
        answer("b", "happy", 0.3, 0.6, 0.1),
        answer("b", "angry", 0.55, 0.3, 0.15),
    ]
    f = made(answers, abstain_below=0.5)

    assert f.confident_errors == (
        ConfidentErrors(
            0.5,
            5,
            4,
            (
                ConfusedPair("sad", "happy", 2),
                ConfusedPair("angry", "sad", 1),
                ConfusedPair("happy", "angry", 1),
            ),
        ),
        ConfidentErrors(
            0.8, 3, 3, (ConfusedPair("sad", "happy", 2), ConfusedPair("happy", "angry", 1))
        ),
    )
    assert [errors.threshold for errors in made(answers).confident_errors] == [0.8]


def test_clips_answered_at_the_threshold_of_the_card():
    answered = made(abstain_below=0.6).answered

    assert answered.threshold == 0.6
    assert answered.share.value == pytest.approx(3 / 7)
    assert answered.right.value == pytest.approx(2 / 3)
    assert len(answered.share.interval) == 2
    assert made(abstain_below=0.95).answered.right is None
    assert made().answered.share.value == pytest.approx(4 / 7)


def test_speakers_with_few_clips_are_not_ranked():
    few = [answer("a", "sad", 0.1, 0.8, 0.1) for _ in range(19)]
    f = made([*few, *(answer("b", "sad", 0.8, 0.1, 0.1) for _ in range(20))])
    assert len(f.speakers) == 2
    assert f.ranked_speakers == ()

    f = made([*few, few[0], *(answer("b", "sad", 0.8, 0.1, 0.1) for _ in range(20))])
    assert [speaker.speaker for speaker in f.ranked_speakers] == ["X/a", "X/b"]


def test_unknown_speakers_are_no_speaker():
    unknown = [answer("?", "sad", p, 1 - p, 0) for p in np.linspace(0.2, 0.9, 9)]
    f = made(unknown)
    assert (f.n_speakers, f.n_speaker_unknown, f.speakers) == (0, 9, ())
    assert f.intervals_over == "clips"
    assert f.wa.interval[0] < f.wa.value < f.wa.interval[1]

    f = made([*unknown, answer("a", "sad", 0.8, 0.1, 0.1)])
    assert (f.n_speakers, f.n_speaker_unknown) == (1, 9)
    assert [speaker.speaker for speaker in f.speakers] == ["X/a"]


def test_no_answers_at_all():
    f = made([answer("a", "sad", no_answer="silent"), answer("b", "sad", no_answer="silent")])
    assert f.wa.value == f.uar.value == f.ece.value == 0
    assert f.reliability == ()
    assert f.no_answer == {"silent": 2}
