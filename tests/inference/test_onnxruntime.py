"""Opening models: what is refused and why. Running them: shapes, determinism, threads."""

from __future__ import annotations

import dataclasses
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from networks import both_card, write_network
from onnx import TensorProto
from support import FakeRunner, make_card, write_tiny_model

from edge_ser.card import CARD_KEY, FrontendConfig, ModelCard, Normalization
from edge_ser.errors import ModelError
from edge_ser.frontend import mfcc
from edge_ser.inference.loader import bundled_model, open_runner
from edge_ser.inference.onnxruntime import OnnxRunner


def refusal(path: Path) -> str:
    """Return the message with which a model is refused."""
    with pytest.raises(ModelError) as raised:
        open_runner(path)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def rewrite(path: Path, change) -> Path:
    """Apply `change` to the ONNX model in `path`."""
    model = onnx.load(str(path))
    change(model)
    onnx.save(model, str(path))
    return path


def with_card_text(path: Path, text: str) -> Path:
    """Put `text` where the ModelCard stands."""

    def change(model: onnx.ModelProto) -> None:
        onnx.helper.set_model_props(model, {CARD_KEY: text})

    return rewrite(path, change)


def with_card(path: Path, **changes: object) -> Path:
    """Put another card on the same network."""
    return with_card_text(path, make_card(**changes).to_json())


def random_inputs(card: ModelCard, batch: int, n_frames: int) -> np.ndarray:
    """Return float32 [batch, n_features, n_frames]."""
    shape = (batch, card.frontend.n_features, n_frames)
    return np.random.default_rng(n_frames).normal(size=shape).astype(np.float32)


# --- files that are no model --------------------------------------------------------------


def test_a_missing_file(tmp_path):
    assert "--model" in refusal(tmp_path / "missing.onnx")


def test_a_directory(tmp_path):
    (tmp_path / "model.onnx").mkdir()
    assert "--model" in refusal(tmp_path / "model.onnx")


@pytest.mark.parametrize("name", ["tiny.pt", "tiny.trt", "tiny"])
def test_another_ending(tiny_model, name):
    path = tiny_model.rename(tiny_model.with_name(name))
    assert "ONNX file" in refusal(path)


def test_the_ending_may_be_in_capitals(tiny_model):
    path = tiny_model.rename(tiny_model.with_name("tiny.ONNX"))
    assert open_runner(path).card.name == "tiny"


@pytest.mark.parametrize("content", [b"", b"this is a text\n" * 50, b"\x08\x08"])
def test_not_onnx(tmp_path, content):
    (tmp_path / "a.onnx").write_bytes(content)
    message = refusal(tmp_path / "a.onnx")
    assert "ONNXRuntimeError" in message
    assert "export" in message


def test_a_truncated_model(tiny_model):
    tiny_model.write_bytes(tiny_model.read_bytes()[:-300])
    assert "export" in refusal(tiny_model)


# --- cards -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"input", b"frames", b"edge_ser.card", b"middle"])
def test_a_text_that_is_not_utf8(tiny_model, text):
    tiny_model.write_bytes(tiny_model.read_bytes().replace(text, text[:-1] + b"\xff"))

    assert "not UTF-8" in refusal(tiny_model)


def test_no_card(tmp_path):
    message = refusal(write_tiny_model(tmp_path / "a.onnx", key=""))
    assert re.search(r"\bnone; .*\bedge_ser\.card\b", message)
    assert "edge-ser export" in message


def test_metadata_of_another_program(tmp_path):
    message = refusal(write_tiny_model(tmp_path / "a.onnx", key="other.card"))
    assert re.search(r"\bother\.card; .*\bedge_ser\.card\b", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "is not JSON"),
        ("[]", "not an edge-ser ModelCard"),
        ('{"names": {"0": "person"}}', "not an edge-ser ModelCard"),
        ('{"format": 99}', "has format 99"),
        ('{"format": 1}', "ModelCard lacks accuracy, architecture"),
    ],
)
def test_a_foreign_card(tiny_model, text, message):
    assert message in refusal(with_card_text(tiny_model, text))


