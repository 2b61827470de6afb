"""Last linear layer of a model: find it in the ONNX graph, replace it, and restore it."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edge_ser._util.hashing import bytes_digest, file_digest
from edge_ser._util.records import build, require
from edge_ser._util.suffixes import is_engine
from edge_ser.card import CARD_KEY, ModelCard
from edge_ser.errors import ConfigError, ModelError
from edge_ser.evaluation.onnx_graph import load_model
from edge_ser.precision import KEY as PRECISION_KEY
from edge_ser.precision import Precision

Float64 = NDArray[np.float64]

LOGITS = "logits"
"""Name of the output of the head."""

BASE_KEY = "edge_ser.adapted_from"
"""Metadata property that holds the head before the adaptation."""

_FORMAT = 1
_MOST_BYTES = 64_000_000
"""Limit of an unpacked tensor, far above any head, so that a damaged record cannot fill the memory."""

_QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger"}
_REMEDY = "adapt the FP32 file that `edge-ser export` wrote, then quantize / build-engine again"


@dataclass(frozen=True, eq=False)
class Head:
    """Linear layer: logits = embedding @ weight.T + bias."""

    weight: Float64
    """[n_classes, n_embedding]."""
    bias: Float64
    """[n_classes]."""

    def logits(self, embedding: NDArray[np.floating]) -> Float64:
        """Return logits [n, n_classes] of embeddings [n, n_embedding]."""
        return np.asarray(embedding.astype(np.float64) @ self.weight.T + self.bias)

    def scaled(self, divisor: float) -> Head:
        """Return the head whose logits are divided by a temperature."""
        return Head(self.weight / divisor, self.bias / divisor)


@dataclass(frozen=True, eq=False)
class HeadPlace:
    """Names of the head's tensors in a graph."""

    embedding: str
    """Input of the layer, float32 [batch, n_embedding]."""
    weight: str
    bias: str
    transposed: bool
    """Whether the graph holds the weight as [n_embedding, n_classes]."""


@dataclass(frozen=True, eq=False)
class AdaptableModel:
    """FP32 model file, with the head before any adaptation."""

    path: Path
    card: ModelCard
    """The card before any adaptation."""
    model: onnx.ModelProto
    """The model before any adaptation."""
    head: Head
    place: HeadPlace
    base_sha256: str
    """Digest of the file before any adaptation."""
    was_adapted: bool
    """Whether the file at `path` holds another head, fitted earlier."""


@dataclass(frozen=True)
class BaseRecord:
    """Record of the unadapted model in an adapted file."""

    weight: str
    """ONNX tensor, deflated, as base64."""
    bias: str
    card: str
    """JSON of the card."""
    sha256: str
    """Digest of both tensors and the card, unpacked."""
    file_sha256: str
    """Digest of the unadapted file."""
    format: int = _FORMAT

    def __post_init__(self) -> None:
        require(self.format == _FORMAT, "format", self.format, str(_FORMAT))


def open_adaptable(path: Path) -> AdaptableModel:
    """Read an FP32 model; for an adapted file, the model before the adaptation.

    Raises:
        ModelError: no file, an engine, a quantised or half-precision model, one without a card, or a
            graph whose last layer is not linear.
    """
    model = _read(path)
    metadata = _metadata(model)
    _refuse_precision(path, model, metadata)
    was_adapted = BASE_KEY in metadata
    base_sha256 = file_digest(path)
    if was_adapted:
        base_sha256 = _restore(path, model, metadata)
    card = _card(path, _metadata(model))
    place = _find(path, model)
    head = _head(model, place)
    if head.bias.shape != (len(card.labels),) or head.weight.shape[:1] != head.bias.shape:
        raise ModelError(
            f"{path}: expected a last layer of {len(card.labels)} classes, got a weight of shape "
            f"{list(head.weight.shape)} and a bias of shape {list(head.bias.shape)}; export it again"
        )
    return AdaptableModel(path, card, model, head, place, base_sha256, was_adapted)


