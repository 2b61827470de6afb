"""Cards, manifests, settings and events with something changed in them."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from fuzz_seeds import CARD, as_json
from fuzzing import changed, changed_text, damaged, fuzz
from hypothesis import strategies as st
from support import ROOT, make_card, make_manifest, write_engine

from edge_ser._util.records import build
from edge_ser.card import FrontendConfig, ModelCard
from edge_ser.frontend import mel_filterbank
from edge_ser.precision import Precision
from edge_ser.quantization.calibration_set import CalibrationSet
from edge_ser.recognition import events
from edge_ser.tensorrt import manifest as manifest_module
from edge_ser.tensorrt.engine import read_engine
from edge_ser.tensorrt.manifest import EngineManifest, manifest_path


def test_a_changed_card_is_read_or_refused():
    def use(text: str) -> None:
        card = ModelCard.from_json(text)
        assert ModelCard.from_json(card.to_json()) == card
        mel_filterbank(card.frontend)

    fuzz("ModelCard", changed_text([as_json(CARD), as_json(make_card())]), use)


def test_a_changed_front_end_is_used_or_refused():
    def use(data: object) -> None:
        config = build(FrontendConfig, data, "frontend")
        bands = mel_filterbank(config)
        assert bands.shape == (config.n_mels, 1 + config.n_fft // 2)

    seeds = [as_json(FrontendConfig()), as_json(FrontendConfig.paper())]
    fuzz("FrontendConfig", changed(seeds), use)


def signed(data: object) -> str:
    """Return a manifest's JSON whose digest is right, so that what was changed is looked at."""
    if isinstance(data, dict):
        data = {**data, "manifest_sha256": manifest_module._digest(data)}
    return json.dumps(data)


def test_a_changed_manifest_is_read_or_refused():
    seeds = [as_json(make_manifest(card=CARD))]
    texts = st.one_of(changed(seeds).map(signed), changed_text([json.loads(signed(seeds[0]))]))

    def use(text: str) -> None:
        manifest = EngineManifest.from_json(text)
        assert manifest.rebuild(Path("model.engine"))
        again = EngineManifest.from_json(manifest.to_json())
        assert again.to_json() == manifest.to_json()

    fuzz("EngineManifest", texts, use)


def test_a_changed_engine_is_read_or_refused(tmp_path):
    engine = write_engine(tmp_path / "model.engine")
    plan, beside = engine.read_bytes(), manifest_path(engine).read_bytes()
    data = json.loads(beside)
    del data["manifest_sha256"]
    manifests = damaged([beside]) | changed([data]).map(lambda new: signed(new).encode())
    pairs = st.tuples(st.just(plan) | damaged([plan]), st.just(beside) | manifests)

    def use(pair: tuple[bytes, bytes]) -> None:
        engine.write_bytes(pair[0])
        manifest_path(engine).write_bytes(pair[1])
        _, read = read_engine(engine)
        assert read == pair[0]

    fuzz("engines", pairs, use)


def test_a_changed_precision_record_is_read_or_refused():
    seed = as_json(make_manifest().precision)

    def use(text: str) -> None:
        record = Precision.from_json(text)
        assert Precision.from_json(record.to_json()) == record

    fuzz("Precision", changed_text([seed]), use)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory) -> Path:
    """One window of the default calibration set, as a set of its own."""
    whole = CalibrationSet.load(ROOT / "calibration" / "default")
    folder = tmp_path_factory.mktemp("set")
    clips = whole.clips[:1]
    dataclasses.replace(whole, windows=whole.windows[:1], clips=clips).save(folder)
    return folder


def test_a_changed_calibration_set_is_read_or_refused(small_set, tmp_path):
    seed = json.loads((small_set / "manifest.json").read_text(encoding="utf-8"))
    windows = (small_set / "windows.npz").read_bytes()
    pairs = st.tuples(
        st.just(json.dumps(seed)) | changed_text([seed]), st.just(windows) | damaged([windows])
    )

    def use(pair: tuple[str, bytes]) -> None:
        (tmp_path / "manifest.json").write_text(pair[0], encoding="utf-8")
        (tmp_path / "windows.npz").write_bytes(pair[1])
        assert CalibrationSet.load(tmp_path).windows.ndim == 3

    fuzz("calibration", pairs, use)


EVENT_VALUES = {
    "str": "listening",
    "str | None": "angry",
    "int": 3,
    "float": 0.5,
    "float | None": 0.5,
    "bool": False,
    "tuple[str, ...]": ("angry", "sad"),
    "Mapping[str, float]": {"angry": 0.75, "sad": 0.25},
}


def every_event() -> list[dict]:
    """Return one valid event of each kind, parsed."""
    made = []
    for kind in events.KINDS.values():
        values = {field.name: EVENT_VALUES[str(field.type)] for field in dataclasses.fields(kind)}
        made.append(json.loads(events.to_json(kind(**values))))
    return made


def test_a_changed_event_is_read_or_refused():
    def use(text: str) -> None:
        event = events.from_json(text)
        again = events.from_json(events.to_json(event))
        assert type(again) is type(event)
        assert math.isfinite(again.at_s)

    fuzz("events", changed_text(every_event()), use)
