"""Scores of a changed network, against counting by hand and against `edge-ser evaluate`."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from networks import both_card, calibration_of, network, write_network
from onnx import numpy_helper
from support import make_card

from edge_ser.corpora import load_corpora
from edge_ser.errors import ConfigError
from edge_ser.evaluation.evaluate import evaluate
from edge_ser.evaluation.selection import select
from edge_ser.quantization.accuracy_gate import (
    AccuracyGate,
    GateClips,
    Score,
    cut_clips,
    interleaved_ms,
    window_clips,
)
from edge_ser.quantization.gate_config import Gate
from edge_ser.recognition.recognizer import Recognizer

CARD = make_card()
WINDOWS = calibration_of(CARD).windows


def shifted(by):
    """Return the network with `by` added to its logits."""
    model = network(CARD)
    bias = next(t for t in model.graph.initializer if t.name == "head_b")
    values = numpy_helper.to_array(bias) + np.asarray(by, np.float32)
    bias.CopyFrom(numpy_helper.from_array(values, "head_b"))
    return model


def test_the_same_network_loses_nothing():
    score = AccuracyGate(network(CARD), window_clips(WINDOWS)).score(network(CARD))

    assert score == Score(0.0, 0.0, 1.0, 1.0, None, None)
    assert score.uar_loss is None
    assert set(score.figures()) == {"mean_error", "max_error", "agreement", "window_agreement"}


def test_errors_and_agreement_are_counted():
    score = AccuracyGate(network(CARD), window_clips(WINDOWS)).score(shifted([3000, 0, 0]))

    assert score.max_error == pytest.approx(3000, rel=1e-3)
    assert score.mean_error == pytest.approx(1000, rel=1e-3)
    before = AccuracyGate(shifted([3000, 0, 0]), window_clips(WINDOWS))
    assert before.score(shifted([0, 3000, 0])).agreement == 0.0


def test_silent_clips_are_errors_of_both():
    empty = np.empty((0, *WINDOWS.shape[1:]), np.float32)
    clips = GateClips((WINDOWS[:3], WINDOWS[3:5], empty), (0, 1, 1), "three clips")
    score = AccuracyGate(shifted([3000, 0, 0]), clips).score(shifted([0, 3000, 0]))

    assert score.uar_fp32 == pytest.approx((1 + 0) / 2)
    assert score.uar == pytest.approx((0 + 1 / 2) / 2)
    assert score.uar_loss == pytest.approx(1 / 4)
    assert score.agreement == 0.0


@pytest.mark.parametrize("waveform", [False, True])
def test_recall_is_that_of_evaluate(tmp_path, waveform):
    rng = np.random.default_rng(0)
    for label in CARD.labels:
        (tmp_path / "site" / label / "s1").mkdir(parents=True)
        for take in range(3):
            samples = rng.normal(size=rng.integers(6000, 40_000)) * rng.uniform(0.001, 0.3)
            soundfile.write(tmp_path / "site" / label / "s1" / f"{take}.wav", samples, 16_000)
    soundfile.write(tmp_path / "site" / "low" / "s1" / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "site" / "low" / "s1" / "short.wav", np.ones(500) / 9, 16_000)
    clips = load_corpora([f"folder:site={tmp_path / 'site'}"])
    path = write_network(tmp_path / "m.onnx", waveform=waveform)
    recognizer = Recognizer(path)

    steps = []
    cut = cut_clips(clips, recognizer.card, lambda: steps.append(1))
    score = AccuracyGate(network(CARD), cut).score(network(CARD))

    expected = (
        evaluate(recognizer, select(clips, recognizer.card), n_draws=100)
        .blocks[0]
        .overall.uar.value
    )
    assert score.uar == score.uar_fp32 == pytest.approx(expected)
    assert sum(steps) == len(clips) == 11


def test_the_gate_reads_both_figures():
    gate = Gate(max_uar_loss=0.01, min_agreement=0.97)

    assert gate.holds(Score(0, 0, 0.97, 0.9, 0.60, 0.61))
    assert not gate.holds(Score(0, 0, 0.97, 0.9, 0.599, 0.61))
    assert not gate.holds(Score(0, 0, 0.969, 0.9, 0.7, 0.61))
    assert not gate.holds(Score(0, 0, 0.969, 0.9, None, None))
    with pytest.raises(ConfigError, match=r"\bmin_agreement\b.*\b97\b"):
        Gate(min_agreement=97)


def test_times_are_medians_of_each():
    times = interleaved_ms([network(CARD), network(CARD)], WINDOWS[:1], 5)

    assert len(times) == 2
    assert min(times) > 0


def test_arousal_is_compared_if_present():
    card = both_card()
    model, changed = network(card), network(card)
    bias = next(t for t in changed.graph.initializer if t.name == "arousal_b")
    bias.CopyFrom(numpy_helper.from_array(np.array([0.2], np.float32), "arousal_b"))
    gate = AccuracyGate(model, window_clips(WINDOWS))

    assert gate.score(model).arousal_error == 0.0
    score = gate.score(changed)
    assert (score.max_error, score.agreement) == (0.0, 1.0)
    assert 0 < score.arousal_error < 0.1 / 4 + 1e-3
    assert "arousal_error" in score.figures()