def stored_head(source: AdaptableModel) -> Head:
    """Return the head that the graph holds now."""
    return _head(source.model, source.place)


def with_head(source: AdaptableModel, head: Head, card: ModelCard) -> onnx.ModelProto:
    """Return the model with another head and card; its metadata hold the previous ones.

    Raises:
        ModelError: a value that float32 cannot hold.
    """
    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    old = {name: _initializer(model, name) for name in (source.place.weight, source.place.bias)}
    packed = [tensor.SerializeToString() for tensor in old.values()]
    base_card = _metadata(model)[CARD_KEY]
    record = BaseRecord(
        weight=_pack(packed[0]),
        bias=_pack(packed[1]),
        card=base_card,
        sha256=_digest(packed[0], packed[1], base_card),
        file_sha256=source.base_sha256,
    )
    weight = head.weight.T if source.place.transposed else head.weight
    for (name, tensor), values in zip(old.items(), (weight, head.bias), strict=True):
        stored = values.astype(np.float32)
        if not np.isfinite(stored).all():
            raise ModelError(
                f"{source.path}: the fitted {name} is not finite; check the recordings"
            )
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(stored), name))
    _set_metadata(model, CARD_KEY, card.to_json())
    _set_metadata(model, BASE_KEY, json.dumps(dataclasses.asdict(record), sort_keys=True))
    onnx.checker.check_model(model)
    return model


def undone(path: Path) -> tuple[onnx.ModelProto, str]:
    """Return the model before its adaptation, and the digest of the file that it was.

    Raises:
        ModelError: a file that is not adapted, is quantised, or whose record is damaged.
    """
    model = _read(path)
    metadata = _metadata(model)
    if BASE_KEY not in metadata:
        adapted = CARD_KEY in metadata and _card(path, metadata).adapted is not None
        reason = (
            f"{path} was made from an adapted model, without the head before; undo the FP32 "
            "file, then quantize / build-engine again"
            if adapted
            else f"{path} is not adapted: expected a file that `edge-ser adapt` wrote"
        )
        raise ModelError(reason)
    return model, _restore(path, model, metadata)


def _head(model: onnx.ModelProto, place: HeadPlace) -> Head:
    weight = _tensor(model, place.weight).astype(np.float64)
    bias = _tensor(model, place.bias).astype(np.float64)
    return Head(weight.T if place.transposed else weight, bias)


def _read(path: Path) -> onnx.ModelProto:
    if is_engine(path):
        raise ModelError(f"{path} is a TensorRT engine, expected an FP32 ONNX file; {_REMEDY}")
    if not path.is_file():
        raise ModelError(f"there is no model {path}; give a file that `edge-ser export` wrote")
    return load_model(path)


