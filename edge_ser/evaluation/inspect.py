"""Inspection of a model file without running it: card, graph, precision and multiplications."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ser._util.hashing import file_digest
from edge_ser._util.suffixes import ENGINE_SUFFIXES, ONNX_SUFFIX, is_engine, is_onnx
from edge_ser.card import CARD_KEY, ModelCard
from edge_ser.errors import ModelError, missing_extra
from edge_ser.precision import KEY as PRECISION_KEY
from edge_ser.precision import Precision
from edge_ser.tensorrt.summary import EngineInspection, inspect_engine

if TYPE_CHECKING:
    from edge_ser.evaluation.onnx_graph import Layer, Tensor


@dataclass(frozen=True)
class PrecisionShare:
    """Layers and multiplications of one precision."""

    precision: str
    n_layers: int
    macs_share: float | None
    """Share of all multiplications, in [0, 1]; None if unknown."""


@dataclass(frozen=True)
class OnnxInspection:
    """Metadata of an ONNX file and facts about its graph."""

    file: str
    """Name of the file, without its folder."""
    sha256: str
    size_bytes: int
    card: ModelCard | None
    """None for a file that edge-ser did not write."""
    precision: Precision | None
    """Record of the quantisation or of the conversion to half precision; None for FP32 files."""
    producer: str
    ir_version: int
    opsets: Mapping[str, int]
    """Operator set → version; that of ONNX itself is named `ai.onnx`."""
    n_nodes: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    n_parameters: int
    """Parameters of the network; see `onnx_graph.count_parameters`."""
    n_frontend_parameters: int
    """Constants of a front end within the graph."""
    input_shape: tuple[int, ...]
    """Input shape of one window, for `macs`; empty without a card."""
    macs: int | None
    """Multiplications for one window, see `onnx_graph.layers`; None if a shape is unknown."""
    frontend_macs: int | None
    """Multiplications of the front end within the graph."""
    precisions: tuple[PrecisionShare, ...]
    """From the most multiplications to the fewest."""
    layers: tuple[Layer, ...]
    """In the order of the graph."""
    kind: str = "onnx"


def inspect(path: Path) -> OnnxInspection | EngineInspection:
    """Inspect a model file, by its suffix.

    Raises:
        ModelError: a file that is missing, damaged, or has another suffix.
        EngineError: an engine without a manifest, or with one that cannot be read.
        MissingDependency: onnx is not installed; engines do not need it.
    """
    if not path.is_file():
        raise ModelError(f"there is no model {path}; give an ONNX file or an engine")
    if is_engine(path):
        return inspect_engine(path)
    if not is_onnx(path):
        expected = ", ".join((ONNX_SUFFIX, *ENGINE_SUFFIXES))
        raise ModelError(
            f"{path}: expected a model file ({expected}), got the suffix {path.suffix!r}; name a model"
        )
    return inspect_onnx(path)


def inspect_onnx(path: Path) -> OnnxInspection:
    """Inspect an ONNX file; raises as `inspect`."""
    try:
        from edge_ser.evaluation import onnx_graph
    except ImportError:
        raise missing_extra("onnx", "build") from None

    model = onnx_graph.load_model(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    try:
        card = ModelCard.from_json(metadata[CARD_KEY]) if CARD_KEY in metadata else None
        record = metadata.get(PRECISION_KEY)
        precision = Precision.from_json(record) if record is not None else None
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    shape = window_shape(card) if card else ()
    layers = onnx_graph.layers(model, shape or None)
    n_parameters, n_frontend = onnx_graph.count_parameters(model.graph)
    return OnnxInspection(
        file=path.name,
        sha256=file_digest(path),
        size_bytes=path.stat().st_size,
        card=card,
        precision=precision,
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        ir_version=model.ir_version,
        opsets={entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        n_nodes=len(model.graph.node),
        inputs=onnx_graph.tensors(onnx_graph.free_inputs(model.graph)),
        outputs=onnx_graph.tensors(model.graph.output),
        n_parameters=n_parameters,
        n_frontend_parameters=n_frontend,
        input_shape=shape,
        macs=_total(layers),
        frontend_macs=_total([layer for layer in layers if layer.frontend]),
        precisions=_shares(layers),
        layers=layers,
    )


def window_shape(card: ModelCard) -> tuple[int, ...]:
    """Return the input shape of one window of the model's own length."""
    n_samples = round(card.window_s * card.frontend.sample_rate)
    if card.input == "waveform":
        return (1, n_samples)
    return (1, card.frontend.n_features, card.frontend.n_frames(n_samples))


def to_json(inspection: OnnxInspection | EngineInspection) -> str:
    """Return an inspection as indented JSON."""
    return json.dumps(dataclasses.asdict(inspection), indent=2, allow_nan=False)


def _total(layers: tuple[Layer, ...] | list[Layer]) -> int | None:
    known = [layer.macs for layer in layers if layer.macs is not None]
    return sum(known) if len(known) == len(layers) else None


def _shares(layers: tuple[Layer, ...]) -> tuple[PrecisionShare, ...]:
    total = _total(layers)
    shares = []
    for precision in dict.fromkeys(layer.precision for layer in layers):
        subset = [layer for layer in layers if layer.precision == precision]
        share = (_total(subset) or 0) / total if total else None
        shares.append(PrecisionShare(precision, len(subset), share))
    return tuple(sorted(shares, key=lambda s: (-(s.macs_share or 0.0), -s.n_layers)))
