"""Summary of a TensorRT engine: its manifest and, on its GPU, the types of the built layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_ser._util.files import write_text
from edge_ser.card import ModelCard
from edge_ser.errors import EngineError, MissingDependency
from edge_ser.tensorrt.engine import load_engine, read_engine
from edge_ser.tensorrt.layers import with_layers
from edge_ser.tensorrt.manifest import EngineManifest, manifest_path

Fill = Callable[[Path], EngineManifest]
"""Function that opens an engine on its GPU and returns its manifest with the types of the layers."""


@dataclass(frozen=True)
class EngineInspection:
    """An engine file and its manifest."""

    file: str
    """File name without the folder."""
    sha256: str
    size_bytes: int
    manifest: EngineManifest
    built_layers: Mapping[str, str]
    """Data type of each layer as TensorRT built it."""
    built_layers_note: str
    """Reason why the types are missing; empty if present."""
    kind: str = "engine"

    @property
    def card(self) -> ModelCard:
        """Card of the model that the engine was built from."""
        return self.manifest.card


def on_this_gpu(path: Path) -> EngineManifest:
    """Open an engine and return its manifest with the types of its layers; errors as `load_engine`."""
    return with_layers(load_engine(path, lambda *_: None))


def inspect_engine(path: Path, fill: Fill = on_this_gpu) -> EngineInspection:
    """Read an engine's manifest; if it lacks the types of the layers, read and store them.

    Args:
        path: the engine.
        fill: function that reads the types.

    Raises:
        EngineError: a missing, damaged or edited manifest, or one of another engine.
    """
    manifest, plan = read_engine(path)
    note = ""
    if not manifest.layers:
        try:
            manifest = fill(path)
            write_text(manifest_path(path), manifest.to_json() + "\n")
        except (EngineError, MissingDependency) as error:
            note = f"not read from the engine: {error}"
    return EngineInspection(
        file=path.name,
        sha256=manifest.engine_sha256,
        size_bytes=len(plan),
        manifest=manifest,
        built_layers=manifest.layers,
        built_layers_note=note or ("" if manifest.layers else "TensorRT reports no layers"),
    )
