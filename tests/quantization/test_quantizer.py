"""From an FP32 file to INT8 and FP16 files, through the gate."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re

import numpy as np
import onnx
import pytest
from networks import both_card, calibration_of, write_network
from support import make_card, write_tiny_model

from edge_ser.card import CARD_KEY, FrontendConfig
from edge_ser.corpora import load_corpora
from edge_ser.errors import CalibrationError, ConfigError, ModelError
from edge_ser.inference.loader import bundled_model
from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.precision import KEY, Precision
from edge_ser.quantization.accuracy_gate import cut_clips
from edge_ser.quantization.calibration_set import CalibrationSet, default_calibration
from edge_ser.quantization.gate_config import Gate
from edge_ser.quantization.model_parts import open_source, save_checked
from edge_ser.quantization.quantizer import QuantizeConfig, Quantizer, compare_methods

CARD = make_card()
LOOSE = Gate(1.0, 0.0)
INT8, FP16 = QuantizeConfig(), QuantizeConfig(int8=False, fp16=True)
BOTH = QuantizeConfig(fp16=True)
HELD_OUT = {f"RAVDESS/{speaker}" for speaker in ("03", "06", "11", "18", "24")}


@pytest.fixture
def quantizer(tmp_path):
    return Quantizer(open_source(write_network(tmp_path / "small.onnx")), calibration_of(CARD))


@pytest.mark.parametrize("config", [INT8, FP16, BOTH], ids=lambda w: w.kind)
@pytest.mark.parametrize("waveform", [False, True])
def test_the_file_carries_its_card_and_how_it_was_made(tmp_path, config, waveform):
    path = write_network(tmp_path / "small.onnx", waveform=waveform)
    quantizer = Quantizer(open_source(path), calibration_of(CARD))
    quantized = quantizer.quantize(config, LOOSE)
    out = tmp_path / "made.onnx"
    save_checked(quantized.model, out, quantizer.example())

    model = onnx.load(out)
    props = {p.key: p.value for p in model.metadata_props}
    old = {p.key: p.value for p in onnx.load(path).metadata_props}
    record = Precision.from_json(props[KEY])
    assert props[CARD_KEY] == old[CARD_KEY]
    assert record.kind == config.kind
    assert record.source_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record.calibration_digest == calibration_of(CARD).digest
    assert record.method == ("minmax" if config.int8 else "")
    assert ("gate" in record.excluded) is config.int8
    assert record.gate["agreement"] == quantized.score.agreement
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    if waveform:
        front = [n for n in model.graph.node if n.name.startswith("frontend/")]
        assert front == [n for n in onnx.load(path).graph.node if n.name.startswith("frontend/")]
    inputs = quantizer.example()
    got, expected = OnnxRunner(out).run(inputs), OnnxRunner(path).run(inputs)
    assert np.abs(got - expected).max() < 0.2 * np.abs(expected).max()


@pytest.mark.parametrize("config", [INT8, FP16, BOTH], ids=lambda w: w.kind)
@pytest.mark.parametrize("waveform", [False, True])
def test_usual_outputs_and_arousal_come_through_every_precision(tmp_path, config, waveform):
    path = write_network(tmp_path / "both.onnx", card=both_card(), waveform=waveform)
    quantizer = Quantizer(open_source(path), calibration_of(CARD))
    quantized = quantizer.quantize(config, LOOSE)
    out = tmp_path / "made.onnx"
    save_checked(quantized.model, out, quantizer.example())

    assert set(quantized.quantized).isdisjoint({"arousal_score"})
    assert quantized.score.arousal_error is not None
    made, plain = OnnxRunner(out), OnnxRunner(path)
    assert made.card == plain.card
    inputs = quantizer.example()
    got, expected = made.infer(inputs), plain.infer(inputs)
    assert np.abs(got.logits - expected.logits).max() < 0.2 * np.abs(expected.logits).max()
    assert np.abs(got.arousal - expected.arousal).max() < 0.1


def test_the_branch_of_an_arousal_is_not_ranked(tmp_path):
    path = write_network(tmp_path / "both.onnx", card=both_card())
    quantizer = Quantizer(open_source(path), calibration_of(CARD))
    ranked = [cost.layer.name for cost in quantizer.sensitivity(INT8).costs]
    assert sorted(ranked) == ["first", "gate", "head", "score", "second"]
    rows = compare_methods(quantizer, INT8)
    assert all(row.score.arousal_error is not None for row in rows)


def test_audio_in_and_features_in_are_quantised_alike(tmp_path):
    made = [
        Quantizer(
            open_source(write_network(tmp_path / f"{waveform}.onnx", waveform=waveform)),
            calibration_of(CARD),
        ).quantize(INT8, LOOSE)
        for waveform in (False, True)
    ]
    kinds = [{(n.name, n.op_type) for n in one.network.graph.node} for one in made]

    assert kinds[0] == kinds[1]
    assert made[0].score == made[1].score


def test_sensitivity_ranks_all_layers(quantizer, tmp_path):
    steps = []
    report = quantizer.sensitivity(INT8, lambda: steps.append(1))
    report.save(tmp_path / "s.json")

    errors = [cost.score.mean_error for cost in report.costs]
    assert {cost.layer.name for cost in report.costs} == {
        "first",
        "second",
        "gate",
        "score",
        "head",
    }
    assert errors == sorted(errors, reverse=True)
    assert min(errors) > 0
    assert len(steps) == 5
    saved = json.loads((tmp_path / "s.json").read_text())
    assert saved["costs"][0]["layer"]["name"] == report.costs[0].layer.name
    assert saved["measured_on"] == "24 calibration windows, no labels"


def test_layers_are_sacrificed_by_rank_until_the_gate_holds(quantizer):
    report = quantizer.sensitivity(INT8)
    order = [c.layer.name for c in report.costs if c.layer.name != "gate"]
    scores = [quantizer.accuracy_gate.score(quantizer.network(INT8, order[i:])) for i in range(4)]

    class Strict(Gate):
        def holds(self, score):
            return score.mean_error <= scores[2].mean_error

    made = quantizer.quantize(INT8, Strict())
    n = next(i for i, s in enumerate(scores) if s.mean_error <= scores[2].mean_error)

    assert n > 0
    assert made.kept_in_float == tuple(order[:n])
    assert set(made.quantized) == set(order[n:])
    assert set(Precision.from_json(props(made.model)[KEY]).excluded) == {"gate", *order[:n]}


def props(model):
    return {p.key: p.value for p in model.metadata_props}


@pytest.mark.parametrize("config", [INT8, FP16], ids=lambda w: w.kind)
def test_a_gate_that_cannot_be_held_writes_nothing_and_says_what_was_lost(quantizer, config):
    class Never(Gate):
        def holds(self, score):  # noqa: ARG002
            return False

    with pytest.raises(CalibrationError, match=r"\b24 calibration windows\b.*--method\b"):
        quantizer.quantize(config, Never())


def test_methods_are_compared_by_channel_and_by_tensor(quantizer):
    rows = compare_methods(quantizer, INT8)

    assert [(r.method, r.per_channel) for r in rows] == [
        (m, c) for c in (True, False) for m in ("entropy", "percentile", "minmax", "mse")
    ]
    assert all(row.speed > 0 and row.size > 0 and row.score.uar is None for row in rows)


def test_an_excluded_layer_stays_in_float(quantizer):
    made = quantizer.quantize(QuantizeConfig(exclude=("second",)), LOOSE)

    assert "second" not in made.quantized
    with pytest.raises(ConfigError, match=r"\bfirst, second, gate, score, head\b.*'third'"):
        quantizer.quantize(QuantizeConfig(exclude=("third",)), LOOSE)
    with pytest.raises(ConfigError, match=r"\bINT8\b.*\bfirst, second, gate, score, head\b"):
        quantizer.quantize(QuantizeConfig(exclude=("first", "second", "score", "head")), LOOSE)


def test_invalid_options_are_refused():
    with pytest.raises(ConfigError, match=r"\bINT8\b.*\bFP16\b"):
        QuantizeConfig(int8=False)
    with pytest.raises(ConfigError, match=r"\bmethod\b.*'kl'"):
        QuantizeConfig(method="kl")


def test_a_set_of_another_front_end_is_refused(tmp_path):
    source = open_source(write_network(tmp_path / "small.onnx"))
    other = make_card(frontend=FrontendConfig(n_mels=26, n_mfcc=13, fmin=50.0))

    with pytest.raises(CalibrationError, match=r"\bfmin\b.*\b50\.0\b.*\b20\.0\b"):
        Quantizer(source, calibration_of(other))


@pytest.mark.parametrize("config", [INT8, FP16, BOTH], ids=lambda w: w.kind)
def test_what_was_changed_already_is_refused(quantizer, tmp_path, config):
    out = tmp_path / "made.onnx"
    save_checked(quantizer.quantize(config, LOOSE).model, out, quantizer.example())

    with pytest.raises(ModelError, match=rf"\bFP32\b.*\bgot {re.escape(config.kind)};"):
        open_source(out)
    bare = onnx.load(out)
    onnx.helper.set_model_props(bare, {CARD_KEY: CARD.to_json()})
    onnx.save(bare, str(out))
    with pytest.raises(ModelError, match=r"made\.onnx\b.*\bFP32\b.*\bgot (int8|fp16);"):
        open_source(out)


def test_foreign_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"\bModelCard\b"):
        open_source(write_tiny_model(tmp_path / "a.onnx", key="other"))
    with pytest.raises(ModelError, match=r"none\.onnx"):
        open_source(tmp_path / "none.onnx")
    audio = write_tiny_model(tmp_path / "b.onnx", make_card(input="waveform"))
    with pytest.raises(ModelError, match="no tensor 'features'"):
        open_source(audio)


def test_nothing_is_left_of_a_file_that_fails(quantizer, tmp_path):
    model = quantizer.quantize(INT8, LOOSE).model
    with pytest.raises(ConfigError, match=r"\.onnx\b.*made\.bin\b.*--out\b"):
        save_checked(model, tmp_path / "made.bin", quantizer.example())
    bias = next(t for t in model.graph.initializer if t.name == "head_b")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(3, np.inf, np.float32), "head_b"))
    with pytest.raises(ModelError, match="not finite"):
        save_checked(model, tmp_path / "made.onnx", quantizer.example())

    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.onnx"]


def test_a_network_of_one_matrix_is_quantised_too(tiny_model):
    quantizer = Quantizer(open_source(tiny_model), calibration_of(CARD))
    made = quantizer.quantize(INT8, LOOSE)

    assert made.quantized == ("MatMul_1",)
    assert made.score.mean_error > 0


@pytest.fixture(scope="module")
def bundled(corpora_dir):
    """The bundled model, its calibration set, and RAVDESS speakers that it was not trained on."""
    source = open_source(bundled_model())
    clips = load_corpora([f"RAVDESS={corpora_dir / 'RAVDESS'}"])
    held_out = [c for c in clips if c.speaker in HELD_OUT and c.emotion in source.card.labels]
    calibration = CalibrationSet.load(default_calibration())
    return Quantizer(source, calibration, cut_clips(held_out, source.card))


def test_int8_of_the_bundled_model_keeps_recall_labels_and_a_third_of_the_size(bundled):
    made = bundled.quantize(INT8, Gate())

    assert made.kept_in_float == ()
    assert len(bundled.accuracy_gate.clips.clips) == 220
    assert made.score.uar_loss <= 0.01
    assert made.score.agreement >= 0.97
    assert made.model.ByteSize() <= 0.35 * bundled.source.n_bytes


def test_fp16_of_the_bundled_model_keeps_logits(bundled):
    made = bundled.quantize(FP16, Gate())

    assert made.score.max_error <= 1e-2
    assert made.score.agreement == 1.0
    assert made.model.ByteSize() <= 0.55 * bundled.source.n_bytes


def test_int8_with_fp16_of_the_bundled_model_keeps_recall(bundled):
    made = bundled.quantize(BOTH, Gate())

    assert made.score.uar_loss <= 0.01
    assert made.model.ByteSize() < bundled.quantize(INT8, Gate()).model.ByteSize()


def test_a_card_cannot_be_mistaken_for_another(bundled):
    card = dataclasses.replace(bundled.source.card, window_s=2.0)
    with pytest.raises(CalibrationError, match="window"):
        bundled.calibration.require(card)
