"""Parts of a model file: card, front end, and the network behind the features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

import edge_ser
from edge_ser._util.files import replacing
from edge_ser._util.hashing import file_digest
from edge_ser._util.suffixes import is_onnx
from edge_ser.card import CARD_KEY, ModelCard
from edge_ser.errors import ConfigError, ModelError
from edge_ser.inference.loader import open_runner
from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.precision import KEY, Precision

Float32 = NDArray[np.float32]

FEATURES = "features"
"""Tensor between the front end and the network, if a file holds both."""


@dataclass(frozen=True, eq=False)
class Source:
    """FP32 model, split into front end and network."""

    path: Path
    card: ModelCard
    sha256: str
    """Digest of the file."""
    front: onnx.ModelProto | None
    """Graph from audio to features; None if the model takes features."""
    body: onnx.ModelProto
    """Graph from features to all outputs; every node is named."""

    @property
    def n_bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size

    def assemble(self, body: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
        """Return the front end with a changed network, with the unchanged card."""
        model = onnx.ModelProto()
        model.CopyFrom(body)
        # Inner shapes are inferred again; declared twice, they make merge_models fail.
        del model.graph.value_info[:]
        if self.front is not None:
            model = onnx.compose.merge_models(self.front, model, io_map=[(FEATURES, FEATURES)])
        # Both parts declare the opset, and onnxruntime's tools add their own domains.
        del model.opset_import[:]
        model.opset_import.append(next(o for o in body.opset_import if o.domain in {"", "ai.onnx"}))
        props = {CARD_KEY: self.card.to_json(), KEY: precision.to_json()}
        onnx.helper.set_model_props(model, props)
        model.producer_name, model.producer_version = "edge-ser", edge_ser.__version__
        onnx.checker.check_model(model, full_check=True)
        return model


def open_source(path: Path) -> Source:
    """Read an FP32 model.

    Raises:
        ModelError: not a model of edge-ser, already INT8 or FP16, or a front end that cannot be
            separated from the network.
    """
    card = open_runner(path, device="cpu").card
    model = onnx.load(str(path))
    _refuse_changed(path, model)
    front, body = None, model
    if card.input == "waveform":
        front, body = _split(path, model)
    for index, node in enumerate(body.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    del body.metadata_props[:]
    return Source(path, card, file_digest(path), front, body)


def save_checked(model: onnx.ModelProto, path: Path, inputs: Float32) -> None:
    """Write a model after the runtime has loaded and run it.

    Args:
        model: the model with its card.
        path: the output file.
        inputs: inputs for the run, as `Runner.infer` takes them.

    Raises:
        ConfigError: a name that does not end in .onnx, or a file that cannot be written.
        ModelError: outputs that are not finite.
    """
    if not is_onnx(path):
        raise ConfigError(f"expected an output name that ends in .onnx, got {path}; change --out")
    with replacing(path) as temporary:
        onnx.save(model, str(temporary))
        OnnxRunner(temporary).infer(inputs)


def _refuse_changed(path: Path, model: onnx.ModelProto) -> None:
    """Raise for a file that is not FP32 throughout."""
    kind = ""
    for prop in model.metadata_props:
        if prop.key == KEY:
            kind = Precision.from_json(prop.value).kind
    half = any(w.data_type == onnx.TensorProto.FLOAT16 for w in model.graph.initializer)
    if any(node.op_type in {"QuantizeLinear", "QLinearConv"} for node in model.graph.node):
        kind = kind or "int8"
    elif half:
        kind = kind or "fp16"
    if kind not in {"", "fp32"}:
        raise ModelError(
            f"{path}: expected an FP32 model, got {kind}; quantising twice would lose accuracy twice; "
            "give the file that `edge-ser export` wrote"
        )


def _split(path: Path, model: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    if not any(FEATURES in node.output for node in model.graph.node):
        raise ModelError(
            f"{path} takes audio, but has no tensor {FEATURES!r}, so its front end cannot be kept in "
            "float; export it again with `edge-ser export --with-frontend`"
        )
    inferred = onnx.shape_inference.infer_shapes(model)
    extractor = onnx.utils.Extractor(inferred)
    front = extractor.extract_model([model.graph.input[0].name], [FEATURES])
    del front.graph.value_info[:]
    outputs = [value.name for value in model.graph.output]
    return front, extractor.extract_model([FEATURES], outputs)
