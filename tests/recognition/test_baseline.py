"""Baselines: files and what they fit, a running mean that is slow and bounded, enrolment."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from networks import both_card, write_network
from support import FakeRunner, make_card

from edge_ser.card import FrontendConfig
from edge_ser.errors import BaselineError, ConfigError
from edge_ser.recognition.baseline import (
    LEAST_SPEECH_S,
    Baseline,
    EnrolledBaseline,
    Enrolment,
    NoBaseline,
    RunningBaseline,
    RunningConfig,
    open_baseline,
    outputs_digest,
)
from edge_ser.recognition.prediction import softmax
from edge_ser.recognition.recognizer import Recognizer

CARD = both_card()
USUAL = np.array(CARD.usual_outputs)
"""Three logits and the arousal's."""


def enrolled(**changes: object) -> Baseline:
    baseline = Baseline(
        name="the lab",
        mean=(1.0, 2.0, 3.0, 4.0),
        labels=CARD.labels,
        speech_s=20.5,
        n_utterances=7,
        model="tiny",
        outputs_sha256=outputs_digest(CARD),
        created="2026-01-01",
    )
    return dataclasses.replace(baseline, **changes)


# --- running -----------------------------------------------------------------------------------


def test_a_running_baseline_begins_with_nothing_to_subtract():
    state = RunningBaseline(CARD)
    assert (state.name, state.learns, state.speech_s) == ("running", True, 0.0)
    assert state.excess() is None


def test_the_usual_outputs_count_as_seconds_of_speech():
    state = RunningBaseline(CARD, RunningConfig(prior_s=10, memory_s=86_400))
    state.learn(USUAL + 5, 10.0)
    np.testing.assert_allclose(state.excess(), np.full(4, 2.5), atol=0.001)


def test_what_it_holds_is_bounded_and_forgets():
    state = RunningBaseline(CARD, RunningConfig(prior_s=10, memory_s=120))
    for _ in range(1000):
        state.learn(USUAL + 5, 3.0)
    assert 119.9 < state.speech_s <= 120
    np.testing.assert_allclose(state.excess(), np.full(4, 120 * 5 / 130), rtol=1e-3)
    for _ in range(40):
        state.learn(USUAL - 5, 3.0)
    kept = math.exp(-1)
    expected = 120 * (kept * 5 - (1 - kept) * 5) / 130
    np.testing.assert_allclose(state.excess(), np.full(4, expected), rtol=1e-3, atol=1e-3)


def test_one_endless_utterance_counts_no_more_than_the_memory():
    state = RunningBaseline(CARD, RunningConfig(prior_s=10, memory_s=120))
    state.learn(USUAL, 1e6)
    assert state.speech_s == pytest.approx(120)


@pytest.mark.parametrize(("name", "value"), [("prior_s", -1), ("memory_s", 0), ("memory_s", 1e9)])
def test_settings_out_of_range(name, value):
    with pytest.raises(ConfigError, match=f"^{name} is"):
        RunningConfig(**{name: value})


# --- files -------------------------------------------------------------------------------------


