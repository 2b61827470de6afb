"""High arousal against low: areas under the ROC, by hand and by scikit-learn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sklearn.metrics

from edge_ser.evaluation.answers import ClipAnswer
from edge_ser.evaluation.arousal import HIGH_AROUSAL, LOW_AROUSAL, arousal_figures
from edge_ser.evaluation.resampling import Resampling

LABELS = ("neutral", "happy", "sad", "angry", "fearful", "disgust")


def answer(truth: str, high: float, speaker: str = "a", arousal: float | None = None) -> ClipAnswer:
    """Return an answer with this much probability on happy, angry and fearful together."""
    low = (1 - high) / 3
    probs = (low, high / 3, low, high / 3, high / 3, low)
    return ClipAnswer("c", "X", f"X/{speaker}", truth, "sad", probs, arousal=arousal)


def figures(answers):
    return arousal_figures(answers, LABELS, Resampling.of(answers, 200, 0))


def test_every_shared_emotion_has_an_arousal():
    from edge_ser.corpora import EMOTIONS

    assert set(EMOTIONS) == HIGH_AROUSAL | LOW_AROUSAL
    assert not HIGH_AROUSAL & LOW_AROUSAL


def test_the_area_by_hand():
    """Of four pairs two are in order, one is a tie."""
    answers = [
        answer("angry", 0.9),
        answer("happy", 0.3),
        answer("sad", 0.3),
        answer("neutral", 0.5),
    ]
    found = figures(answers)

    assert (found.n_high, found.n_low) == (2, 2)
    assert found.auc.value == pytest.approx(2.5 / 4)
    assert found.auc.interval == ()
    assert found.output_auc is None


def test_the_area_is_that_of_scikit_learn_and_has_an_interval():
    rng = np.random.default_rng(0)
    answers = [
        answer(
            truth, float(np.clip(rng.normal(0.6 if truth == "angry" else 0.4, 0.2), 0, 1)), str(s)
        )
        for s in range(9)
        for truth in ("angry", "sad", "angry", "neutral")
    ]
    found = figures(answers)
    scores = [answer.probs[1] + answer.probs[3] + answer.probs[4] for answer in answers]
    truth = [answer.truth == "angry" for answer in answers]

    assert found.auc.value == pytest.approx(sklearn.metrics.roc_auc_score(truth, scores))
    assert found.auc.interval[0] < found.auc.value < found.auc.interval[1]


def test_the_arousal_output_is_judged_where_all_clips_have_one():
    answers = [answer("angry", 0.1, arousal=0.9), answer("sad", 0.9, arousal=0.2)]
    assert figures(answers).auc.value == 0
    assert figures(answers).output_auc.value == 1

    assert figures([*answers, answer("happy", 0.5)]).output_auc is None


def test_clips_without_an_answer_and_one_side_alone():
    silent = dataclasses.replace(answer("sad", 0.5), predicted="", probs=())
    assert figures([answer("angry", 0.5), silent]) is None
    assert figures([answer("angry", 0.5), answer("happy", 0.5)]) is None
    assert figures([answer("angry", 0.5), answer("odd", 0.5)]) is None
