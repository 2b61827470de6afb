"""The bundled model in every form that engines are built from, as `edge-ser quantize` makes them."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import onnx

from edge_ser.card import CARD_KEY, ModelCard
from edge_ser.inference.loader import bundled_model
from edge_ser.precision import KEY, Precision
from edge_ser.quantization.calibration_set import CalibrationSet, default_calibration
from edge_ser.quantization.frontend_graph import with_frontend
from edge_ser.quantization.gate_config import Gate
from edge_ser.quantization.model_parts import open_source
from edge_ser.quantization.quantizer import QuantizeConfig, Quantizer


def stamp(path: Path, kind: str) -> Path:
    """Let a model file say that it is of another precision."""
    model = onnx.load(path)
    known = {entry.key: entry.value for entry in model.metadata_props}
    known.pop(KEY, None)
    if kind != "fp32":
        method, digest = ("minmax", "c0ffee" * 9) if "int8" in kind else ("", "")
        record = Precision(kind, "5ca1e", method, "int8" in kind, digest, (), {"uar": 0.6})
        known[KEY] = record.to_json()
    onnx.helper.set_model_props(model, known)
    onnx.save(model, path)
    return path


def make_graph(folder: Path, kind: str, form: str) -> Path:
    """Return the bundled model as one of `precision.KINDS`, with features or waveform in."""
    path = folder / f"{form}.{kind}.onnx"
    if kind == "fp32":
        onnx.save(onnx.load(bundled_model()) if form == "features" else _waveform(), path)
        return path
    quantizer = Quantizer(open_source(make_graph(folder, "fp32", form)), _windows())
    config = QuantizeConfig(int8="int8" in kind, fp16="fp16" in kind)
    onnx.save(quantizer.quantize(config, Gate()).model, path)
    return path


@functools.cache
def _windows() -> CalibrationSet:
    return CalibrationSet.load(default_calibration())


def _waveform() -> onnx.ModelProto:
    features = onnx.load(bundled_model())
    card = ModelCard.from_json(features.metadata_props[0].value)
    model = with_frontend(features, card.frontend)
    audio = dataclasses.replace(card, input="waveform")
    onnx.helper.set_model_props(model, {CARD_KEY: audio.to_json()})
    return model
