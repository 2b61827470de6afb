"""The bundled model in every form that engines are built from, made by ONNX Runtime's own tools."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from edge_ser.build.frontend_graph import IR_VERSION, with_frontend
from edge_ser.card import CARD_KEY, ModelCard
from edge_ser.precision import KEY, Precision
from edge_ser.runtime.runner import bundled_model

DELICATE = ("Softmax", "ReduceMean", "ReduceSum", "Sqrt")
"""Operators that stay FP32 in an FP16 graph."""


def stamp(path: Path, card: ModelCard, kind: str) -> Path:
    """Write card and precision into a model file."""
    model = onnx.load(path)
    properties = {CARD_KEY: card.to_json()}
    if kind != "fp32":
        method, digest = ("minmax", "c0ffee" * 9) if "int8" in kind else ("", "")
        record = Precision(kind, "5ca1e", method, "int8" in kind, digest, (), {"uar": 0.6})
        properties[KEY] = record.to_json()
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, properties)
    onnx.save(model, path)
    return path


def make_graph(folder: Path, kind: str, form: str) -> Path:
    """Return the bundled model as fp32, fp16 or int8, with features or waveform in."""
    path = folder / f"{form}.{kind}.onnx"
    model = onnx.load(bundled_model())
    card = ModelCard.from_json(next(p.value for p in model.metadata_props if p.key == CARD_KEY))
    if kind == "int8":
        names = [n.name for n in model.graph.node if n.op_type == "Conv" and "mlp" not in n.name]
        model = _quantised(path, card, names)
    if kind == "fp16":
        kept = list(DELICATE)
        model = convert_float_to_float16(model, keep_io_types=True, op_block_list=kept)
        OnnxModel(model).topological_sort()
    if form == "waveform":
        card = dataclasses.replace(card, input="waveform")
        # The two parts have to be of one format, and the tools raise it as they like.
        model.ir_version = IR_VERSION
        model = with_frontend(model, card.frontend)
    onnx.save(model, path)
    return stamp(path, card, kind)


def _quantised(path: Path, card: ModelCard, nodes: list[str]) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    shape = (1, card.frontend.n_features, 297)

    class Windows(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = 2

        def get_next(self):
            self.left -= 1
            window = rng.normal(size=shape).astype(np.float32)
            return {"features": window} if self.left >= 0 else None

    quantize_static(
        bundled_model(),
        path,
        Windows(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        nodes_to_quantize=nodes,
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )
    return onnx.load(path)
