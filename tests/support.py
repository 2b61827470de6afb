"""Small parts that many tests stand on: a strict switch, a tiny model, a runner that remembers."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from edge_ser.card import FrontendConfig, ModelCard, Normalization
from edge_ser.corpora import Clip
from edge_ser.inference.base import Runner
from edge_ser.precision import Precision
from edge_ser.tensorrt.manifest import (
    BuiltBy,
    EngineConfig,
    EngineManifest,
    ProfileShapes,
    manifest_path,
)

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
STRICT = os.environ.get("EDGE_SER_STRICT") == "1"


def skip_or_fail(reason: str) -> NoReturn:
    """Skip a test whose surroundings lack something; fail it where everything must be there."""
    if STRICT:
        pytest.fail(f"EDGE_SER_STRICT=1 and {reason}")
    pytest.skip(reason)


def absent(message: object, *values: str) -> list[str]:
    """Return the values that a message does not contain, each as a separate word.

    Tests check with it which values an error names, and leave its wording free.
    """
    text = str(message)
    return [
        value
        for value in values
        if not re.search(rf"(?<!\w)(?<!\w\.){re.escape(value)}(?!\w|\.\w|\[)", text)
    ]


def clips_of(
    corpus: str,
    *names: str,
    n: int = 2,
    genders: str = "",
    emotions: Sequence[str] = ("sad", "happy"),
) -> list[Clip]:
    """Return n clips of each speaker, whose genders are given by their first letters; no files."""
    words = {"m": "male", "f": "female", "": None}
    return [
        Clip(
            path=Path(f"{corpus}/{name}/{take}.wav"),
            corpus=corpus,
            speaker=f"{corpus}/{name}",
            emotion=emotions[take % len(emotions)],
            label="",
            gender=words[genders[place % len(genders)] if genders else ""],
            group=f"{corpus}/{name}/{take}",
            channel=None,
        )
        for place, name in enumerate(names)
        for take in range(n)
    ]


def make_card(**changes: object) -> ModelCard:
    """Return a valid card of a small model: 3 labels, 13 MFCCs, windows of 1 s every 0.25 s."""
    frontend = FrontendConfig(n_mels=26, n_mfcc=13)
    card = ModelCard(
        name="tiny",
        architecture="test",
        n_parameters=42,
        labels=("low", "middle", "high"),
        input="features",
        frontend=frontend,
        normalization=Normalization((0.0,) * 13, (1.0,) * 13),
        window_s=1.0,
        hop_s=0.25,
        min_window_s=0.25,
        corpora=(),
        weights_licence="none",
        accuracy=(),
        seed=0,
        created="2026-01-01",
    )
    return dataclasses.replace(card, **changes)  # type: ignore[arg-type]


class FakeRunner(Runner):
    """A runner whose logits are simple functions of its input; keeps every input it got."""

    def __init__(self, card: ModelCard | None = None) -> None:
        self._card = card or make_card()
        self.inputs: list[np.ndarray] = []

    @property
    def card(self) -> ModelCard:
        return self._card

    def run(self, inputs: np.ndarray) -> np.ndarray:
        self.inputs.append(inputs.copy())
        flat = inputs.reshape(len(inputs), -1)
        columns = [flat.mean(1), flat.std(1), flat[:, ::7].mean(1)]
        logits = np.stack(columns, axis=1)[:, : len(self.card.labels)]
        return np.tanh(logits).astype(np.float32)


def write_tiny_model(path: Path, card: ModelCard | None = None, key: str | None = None) -> Path:
    """Write an ONNX model: the means of the input's rows times a fixed matrix, with a card."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from edge_ser.card import CARD_KEY

    card = card or make_card()
    n_labels = len(card.labels)
    if card.input == "features":
        shape: list[object] = ["batch", card.frontend.n_features, "frames"]
        rows = card.frontend.n_features
        nodes = [helper.make_node("ReduceMean", ["input"], ["mean"], axes=[2], keepdims=0)]
    else:
        shape, rows = ["batch", "samples"], 1
        nodes = [
            helper.make_node("Mul", ["input", "input"], ["square"]),
            helper.make_node("ReduceMean", ["square"], ["mean"], axes=[1], keepdims=1),
        ]
    weights = np.random.default_rng(0).normal(size=(rows, n_labels)).astype(np.float32) / 50
    nodes.append(helper.make_node("MatMul", ["mean", "weights"], ["logits"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", n_labels])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    if key != "":
        helper.set_model_props(model, {key or CARD_KEY: card.to_json()})
    onnx.save(model, str(path))
    return path


def write_conv_model(
    path: Path, card: ModelCard | None = None, changed: dict[str, float] | None = None
) -> Path:
    """Write a network of two convolutions and a Gemm, with a card; nodes are named after themselves.

    Args:
        path: where to.
        card: its labels say how many logits there are; the weights of the first are always the same.
        changed: by which factors to multiply weights, by node.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from edge_ser.card import CARD_KEY

    card = card or make_card()
    rows, n_labels = card.frontend.n_features, len(card.labels)
    rng = np.random.default_rng(0)
    shapes = {"conv1": (8, rows, 5), "conv2": (6, 8, 3), "head": (n_labels, 6)}
    weights = {
        name: (changed or {}).get(name, 1.0) * rng.normal(size=shape) / 8
        for name, shape in shapes.items()
    }
    weights["conv1"] /= 10
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Conv", ["features", "conv1_w"], ["conv1_out"], "conv1", pads=[2, 2]),
            node("Relu", ["conv1_out"], ["relu_out"], "relu"),
            node("Conv", ["relu_out", "conv2_w"], ["conv2_out"], "conv2"),
            node("ReduceMean", ["conv2_out"], ["pooled"], "pool", axes=[2], keepdims=0),
            node("Gemm", ["pooled", "head_w"], ["logits"], "head", transB=1),
        ],
        "conv",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", rows, "frames"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", n_labels])],
        [numpy_helper.from_array(w.astype(np.float32), f"{name}_w") for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    onnx.save(model, str(path))
    return path


def make_manifest(**changes: object) -> EngineManifest:
    """Return the manifest of an INT8 engine for a Jetson Orin."""
    manifest = EngineManifest(
        engine_sha256="e" * 64,
        engine_bytes=6,
        onnx="../m.int8.onnx",
        onnx_sha256="0" * 64,
        options=EngineConfig("int8"),
        precision=Precision(
            kind="int8",
            source_sha256="5a",
            method="entropy",
            per_channel=True,
            calibration_digest="ca11",
            excluded=("gate",),
            gate={"uar": 0.61},
        ),
        built_by=BuiltBy("tensorrt", "10.3.0", "12.6", ("8.7",), "Orin Nano, aarch64, Linux"),
        shapes=ProfileShapes("features", (1, 13, 22), (1, 13, 97), (1, 13, 97)),
        card=make_card(),
        created="2026-01-01",
    )
    return dataclasses.replace(manifest, **changes)  # type: ignore[arg-type]


def write_engine(path: Path, content: bytes = b"ftrt and so on", **changes: object) -> Path:
    """Write bytes that stand for an engine, and the manifest that belongs to them."""
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    manifest = make_manifest(engine_sha256=digest, engine_bytes=len(content), **changes)
    manifest_path(path).write_text(manifest.to_json())
    return path
