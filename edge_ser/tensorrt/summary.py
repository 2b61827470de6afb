"""What a TensorRT engine is: its manifest, and on its GPU what TensorRT made of each layer."""

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
"""Opens an engine on its GPU and returns its manifest with the types of the built layers."""


@dataclass(frozen=True)
class EngineInspection:
    """An engine file and its manifest."""

    file: str
    """Name of the file, without its folder."""
    sha256: str
    size_bytes: int
    manifest: EngineManifest
    built_layers: Mapping[str, str]
    """Data type of each layer as TensorRT built it."""
    built_layers_note: str
    """Why there are none; empty where there are."""
    kind: str = "engine"

    @property
    def card(self) -> ModelCard:
        """Of the model that it was built from."""
        return self.manifest.card


def on_this_gpu(path: Path) -> EngineManifest:
    """Open an engine and return its manifest with the types of its layers; errors as `load_engine`."""
    return with_layers(load_engine(path, lambda *_: None))


def inspect_engine(path: Path, fill: Fill = on_this_gpu) -> EngineInspection:
    """Read an engine's manifest; where it lacks the types of the layers, ask the engine and keep them.

    Args:
        path: the engine.
        fill: how the engine is asked.

    Raises:
        EngineError: no manifest, one that is damaged or edited, or one of another engine.
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
        built_layers_note=note or ("" if manifest.layers else "TensorRT tells none of this engine"),
    )