def test_a_card_without_a_field(tiny_model):
    data = json.loads(make_card().to_json())
    del data["labels"]
    assert "ModelCard lacks labels" in refusal(with_card_text(tiny_model, json.dumps(data)))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": ("low", "high")}, "output"),
        ({"labels": tuple("abcd")}, "output"),
        ({"input": "waveform"}, "input"),
        (
            {
                "frontend": FrontendConfig(n_mels=26, n_mfcc=20),
                "normalization": Normalization((0.0,) * 20, (1.0,) * 20),
            },
            "input",
        ),
    ],
)
def test_a_card_that_belongs_to_another_network(tiny_model, changes, what):
    message = refusal(with_card(tiny_model, **changes))
    assert f"the graph's {what} is [" in message
    assert "its ModelCard says" in message


def test_a_features_card_on_a_waveform_network(tmp_path):
    path = write_tiny_model(tmp_path / "a.onnx", make_card(input="waveform"))
    assert "its ModelCard says ['any', 13, 'any']" in refusal(with_card(path))


def test_a_front_end_that_cannot_be_computed(tiny_model):
    """So many mel bands hold no FFT bin: to be refused when the model is opened, not in mid-stream."""
    frontend = dataclasses.replace(make_card().frontend, n_mels=200)
    assert "of 200 mel" in refusal(with_card(tiny_model, frontend=frontend))


# --- graphs ------------------------------------------------------------------------------