def test_a_file_comes_back_equal_and_holds_statistics_only(tmp_path):
    path = tmp_path / "lab.json"
    enrolled().save(path)
    assert Baseline.load(path) == enrolled()
    assert len(path.read_bytes()) < 2_000
    assert set(json.loads(path.read_text())) == {f.name for f in dataclasses.fields(Baseline)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"kind": "edge-ser calibration set"}',
        '{"kind": "edge-ser baseline"}',
        json.dumps({**dataclasses.asdict(enrolled()), "mean": []}),
        json.dumps({**dataclasses.asdict(enrolled()), "mean": ["0"]}),
        json.dumps({**dataclasses.asdict(enrolled()), "format": 2}),
        json.dumps({**dataclasses.asdict(enrolled()), "speech_s": 0}),
        json.dumps({**dataclasses.asdict(enrolled()), "audio": [0.1]}),
        json.dumps(dataclasses.asdict(enrolled())).replace("20.5", "NaN"),
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path, text):
    path = tmp_path / "lab.json"
    path.write_text(text)
    with pytest.raises(BaselineError, match="edge-ser enroll"):
        Baseline.load(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(BaselineError, match=r"/lab\.json\b"):
        Baseline.load(tmp_path / "lab.json")
    with pytest.raises(BaselineError, match="edge-ser enroll"):
        Baseline.load(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ("x", "y", "z")},
        {"usual_outputs": (0.0,) * 4},
        {"usual_outputs": (0.0,) * 3, "arousal": False},
        {"frontend": FrontendConfig(n_mels=26, n_mfcc=13, hop_length=200)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_model_is_refused(changes):
    other = dataclasses.replace(CARD, name="another", **changes)
    with pytest.raises(BaselineError, match=r"\banother\b.*\bthe lab\b.*\btiny\b"):
        enrolled().require_fit(other)
    with pytest.raises(BaselineError, match="enroll again"):
        open_baseline(other, enrolled())


def test_other_forms_of_the_same_model_are_not_refused():
    enrolled().require_fit(dataclasses.replace(CARD, name="an INT8 file", input="waveform"))


def test_means_of_another_number_are_refused():
    with pytest.raises(BaselineError, match="expected 4 means"):
        enrolled(mean=(0.0,) * 3).require_fit(CARD)


# --- what a model is given ---------------------------------------------------------------------


def test_each_choice_opens_its_state(tmp_path):
    path = tmp_path / "lab.json"
    enrolled().save(path)
    assert isinstance(open_baseline(CARD), NoBaseline)
    assert isinstance(open_baseline(CARD, "none"), NoBaseline)
    assert isinstance(open_baseline(CARD, "running"), RunningBaseline)
    by_card = dataclasses.replace(CARD, baseline_default="running")
    assert isinstance(open_baseline(by_card), RunningBaseline)
    for choice in (path, str(path), enrolled()):
        state = open_baseline(CARD, choice)
        assert isinstance(state, EnrolledBaseline)
        assert (state.name, state.speech_s, state.learns) == ("the lab", 20.5, False)
        np.testing.assert_array_equal(state.excess(), np.arange(1, 5) - USUAL)


@pytest.mark.parametrize("choice", ["running", enrolled()])
def test_a_model_that_takes_no_baseline_is_given_none(choice):
    assert isinstance(open_baseline(make_card(), "none"), NoBaseline)
    with pytest.raises(BaselineError, match=r"^tiny .*--baseline\b"):
        open_baseline(make_card(), choice)
    with pytest.raises(BaselineError, match=r"^tiny .*--baseline\b"):
        Recognizer(FakeRunner(), baseline=choice)


@pytest.mark.parametrize("waveform", [False, True])
def test_what_an_enrolled_baseline_has_beyond_the_usual_is_subtracted(
    tmp_path, example_clips, waveform
):
    model = write_network(tmp_path / "both.onnx", card=both_card(), waveform=waveform)
    path = example_clips[0]
    plain = Recognizer(model).recognize(path)
    excess = np.array([1.0, -2.0, 0.5, 0.75])
    moved = Recognizer(model, baseline=enrolled(mean=tuple(USUAL + excess))).recognize(path)
    as_usual = Recognizer(model, baseline=enrolled(mean=CARD.usual_outputs)).recognize(path)

    assert as_usual.final.probs == pytest.approx(plain.final.probs, abs=1e-6)
    assert as_usual.final.arousal == pytest.approx(plain.final.arousal, abs=1e-4)
    for one, other in zip(plain.windows, moved.windows, strict=True):
        assert one.outputs == other.outputs
        logits = np.array(one.outputs) - excess
        assert list(other.probs.values()) == pytest.approx(softmax(logits[:-1]).tolist(), abs=1e-5)
        assert other.arousal == pytest.approx(1 / (1 + math.exp(-logits[-1])), abs=1e-5)
    arousal = [window.arousal for window in moved.windows]
    assert moved.final.arousal == pytest.approx(np.mean(arousal))


def test_a_model_that_takes_none_keeps_no_outputs(tmp_path, example_clips):
    model = write_network(tmp_path / "m.onnx")
    assert {window.outputs for window in Recognizer(model).recognize(example_clips[0]).windows} == {
        ()
    }


# --- enrolment ---------------------------------------------------------------------------------


def test_an_enrolment_is_the_mean_of_all_seconds():
    enrolment = Enrolment(CARD)
    enrolment.learn((0.0,) * 4, 5.0)
    enrolment.learn((4.0,) * 4, 15.0)
    assert enrolment.excess() is None
    baseline = enrolment.baseline("anna", "2026-01-01")
    assert baseline.mean == (3.0,) * 4
    assert (baseline.speech_s, baseline.n_utterances, baseline.model) == (20.0, 2, "tiny")
    assert baseline.labels == CARD.labels
    baseline.require_fit(CARD)


def test_too_little_speech_is_refused():
    enrolment = Enrolment(CARD)
    enrolment.learn((0.0,) * 4, LEAST_SPEECH_S - 0.1)
    with pytest.raises(BaselineError, match=r"4\.9 s in 1 utterances"):
        enrolment.baseline("anna", "2026-01-01")
