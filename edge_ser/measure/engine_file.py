"""What a TensorRT engine says of itself without a GPU: the manifest that was written beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ser.card import ModelCard
from edge_ser.errors import EngineError, ModelError
from edge_ser.measure.evaluate import file_digest

ENGINE_SUFFIX = ".engine"

NOT_READ = (
    "not read from the engine: that needs TensorRT of its version and the GPU that it was built for; "
    "what stands in the manifest is what was asked for"
)
"""Stands where the engine itself would have to be opened."""


@dataclass(frozen=True)
class EngineInspection:
    """An engine file and its manifest."""

    file: str
    """Name of the file, without its folder."""
    sha256: str
    size_bytes: int
    manifest: Mapping[str, Any]
    """As the builder wrote it."""
    manifest_fits: bool
    """Whether the manifest names the digest of this very file."""
    card: ModelCard | None
    """Of the model that it was built from, out of the manifest; None where that has none."""
    built_layers: Mapping[str, str]
    """Data type of each layer as TensorRT built it: what `read_layers` tells, else the manifest."""
    built_layers_note: str
    """Why there are none; empty where there are."""
    kind: str = "engine"


def manifest_path(engine: Path) -> Path:
    """Return where the manifest of an engine lies: `model.engine.json` beside `model.engine`."""
    return engine.with_name(engine.name + ".json")


def inspect_engine(
    path: Path, read_layers: Callable[[Path], Mapping[str, str]] | None = None
) -> EngineInspection:
    """Read an engine's manifest and compare its digest with the file.

    Args:
        path: the engine, a file that exists.
        read_layers: opens the engine on its GPU and tells the data type of each layer; None where
            that cannot be done.

    Raises:
        EngineError: no manifest, or one that is damaged.
    """
    manifest = read_manifest(path)
    sha256 = file_digest(path)
    built = read_layers(path) if read_layers is not None else _layers(manifest)
    return EngineInspection(
        file=path.name,
        sha256=sha256,
        size_bytes=path.stat().st_size,
        manifest=manifest,
        manifest_fits=sha256 in _leaves(manifest),
        card=_card(manifest, path),
        built_layers=built,
        built_layers_note="" if built else NOT_READ,
    )


def read_manifest(engine: Path) -> dict[str, Any]:
    """Return the manifest beside an engine, as parsed JSON.

    Raises:
        EngineError: there is none, or it is damaged.
    """
    path = manifest_path(engine)
    remedy = "build the engine again with `edge-ser build-engine`"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EngineError(
            f"{engine} has no manifest {path.name} beside it, without which nothing is known of it; "
            f"copy it too, or {remedy}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise EngineError(f"{path} cannot be read ({error}); {remedy}") from None
    if not isinstance(data, dict) or not data:
        raise EngineError(f"{path} is no manifest (an object was wanted); {remedy}")
    return data


def _card(manifest: Mapping[str, Any], engine: Path) -> ModelCard | None:
    if "card" not in manifest:
        return None
    try:
        return ModelCard.from_json(json.dumps(manifest["card"]))
    except ModelError as error:
        raise EngineError(f"{manifest_path(engine)}: {error}") from None


def _layers(manifest: Mapping[str, Any]) -> dict[str, str]:
    layers = manifest.get("layers")
    return {k: str(v) for k, v in layers.items()} if isinstance(layers, Mapping) else {}


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (Mapping, list)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(item)
    else:
        yield value
