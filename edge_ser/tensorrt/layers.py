"""Which data type each layer of a built engine puts out, as TensorRT's inspector tells it."""

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
"""Words of the inspector, which differ between versions."""


def layer_types(loaded: LoadedEngine) -> dict[str, str]:
    """Return the output type of each layer of an engine; needs the GPU that it was built for.

    With dynamic shapes the inspector knows types only for a context whose input shape is set.

    Raises:
        EngineError: TensorRT cannot make ready to run it.
    """
    trt, engine, shapes = loaded.tensorrt.module, loaded.engine, loaded.manifest.shapes
    inspector = engine.create_engine_inspector()
    context = engine.create_execution_context()
    if context is None:
        raise EngineError(
            f"TensorRT cannot run the engine ({'; '.join(loaded.log.errors)}); see that the GPU has "
            "memory left"
        )
    context.set_input_shape(shapes.input, shapes.optimum)
    inspector.execution_context = context
    return parse_layers(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def parse_layers(text: str) -> dict[str, str]:
    """Return {layer: type} of the inspector's JSON, {} where there is none.

    The types of a layer with several outputs are joined by +.
    """
    types = {}
    try:
        rows = json.loads(text).get("Layers", ())
    except (ValueError, AttributeError):
        # Nothing is known then, which is what an empty manifest entry says; the engine is good.
        return {}
    for row in rows:
        if isinstance(row, str):
            types[row] = "unknown"
            continue
        said = (
            str(output.get("Format/Datatype") or output.get("Datatype", ""))
            for output in row.get("Outputs", ())
        )
        types[row["Name"]] = "+".join(sorted({_type(words) for words in said})) or "none"
    return types


def with_layers(loaded: LoadedEngine) -> EngineManifest:
    """Return the engine's manifest with the types of its layers."""
    return dataclasses.replace(loaded.manifest, layers=layer_types(loaded))


def _type(words: str) -> str:
    for pattern, name in _TYPES.items():
        if re.search(pattern, words.lower()):
            return name
    return "unknown"
