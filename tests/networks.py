"""A network small enough for tests that has all that the bundled one has, and windows for it.

With `card.arousal` it has the second output too.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from support import make_card

from edge_ser.card import CARD_KEY, ModelCard
from edge_ser.frontend import mfcc
from edge_ser.quantization.calibration_set import CalibrationClip, CalibrationSet
from edge_ser.quantization.frontend_graph import with_frontend

N_CHANNELS = 16


class _Network:
    """Nodes and random weights in the making."""

    def __init__(self, gain: float) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(0)
        self._gain = gain

    def constant(self, name: str, values: Any, dtype: type = np.float32) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def add(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        output = {"head": "logits", "excited": "arousal"}.get(name, f"{name}_out")
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def convolve(self, name: str, x: str, shape: tuple[int, int, int], **attributes: Any) -> str:
        scale = (self._gain if name == "first" else 1.0) / np.sqrt(shape[1] * shape[2])
        weights = self.constant(f"{name}_w", self._rng.normal(size=shape) * scale)
        bias = self.constant(f"{name}_b", self._rng.normal(size=shape[0]) * 0.1)
        pads = [shape[2] // 2] * 2
        return self.add("Conv", name, x, weights, bias, pads=pads, **attributes)


def network(card: ModelCard, gain: float = 1.0) -> onnx.ModelProto:
    """Return normalisation, two convolutions, an attention gate, a residual, pooling and a classifier.

    Args:
        card: says how many features and labels, and whether there is an arousal beside the logits.
        gain: of the first convolution; a large one overflows FP16.
    """
    n, c, rows, k = _Network(gain), N_CHANNELS, card.frontend.n_features, len(card.labels)
    x = n.add("Mul", "normalise", "features", n.constant("inverse", np.full((rows, 1), 0.05)))
    x = n.convolve("first", x, (c, rows, 3))
    x = n.add("Relu", "relu", x)
    y = n.convolve("second", x, (c, c, 3))
    squeezed = n.add("ReduceMean", "squeeze", y, axes=[2], keepdims=1)
    gate = n.add("Sigmoid", "sigmoid", n.convolve("gate", squeezed, (c, c, 1)))
    y = n.add("Mul", "gated", y, gate)
    x = n.add("Relu", "block", n.add("Add", "residual", y, x))
    weights = n.add("Softmax", "softmax", n.convolve("score", x, (c, c, 1)), axis=2)
    time = n.constant("time", [2], np.int64)
    weighted = n.add("Mul", "weighted", weights, x)
    mean = n.add("ReduceSum", "mean", weighted, time, keepdims=0)
    square = n.add("ReduceSum", "square", n.add("Mul", "power", weighted, x), time, keepdims=0)
    variance = n.add("Sub", "variance", square, n.add("Mul", "mean_square", mean, mean))
    safe = n.add("Add", "safe", n.add("Relu", "positive", variance), n.constant("eps", [1e-5]))
    x = n.add("Concat", "statistics", mean, n.add("Sqrt", "root", safe), axis=1)
    ones = np.ones(2 * c)
    moments = [
        n.constant(name, v)
        for name, v in (("s", 2 * ones), ("b", ones), ("m", ones / 2), ("v", ones / 4))
    ]
    x = n.add("BatchNormalization", "norm", x, *moments)
    head = np.random.default_rng(1).normal(size=(k, 2 * c))
    n.add("Gemm", "head", x, n.constant("head_w", head), n.constant("head_b", ones[:k]), transB=1)
    value = helper.make_tensor_value_info
    inputs = [value("features", TensorProto.FLOAT, ["batch", rows, "frames"])]
    outputs = [value("logits", TensorProto.FLOAT, ["batch", k])]
    if card.arousal:
        w = n.constant("arousal_w", np.random.default_rng(2).normal(size=(1, 2 * c)) / c)
        score = n.add("Gemm", "arousal_score", x, w, n.constant("arousal_b", [0.1]), transB=1)
        n.add("Sigmoid", "excited", score)
        outputs.append(value("arousal", TensorProto.FLOAT, ["batch", 1]))
    graph = helper.make_graph(n.nodes, "small", inputs, outputs, n.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def both_card(**changes: object) -> ModelCard:
    """Return the card of a model with an arousal, which takes a baseline."""
    usual = {"arousal": True, "usual_outputs": (0.5, -0.25, 0.125, -1.0)}
    return make_card(**{**usual, **changes})


def write_network(
    path: Path, *, waveform: bool = False, gain: float = 1.0, card: ModelCard | None = None
) -> Path:
    """Write the network with a card, features in or audio in."""
    card = card or make_card()
    card = dataclasses.replace(card, input="waveform" if waveform else "features")
    model = network(card, gain)
    if waveform:
        model = with_frontend(model, card.frontend)
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    onnx.save(model, str(path))
    return path


def calibration_of(card: ModelCard, n: int = 24, seed: int = 0) -> CalibrationSet:
    """Return windows of noise, soft and loud, for a card."""
    frontend = card.frontend
    n_samples = round(card.window_s * frontend.sample_rate)
    rng = np.random.default_rng(seed)
    levels = rng.uniform(0.02, 0.5, size=(n, 1))
    noise = (levels * rng.normal(size=(n, n_samples))).astype(np.float32)
    clips = tuple(
        CalibrationClip(f"{i}.wav", "site", "site/1", "low", -20.0, f"{i:064x}") for i in range(n)
    )
    windows = np.stack([mfcc(samples, frontend) for samples in noise])
    return CalibrationSet(frontend, card.window_s, clips, windows, seed, "none")
