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
from edge_ser.runtime.baseline import (
    LEAST_SPEECH_S,
    Baseline,
    EnrolledBaseline,
    Enrolment,
    NoBaseline,
    RunningBaseline,
    RunningConfig,
    frontend_digest,
    open_baseline,
)
from edge_ser.runtime.recognizer import Recognizer
from edge_ser.runtime.speech_mean import SpeechStatistics

CARD = both_card()
PRIOR = np.asarray(CARD.normalization.mean)


def speech(value: float, seconds: float) -> SpeechStatistics:
    """Return speech all of whose features have a value."""
    return SpeechStatistics(np.full(13, value, np.float32), seconds)


def enrolled(**changes: object) -> Baseline:
    baseline = Baseline(
        name="the lab",
        mean=tuple(float(i) for i in range(13)),
        speech_s=20.5,
        n_utterances=7,
        frontend_sha256=frontend_digest(CARD.frontend),
        model="tiny",
        created="2026-01-01",
    )
    return dataclasses.replace(baseline, **changes)


# --- running -----------------------------------------------------------------------------------


def test_a_running_baseline_begins_with_the_training_mean():
    state = RunningBaseline(CARD)
    assert (state.name, state.learns, state.speech_s) == ("running", True, 0.0)
    current = state.current()
    assert (current.dtype, current.shape) == (np.float32, (1, 13))
    np.testing.assert_array_equal(current[0], PRIOR.astype(np.float32))


def test_the_training_mean_counts_as_seconds_of_speech():
    state = RunningBaseline(CARD, RunningConfig(prior_s=10, memory_s=86_400))
    state.learn(speech(50.0, 10.0))
    np.testing.assert_allclose(state.current()[0], (PRIOR + 50) / 2, atol=0.01)


def test_what_it_holds_is_bounded_and_forgets():
    state = RunningBaseline(CARD, RunningConfig(prior_s=10, memory_s=120))
    for _ in range(1000):
        state.learn(speech(50.0, 3.0))
    assert 119.9 < state.speech_s <= 120
    np.testing.assert_allclose(state.current()[0], (10 * PRIOR + 120 * 50) / 130, rtol=1e-3)
    for _ in range(40):
        state.learn(speech(-50.0, 3.0))
    kept = math.exp(-1)
    expected = (10 * PRIOR + 120 * (kept * 50 - (1 - kept) * 50)) / 130
    np.testing.assert_allclose(state.current()[0], expected, rtol=1e-3, atol=1e-3)


def test_one_endless_utterance_counts_no_more_than_the_memory():
    state = RunningBaseline(CARD, RunningConfig(prior_s=10, memory_s=120))
    state.learn(speech(50.0, 1e6))
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
    with pytest.raises(BaselineError, match="there is no baseline"):
        Baseline.load(tmp_path / "lab.json")
    with pytest.raises(BaselineError, match="edge-ser enroll"):
        Baseline.load(tmp_path)


def test_another_front_end_is_refused_and_another_model_is_not():
    enrolled().require_fit(dataclasses.replace(CARD, name="another", labels=("a", "b")))
    other = FrontendConfig(n_mels=26, n_mfcc=13, hop_length=200)
    with pytest.raises(BaselineError, match="the lab was enrolled for tiny"):
        enrolled().require_fit(dataclasses.replace(CARD, frontend=other))
    with pytest.raises(BaselineError, match="expected 13 means"):
        enrolled(mean=(0.0,) * 12).require_fit(CARD)


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
        np.testing.assert_array_equal(state.current(), np.arange(13, dtype=np.float32)[None])


@pytest.mark.parametrize("choice", ["running", enrolled()])
def test_a_model_that_takes_no_baseline_is_given_none(choice):
    assert isinstance(open_baseline(make_card(), "none"), NoBaseline)
    with pytest.raises(BaselineError, match="tiny takes no baseline"):
        open_baseline(make_card(), choice)
    with pytest.raises(BaselineError, match="tiny takes no baseline"):
        Recognizer(FakeRunner(), baseline=choice)


def test_an_enrolled_baseline_reaches_the_network(tmp_path, example_clips):
    model = write_network(tmp_path / "both.onnx", card=both_card())
    path = example_clips[0]
    plain = Recognizer(model).recognize(path)
    far = enrolled(mean=tuple(float(value) + 200 for value in PRIOR))
    moved = Recognizer(model, baseline=far).recognize(path)
    same = enrolled(mean=tuple(float(value) for value in PRIOR))
    as_plain = Recognizer(model, baseline=same).recognize(path)

    assert as_plain.final.probs == pytest.approx(plain.final.probs, abs=1e-6)
    assert moved.final.probs != pytest.approx(plain.final.probs, abs=1e-3)
    arousal = [window.arousal for window in plain.windows]
    assert plain.final.arousal == pytest.approx(np.mean(arousal))


# --- enrolment ---------------------------------------------------------------------------------


def test_an_enrolment_is_the_mean_of_all_seconds():
    enrolment = Enrolment(CARD)
    enrolment.learn(speech(0.0, 5.0))
    enrolment.learn(speech(40.0, 15.0))
    baseline = enrolment.baseline("anna", "2026-01-01")
    assert baseline.mean == (30.0,) * 13
    assert (baseline.speech_s, baseline.n_utterances, baseline.model) == (20.0, 2, "tiny")
    baseline.require_fit(CARD)


def test_too_little_speech_is_refused():
    enrolment = Enrolment(CARD)
    enrolment.learn(speech(0.0, LEAST_SPEECH_S - 0.1))
    with pytest.raises(BaselineError, match=r"4\.9 s in 1 utterances"):
        enrolment.baseline("anna", "2026-01-01")
