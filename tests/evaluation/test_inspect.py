"""What is said of a file: the bundled model, foreign and damaged ones, engines."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re

import numpy as np
import onnx
import pytest
from support import FakeRunner, absent, make_card, make_manifest, write_engine, write_tiny_model

from edge_ser.audio.io import AudioChunk
from edge_ser.card import CARD_KEY
from edge_ser.errors import EngineError, MissingDependency, ModelError
from edge_ser.evaluation.inspect import OnnxInspection, inspect, to_json, window_shape
from edge_ser.inference.loader import bundled_model
from edge_ser.precision import KEY, Precision
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.tensorrt.engine import read_engine
from edge_ser.tensorrt.manifest import manifest_path
from edge_ser.tensorrt.summary import inspect_engine


def with_metadata(path, **entries):
    model = onnx.load(str(path))
    known = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, known | entries)
    onnx.save(model, str(path))
    return path


def test_the_bundled_model():
    found = inspect(bundled_model())

    assert isinstance(found, OnnxInspection)
    assert found.card == Recognizer().card
    assert found.sha256 == hashlib.sha256(bundled_model().read_bytes()).hexdigest()
    assert (found.opsets, found.ir_version, found.precision) == ({"ai.onnx": 17}, 8, None)
    assert [(t.name, t.shape) for t in found.inputs] == [("features", ("batch", 40, "frames"))]
    assert found.macs == sum(layer.macs or 0 for layer in found.layers)
    assert found.frontend_macs == 0
    assert [(s.precision, s.macs_share) for s in found.precisions] == [("FP32", 1.0)]


@pytest.mark.parametrize("kind", ["features", "waveform"])
def test_the_window_that_is_counted_is_the_one_that_the_runtime_cuts(kind):
    card = make_card(input=kind)
    runner = FakeRunner(card)
    noise = np.random.default_rng(0).normal(size=16_000).astype(np.float32) / 9
    list(Recognizer(runner).stream([AudioChunk(noise, 16_000)]))

    assert runner.inputs[0].shape == window_shape(card)


def test_the_record_of_the_precision_is_read(tiny_model):
    record = Precision(
        "int8", "ab" * 32, "entropy", per_channel=True, calibration_digest="cd" * 32, excluded=()
    )
    with_metadata(tiny_model, **{KEY: record.to_json()})

    found = inspect(tiny_model)

    assert found.precision == record
    assert found.card == make_card()


def test_a_foreign_model_has_no_card(tmp_path):
    found = inspect(write_tiny_model(tmp_path / "a.onnx", key="other.card"))

    assert found.card is None
    assert found.input_shape == ()
    assert found.macs == 13 * 3  # the mean over time needs no length
    assert json.loads(to_json(found))["card"] is None


@pytest.mark.parametrize("key", [CARD_KEY, KEY])
def test_a_record_that_is_damaged_is_refused_by_name(tiny_model, key):
    with_metadata(tiny_model, **{key: "{}"})
    with pytest.raises(ModelError, match=r"again|export") as raised:
        inspect(tiny_model)
    assert str(raised.value).startswith(f"{tiny_model}: ")


def test_the_json_holds_everything(tiny_model):
    data = json.loads(to_json(inspect(tiny_model)))

    assert data["kind"] == "onnx"
    assert data["card"] == json.loads(make_card().to_json())
    assert data["macs"] == 39
    (layer,) = data["layers"]
    assert (layer["operator"], layer["precision"], layer["macs"]) == ("MatMul", "FP32", 39)


@pytest.mark.parametrize(
    ("name", "says"),
    [("none.onnx", r"\bno (such )?model\b.*\bnone\.onnx\b"), ("a.pt", r"'\.pt'")],
)
def test_what_is_no_model_file(tmp_path, name, says):
    (tmp_path / "a.pt").write_bytes(b"torch")
    with pytest.raises(ModelError, match=says):
        inspect(tmp_path / name)


# --- engines -----------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path):
    return write_engine(tmp_path / "model.engine")


@pytest.mark.parametrize("name", ["model.plan", "model.PLAN"])
def test_engines_of_other_tools_names_are_engines(tmp_path, name):
    assert inspect(write_engine(tmp_path / name)).kind == "engine"


def test_an_engine_is_known_by_its_manifest(engine):
    found = inspect(engine)

    assert found.manifest == make_manifest(
        engine_sha256=found.sha256, engine_bytes=found.size_bytes
    )
    assert found.card == make_card()
    assert found.built_layers == {}
    assert re.fullmatch(r"[^:]*\bengine: .+", found.built_layers_note)


def test_layers_that_the_device_has_told_are_shown(engine):
    write_engine(engine, layers={"conv": "int8"})

    found = inspect_engine(engine, fill=lambda _: pytest.fail("they are known"))

    assert found.built_layers == {"conv": "int8"}
    assert not found.built_layers_note


def test_where_there_is_a_gpu_the_engine_is_asked_once(engine):
    def ask(path):
        manifest, _ = read_engine(path)
        return dataclasses.replace(manifest, layers={"conv": "fp16"})

    assert inspect_engine(engine, ask).built_layers == {"conv": "fp16"}
    assert inspect_engine(engine, fill=pytest.fail).built_layers == {"conv": "fp16"}


@pytest.mark.parametrize("problem", [EngineError("no GPU"), MissingDependency("x", "y")])
def test_without_one_the_reason_is_given_and_nothing_changes(engine, problem):
    def ask(_):
        raise problem

    before = manifest_path(engine).read_bytes()

    assert inspect_engine(engine, ask).built_layers_note.endswith(f" engine: {problem}")
    assert manifest_path(engine).read_bytes() == before


def test_a_manifest_of_another_engine_is_refused(engine):
    before = len(engine.read_bytes())
    engine.write_bytes(b"ftrt and no more")
    with pytest.raises(EngineError) as raised:
        inspect(engine)
    assert absent(raised.value, str(engine), "16", str(before), "edge-ser build-engine") == []


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "\xff", '{"card": 1}'])
def test_an_engine_without_a_good_manifest_is_refused(engine, text):
    if text is None:
        manifest_path(engine).unlink()
    else:
        manifest_path(engine).write_text(text, encoding="latin-1")
    with pytest.raises(EngineError, match=r"manifest|model\.engine\.json"):
        inspect(engine)
