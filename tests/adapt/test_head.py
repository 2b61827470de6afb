"""The last layer: found, replaced, put back; what does not fit is refused."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from adaptable import write_adaptable
from onnx import helper
from support import make_card, write_conv_model, write_engine

from edge_ser.adapt.embed import Embedder
from edge_ser.adapt.head import BASE_KEY, Head, open_adaptable, undone, with_head
from edge_ser.card import ModelCard
from edge_ser.errors import ModelError
from edge_ser.inference.loader import bundled_model
from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.precision import KEY, Precision


@pytest.mark.parametrize("gemm", [True, False])
def test_the_head_makes_the_logits(tmp_path, gemm):
    path = write_adaptable(tmp_path / "m.onnx", gemm=gemm)
    source = open_adaptable(path)
    windows = np.random.default_rng(0).normal(size=(4, 13, 30)).astype(np.float32)

    logits = source.head.logits(Embedder(source)(windows))
    np.testing.assert_allclose(logits, OnnxRunner(path).run(windows), atol=1e-5)


def test_the_bundled_models_head_is_found():
    source = open_adaptable(bundled_model())
    windows = np.random.default_rng(0).normal(size=(2, 40, 298)).astype(np.float32)

    assert source.head.weight.shape == (6, 768)
    np.testing.assert_allclose(
        source.head.logits(Embedder(source)(windows)),
        OnnxRunner(bundled_model()).run(windows),
        atol=1e-3,
    )


def test_an_arousal_stays(tmp_path):
    card = make_card(arousal=True)
    path = write_adaptable(tmp_path / "m.onnx", arousal=True, card=card)
    source = open_adaptable(path)
    windows = np.ones((2, 13, 30), np.float32)

    np.testing.assert_allclose(Embedder(source)(windows), np.ones((2, 13)))
    changed = with_head(source, source.head.scaled(2), source.card)
    onnx.save(changed, str(tmp_path / "changed.onnx"))
    before, after = (
        OnnxRunner(tmp_path / name).infer(windows) for name in ("m.onnx", "changed.onnx")
    )
    np.testing.assert_allclose(after.logits, before.logits / 2, rtol=1e-5)
    np.testing.assert_array_equal(after.arousal, before.arousal)


@pytest.mark.parametrize("gemm", [True, False])
def test_what_is_undone_is_what_was(tmp_path, gemm):
    path = write_adaptable(tmp_path / "m.onnx", gemm=gemm)
    source = open_adaptable(path)
    card = make_card(name="changed")
    other = Head(source.head.weight + 1, source.head.bias - 1)
    adapted = tmp_path / "adapted.onnx"
    onnx.save(with_head(source, other, card), str(adapted))
    windows = np.random.default_rng(0).normal(size=(1, 13, 30)).astype(np.float32)

    logits = OnnxRunner(adapted).run(windows)
    np.testing.assert_allclose(logits, other.logits(Embedder(source)(windows)), atol=1e-4)
    model, digest = undone(adapted)
    again = tmp_path / "again.onnx"
    onnx.save(model, str(again))
    assert digest == source.base_sha256
    assert again.read_bytes() == path.read_bytes()


def test_an_adapted_file_is_read_as_the_one_before(tmp_path):
    source = open_adaptable(write_adaptable(tmp_path / "m.onnx"))
    adapted = tmp_path / "adapted.onnx"
    onnx.save(with_head(source, source.head.scaled(3), make_card(name="changed")), str(adapted))
    again = open_adaptable(adapted)

    assert again.was_adapted
    assert again.card == source.card
    assert again.base_sha256 == source.base_sha256
    np.testing.assert_array_equal(again.head.weight, source.head.weight)


def changed_record(change: dict[str, object]):
    def apply(text: str) -> str:
        return json.dumps({**json.loads(text), **change})

    return apply


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-5],
        lambda _: "[]",
        changed_record({"sha256": "0"}),
        changed_record({"weight": "AAAA"}),
        changed_record({"format": 9}),
    ],
)
def test_a_damaged_record_is_refused(tmp_path, damage):
    source = open_adaptable(write_adaptable(tmp_path / "m.onnx"))
    model = with_head(source, source.head, source.card)
    for entry in model.metadata_props:
        if entry.key == BASE_KEY:
            entry.value = damage(entry.value)
    onnx.save(model, str(tmp_path / "d.onnx"))

    for reader in (undone, open_adaptable):
        with pytest.raises(ModelError, match=r"d\.onnx"):
            reader(tmp_path / "d.onnx")


def test_what_cannot_be_adapted_is_refused(tmp_path):
    int8 = onnx.load(str(write_adaptable(tmp_path / "m.onnx")))
    record = Precision(
        "int8", "5a", "minmax", per_channel=True, calibration_digest="ca", excluded=()
    )
    int8.metadata_props.add(key=KEY, value=record.to_json())
    onnx.save(int8, str(tmp_path / "int8.onnx"))
    bare = onnx.load(str(tmp_path / "m.onnx"))
    del bare.metadata_props[:]
    onnx.save(bare, str(tmp_path / "bare.onnx"))
    wide = onnx.load(str(tmp_path / "m.onnx"))
    helper.set_model_props(
        wide, {"edge_ser.card": make_card(labels=("a", "b", "c", "d")).to_json()}
    )
    onnx.save(wide, str(tmp_path / "wide.onnx"))
    write_conv_model(tmp_path / "conv.onnx")
    write_engine(tmp_path / "m.engine")

    for name in ("int8.onnx", "m.engine"):
        with pytest.raises(ModelError, match="adapt the FP32 file"):
            open_adaptable(tmp_path / name)
    for name in ("bare.onnx", "wide.onnx", "conv.onnx", "none.onnx"):
        with pytest.raises(ModelError, match=name):
            open_adaptable(tmp_path / name)
    with pytest.raises(ModelError, match="not adapted"):
        undone(tmp_path / "m.onnx")


def test_a_head_that_is_not_finite_is_not_stored(tmp_path):
    source = open_adaptable(write_adaptable(tmp_path / "m.onnx"))

    with pytest.raises(ModelError, match="not finite"):
        with_head(source, Head(source.head.weight * np.inf, source.head.bias), source.card)


def test_old_cards_are_read_as_not_adapted():
    text = json.loads(make_card().to_json())
    del text["adapted"]

    assert ModelCard.from_json(json.dumps(text)).adapted is None