def _card(path: Path, metadata: Mapping[str, str]) -> ModelCard:
    if CARD_KEY not in metadata:
        raise ModelError(
            f"{path} has no ModelCard, so its labels and front end are unknown; use a model written by "
            "`edge-ser export`"
        )
    try:
        return ModelCard.from_json(metadata[CARD_KEY])
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _refuse_precision(path: Path, model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    kind = "fp32"
    if PRECISION_KEY in metadata:
        kind = Precision.from_json(metadata[PRECISION_KEY]).kind
    if any(node.op_type in _QUANTIZED for node in model.graph.node):
        kind = "int8" if kind == "fp32" else kind
    if any(w.data_type == onnx.TensorProto.FLOAT16 for w in model.graph.initializer):
        kind = "fp16" if kind == "fp32" else kind
    if kind != "fp32":
        raise ModelError(f"{path} is {kind}, expected an FP32 model; {_REMEDY}")


def _find(path: Path, model: onnx.ModelProto) -> HeadPlace:
    """Find the last layer: a Gemm, or a MatMul and an Add, that gives the logits."""
    producers = {name: node for node in model.graph.node for name in node.output}
    outputs = [value.name for value in model.graph.output]
    name = LOGITS if LOGITS in outputs else outputs[0]
    node = producers.get(name)
    place = None
    if node is not None and node.op_type == "Gemm":
        place = _of_gemm(node)
    elif node is not None and node.op_type == "Add":
        place = _of_add(node, producers)
    stored = {w.name: w for w in model.graph.initializer}
    if place is None or not {place.weight, place.bias} <= stored.keys():
        found = "nothing" if node is None else node.op_type
        raise ModelError(
            f"{path}: expected {name!r} to come from a linear layer with stored weights and a bias "
            f"(Gemm, or MatMul and Add), got {found}; export it again with `edge-ser export`"
        )
    for tensor in (place.weight, place.bias):
        users = sum(tensor in other.input for other in model.graph.node)
        if users != 1 or stored[tensor].data_type != onnx.TensorProto.FLOAT:
            raise ModelError(
                f"{path}: expected {tensor!r} to be float32 and used by the last layer alone; export "
                "it again with `edge-ser export`"
            )
    return place


def _of_gemm(node: onnx.NodeProto) -> HeadPlace | None:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    plain = attributes.get("alpha", 1.0) == 1.0 and attributes.get("beta", 1.0) == 1.0
    if len(node.input) != 3 or not plain or attributes.get("transA", 0):
        return None
    embedding, weight, bias = node.input
    return HeadPlace(embedding, weight, bias, transposed=not attributes.get("transB", 0))


def _of_add(node: onnx.NodeProto, producers: Mapping[str, onnx.NodeProto]) -> HeadPlace | None:
    for product, bias in (node.input, tuple(node.input)[::-1]):
        inner = producers.get(product)
        if inner is not None and inner.op_type == "MatMul":
            return HeadPlace(inner.input[0], inner.input[1], bias, transposed=True)
    return None


def _restore(path: Path, model: onnx.ModelProto, metadata: Mapping[str, str]) -> str:
    """Restore the head and card before the adaptation; return the digest of that file."""
    try:
        record = build(BaseRecord, json.loads(metadata[BASE_KEY]), BASE_KEY)
        weight, bias = _unpack(record.weight), _unpack(record.bias)
        tensors = [onnx.TensorProto.FromString(data) for data in (weight, bias)]
        intact = _digest(weight, bias, record.card) == record.sha256
    except Exception as error:  # noqa: BLE001 (protobuf's errors share no narrower base)
        raise _damaged(path, f"{type(error).__name__}: {error}") from None
    if not intact:
        raise _damaged(path, "its digest does not match")
    for tensor in tensors:
        stored = [w for w in model.graph.initializer if w.name == tensor.name]
        if len(stored) != 1 or stored[0].dims != tensor.dims:
            raise _damaged(path, f"the graph has no tensor {tensor.name!r} of its shape")
        stored[0].CopyFrom(tensor)
    _set_metadata(model, CARD_KEY, record.card)
    entries = [(e.key, e.value) for e in model.metadata_props if e.key != BASE_KEY]
    del model.metadata_props[:]
    for key, value in entries:
        model.metadata_props.add(key=key, value=value)
    return record.file_sha256


def _damaged(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"{path}: the head before the adaptation cannot be read ({reason}); take the file that was "
        "adapted, or export it again"
    )


def _metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def _set_metadata(model: onnx.ModelProto, key: str, value: str) -> None:
    for entry in model.metadata_props:
        if entry.key == key:
            entry.value = value
            return
    model.metadata_props.add(key=key, value=value)


def _initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    found: onnx.TensorProto = next(w for w in model.graph.initializer if w.name == name)
    return found


def _tensor(model: onnx.ModelProto, name: str) -> NDArray[np.float32]:
    values: NDArray[np.float32] = numpy_helper.to_array(_initializer(model, name))
    return values


def _digest(weight: bytes, bias: bytes, card: str) -> str:
    return bytes_digest(b"\0".join((weight, bias, card.encode())))


def _pack(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode()


def _unpack(text: str) -> bytes:
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ConfigError(str(error)) from None
    if not unpacker.eof:
        raise ConfigError("it is cut off, or too large")
    return data