def test_a_second_input(tiny_model):
    def change(model: onnx.ModelProto) -> None:
        extra = onnx.helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1])
        model.graph.input.append(extra)

    message = refusal(rewrite(tiny_model, change))
    assert "2 inputs" in message
    assert "speed" in message


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_an_input_that_is_not_float32(tiny_model, kind):
    """The runtime feeds float32; ONNX Runtime would refuse it at the first window only."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.elem_type = kind
        cast = onnx.helper.make_node("Cast", ["input"], ["as_float"], to=TensorProto.FLOAT)
        model.graph.node[0].input[0] = "as_float"
        model.graph.node.insert(0, cast)

    assert "float32" in refusal(rewrite(tiny_model, change))


# --- running -----------------------------------------------------------------------------


def test_logits_are_those_of_the_network(tiny_model):
    runner = open_runner(tiny_model)
    inputs = np.random.default_rng(0).normal(size=(4, 13, 50)).astype(np.float32)
    (weights,) = onnx.load(str(tiny_model)).graph.initializer

    logits = runner.run(inputs)

    assert (logits.dtype, logits.shape) == (np.float32, (4, 3))
    expected = inputs.mean(axis=2) @ onnx.numpy_helper.to_array(weights)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-6)


def test_a_waveform_network(tmp_path):
    path = write_tiny_model(tmp_path / "a.onnx", make_card(input="waveform"))
    assert open_runner(path).run(np.ones((2, 16_000), np.float32)).shape == (2, 3)


@pytest.mark.parametrize("shape", [(13, 50), (1, 12, 50), (1, 50, 13), (1, 1, 13, 50), (13,), ()])
def test_an_input_of_another_shape(tiny_model, shape):
    with pytest.raises(ModelError) as raised:
        open_runner(tiny_model).run(np.zeros(shape, np.float32))
    assert "input ['batch', 13, 'frames']" in str(raised.value)
    assert f"{list(shape)};" in str(raised.value)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int16])
def test_an_input_of_another_type(tiny_model, dtype):
    with pytest.raises(ModelError, match=rf"\b{np.dtype(dtype)} of shape"):
        open_runner(tiny_model).run(np.zeros((1, 13, 50), dtype))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite(tiny_model, bad):
    inputs = np.full((1, 13, 50), bad, np.float32)
    with pytest.raises(ModelError, match=r"tiny\.onnx .*\blogits\b.*\bfinite\b"):
        open_runner(tiny_model).run(inputs)


def test_a_path_may_be_text_and_the_card_is_the_files(tiny_model):
    runner = open_runner(str(tiny_model))
    assert isinstance(runner, OnnxRunner)
    assert runner.card == make_card()


def test_threads_change_nothing():
    one, two = open_runner(), open_runner(threads=2)
    inputs = random_inputs(one.card, 1, 100)
    np.testing.assert_allclose(two.run(inputs), one.run(inputs), rtol=1e-4, atol=1e-5)


def test_one_runner_serves_several_threads():
    runner = open_runner()
    batches = [random_inputs(runner.card, 1, 60 + i) for i in range(16)]
    alone = [runner.run(batch) for batch in batches]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(runner.run, batches))

    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


# --- an arousal -----------------------------------------------------------


@pytest.fixture
def both(tmp_path):
    """A model with the second output, features in."""
    return OnnxRunner(write_network(tmp_path / "both.onnx", card=both_card()))


@pytest.mark.parametrize("waveform", [False, True])
def test_a_model_with_an_arousal(tmp_path, waveform):
    path = write_network(tmp_path / "both.onnx", card=both_card(), waveform=waveform)
    runner = open_runner(path)
    inputs = np.random.default_rng(0).normal(size=(2, 16_000)).astype(np.float32)
    if not waveform:
        inputs = np.stack([mfcc(samples, runner.card.frontend) for samples in inputs])

    output = runner.infer(inputs)

    assert (output.logits.dtype, output.logits.shape) == (np.float32, (2, 3))
    assert output.arousal is not None
    assert (output.arousal.dtype, output.arousal.shape) == (np.float32, (2,))
    assert ((output.arousal > 0) & (output.arousal < 1)).all()
    np.testing.assert_array_equal(runner.run(inputs), output.logits)


@pytest.mark.parametrize(
    ("says", "has"),
    [
        ({"arousal": True}, {}),
        ({"arousal": True, "labels": ("a", "b")}, {"arousal": True}),
    ],
)
def test_a_card_and_a_graph_that_differ_in_it(tmp_path, says, has):
    path = write_network(tmp_path / "m.onnx", card=make_card(**has))
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {CARD_KEY: make_card(**says).to_json()})
    onnx.save(model, str(path))
    assert "export" in refusal(path)


def test_a_baseline_input_is_refused(both):
    """As of models from before baselines were subtracted from the outputs."""

    def change(model: onnx.ModelProto) -> None:
        extra = onnx.helper.make_tensor_value_info("baseline", TensorProto.FLOAT, ["batch", 13])
        model.graph.input.append(extra)

    assert "baseline" in refusal(rewrite(both.path, change))


def test_an_arousal_that_is_no_probability(both):
    def change(model: onnx.ModelProto) -> None:
        node = next(n for n in model.graph.node if n.name == "excited")
        node.op_type = "Exp"
        bias = next(w for w in model.graph.initializer if w.name == "arousal_b")
        bias.CopyFrom(onnx.numpy_helper.from_array(np.array([50], np.float32), "arousal_b"))

    runner = OnnxRunner(rewrite(both.path, change))
    with pytest.raises(ModelError, match="arousal"):
        runner.infer(random_inputs(runner.card, 1, 50))


def test_a_runner_that_only_runs_infers_too():
    """As the fakes of tests do, and runners that were written before there was `infer`."""
    runner = FakeRunner()
    inputs = random_inputs(runner.card, 2, 50)
    output = runner.infer(inputs)
    np.testing.assert_array_equal(output.logits, runner.run(inputs))
    assert output.arousal is None


# --- the bundled model -------------------------------------------------------------------


def test_the_bundled_model_is_opened_by_default():
    card = open_runner().card
    assert bundled_model().name == "edge_ser.onnx"
    assert card.n_parameters > 0
    assert {"angry", "happy", "neutral", "sad"} <= set(card.labels)
    assert card.weights_licence
    assert card.accuracy
    assert ModelCard.from_json(card.to_json()) == card


@pytest.mark.parametrize("n_frames", [1, 7, 298])
def test_the_bundled_model_takes_any_batch_and_length(n_frames):
    runner = open_runner()
    inputs = random_inputs(runner.card, 3, n_frames)

    logits = runner.run(inputs)

    assert logits.shape == (3, len(runner.card.labels))
    np.testing.assert_allclose(logits[1:2], runner.run(inputs[1:2]), rtol=1e-3, atol=1e-4)


def test_the_bundled_model_refuses_no_frames():
    runner = open_runner()
    with pytest.raises(ModelError, match=r"\[1, \d+, 0\]"):
        runner.run(random_inputs(runner.card, 1, 0))
