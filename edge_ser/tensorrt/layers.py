"""Output data types of the layers of a built engine, from TensorRT's engine inspector."""

from __future__ import annotations

import dataclasses
import json
import re

from edge_ser.errors import EngineError
from edge_ser.tensorrt.engine import LoadedEngine
from edge_ser.tensorrt.manifest import EngineManifest

_TYPES = {
    r"fp32|float32|\bfloat\b": "fp32",
    r"fp16|float16|\bhalf\b": "fp16",
    r"bf16|bfloat16": "bf16",
    r"int8": "int8",
    r"int32": "int32",
    r"int64": "int64",
    r"bool": "bool",
}
"""Type names of the inspector, which differ between TensorRT versions."""


def layer_types(loaded: LoadedEngine) -> dict[str, str]:
    """Return the output type of each layer of an engine; needs the GPU that it was built for.

    With dynamic shapes the inspector reports types only for a context whose input shape is set.

    Raises:
        EngineError: TensorRT cannot create an execution context.
    """
    trt, engine, shapes = loaded.tensorrt.module, loaded.engine, loaded.manifest.shapes
    inspector = engine.create_engine_inspector()
    context = engine.create_execution_context()
    if context is None:
        raise EngineError(
            f"TensorRT cannot run the engine ({'; '.join(loaded.log.errors)}); check that the GPU has "
            "free memory"
        )
    context.set_input_shape(shapes.input, shapes.optimum)
    inspector.execution_context = context
    return parse_layers(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def parse_layers(text: str) -> dict[str, str]:
    """Return the output type of each layer from the inspector's JSON; empty if it has no layers.

    The types of a layer with several outputs are joined by +.
    """
    types = {}
    try:
        rows = json.loads(text).get("Layers", ())
    except (ValueError, AttributeError):
        # The engine is usable; an empty manifest entry means that the types are unknown.
        return {}
    for row in rows:
        if isinstance(row, str):
            types[row] = "unknown"
            continue
        reported = (
            str(output.get("Format/Datatype") or output.get("Datatype", ""))
            for output in row.get("Outputs", ())
        )
        types[row["Name"]] = "+".join(sorted({_type(words) for words in reported})) or "none"
    return types


def with_layers(loaded: LoadedEngine) -> EngineManifest:
    """Return the engine's manifest with the types of its layers."""
    return dataclasses.replace(loaded.manifest, layers=layer_types(loaded))


def _type(words: str) -> str:
    for pattern, name in _TYPES.items():
        if re.search(pattern, words.lower()):
            return name
    return "unknown"
