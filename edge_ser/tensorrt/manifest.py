"""Engine manifest, `model.engine.json`: origin, build options and supported GPUs of an engine.

An engine runs only with the TensorRT version and the GPU architecture that it was built for, and
does not describe itself. It is checked against its manifest before it is deserialised.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_ser._util.hashing import json_digest
from edge_ser._util.records import build, require
from edge_ser.card import ModelCard
from edge_ser.errors import ConfigError, EngineError
from edge_ser.precision import KINDS, Precision

MANIFEST_FORMAT = 1
_DIGEST = "manifest_sha256"


@dataclass(frozen=True)
class ProfileShapes:
    """Optimization profile: minimum, optimum and maximum input shape."""

    input: str
    """The input tensor's name."""
    minimum: tuple[int, ...]
    optimum: tuple[int, ...]
    maximum: tuple[int, ...]

    def __post_init__(self) -> None:
        rows = list(zip(self.minimum, self.optimum, self.maximum, strict=False))
        ordered = len(rows) == len(self.minimum) == len(self.optimum) == len(self.maximum) > 0
        ordered = ordered and all(0 < low <= best <= high for low, best, high in rows)
        shapes = (self.minimum, self.optimum, self.maximum)
        require(ordered, "shapes", shapes, "as many dimensions each, minimum <= optimum <= maximum")


@dataclass(frozen=True)
class BuiltBy:
    """The TensorRT, the machine and the target GPUs of a build."""

    module: str
    """`tensorrt` or `tensorrt_rtx`."""
    version: str
    """Version of the module, e.g. 10.3.0."""
    cuda: str
    """CUDA version of the driver on the build machine, e.g. 12.6; empty without a driver."""
    compute_capabilities: tuple[str, ...]
    """Compute capabilities of the GPUs that can run the engine, e.g. 8.7."""
    host: str
    """Build machine: board, processor, operating system."""


@dataclass(frozen=True)
class EngineConfig:
    """Build options.

    Raises:
        ConfigError: invalid or contradicting options.
    """

    precision: str
    """One of `precision.KINDS`; the ONNX file must already be of this kind."""
    batch: tuple[int, ...] = (1, 1, 1)
    """Batch size: minimum, optimum and maximum."""
    window_s: tuple[float, ...] = ()
    """Window length in seconds: minimum, optimum and maximum; () for those of the card."""
    workspace_mib: int = 256
    """Workspace memory limit of a layer, in MiB."""
    dla_core: int = -1
    """Deep learning accelerator to build for; -1 for the GPU."""
    gpu_fallback: bool = False
    """Whether layers that the DLA cannot run may run on the GPU."""
    version_compatible: bool = False
    """Whether other versions of the same major TensorRT may load the engine."""

    def __post_init__(self) -> None:
        require(self.precision in KINDS, "precision", self.precision, "one of " + ", ".join(KINDS))
        require(len(self.batch) == 3, "batch", self.batch, "three numbers")
        require(len(self.window_s) in {0, 3}, "window_s", self.window_s, "three numbers, or none")
        require(self.workspace_mib > 0, "workspace_mib", self.workspace_mib, "above 0, in MiB")
        require(self.dla_core >= -1, "dla_core", self.dla_core, "0 or above; -1 for the GPU")
        on_dla = self.dla_core >= 0
        can = not (on_dla and self.precision == "fp32")
        require(can, "precision", self.precision, "fp16 or int8: a DLA has no FP32")
        useful = on_dla or not self.gpu_fallback
        require(useful, "gpu_fallback", self.gpu_fallback, "False without a DLA to fall back from")


@dataclass(frozen=True)
class EngineManifest:
    """Facts that decide whether an engine can be used on a machine, and how to rebuild it."""

    engine_sha256: str
    engine_bytes: int
    onnx: str
    """Path of the ONNX file, relative to the folder of the engine."""
    onnx_sha256: str
    options: EngineConfig
    precision: Precision
    """Precision record of the ONNX file: kind, calibration set, accuracy gate."""
    built_by: BuiltBy
    shapes: ProfileShapes
    card: ModelCard
    created: str
    """ISO 8601 date of the build."""
    layers: Mapping[str, str] = field(default_factory=dict)
    """Output data type of each built layer, from TensorRT's engine inspector. It needs the GPU: empty
    until `edge-ser inspect` has opened the engine on one."""
    format: int = MANIFEST_FORMAT

    def __post_init__(self) -> None:
        require(self.format == MANIFEST_FORMAT, "format", self.format, str(MANIFEST_FORMAT))
        expected, actual = self.options.precision, self.precision.kind
        require(expected == actual, "precision", actual, f"{expected}, as in the options")

    def to_json(self) -> str:
        """Return the manifest as JSON, with a digest over its content that detects edits."""
        data = dataclasses.asdict(self)
        return json.dumps({**data, _DIGEST: _digest(data)}, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> EngineManifest:
        """Read a manifest written by `to_json`.

        Raises:
            EngineError: not JSON, edited, or in another format.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise EngineError(f"the manifest is not JSON ({error})") from None
        if not isinstance(data, dict) or _DIGEST not in data:
            raise EngineError("the manifest was not written by edge-ser: it has no digest")
        expected, actual = data.pop(_DIGEST), _digest(data)
        if expected != actual:
            raise EngineError(
                f"the manifest was edited: expected SHA-256 {str(expected)[:12]}, got {actual[:12]}"
            )
        try:
            return build(cls, data, "the manifest")
        except ConfigError as error:
            raise EngineError(str(error)) from None

    def rebuild(self, engine: Path, compute_capability: str = "") -> str:
        """Return the command that rebuilds the engine, for one more GPU if given."""
        options = self.options
        words = ["edge-ser", "build-engine", str(engine.parent / self.onnx)]
        words += [f"--{kind}" for kind in options.precision.split("+")]
        words += ["--tensorrt", self.built_by.module]
        if self.built_by.module == "tensorrt_rtx":
            known = self.built_by.compute_capabilities
            added = (compute_capability,) if compute_capability else ()
            for target in dict.fromkeys((*known, *added)):
                words += ["--compute-capability", target]
        if options.batch != EngineConfig.batch:
            words += ["--batch", *map(str, options.batch)]
        if options.window_s:
            words += ["--window", *map(str, options.window_s)]
        if options.workspace_mib != EngineConfig.workspace_mib:
            words += ["--workspace", str(options.workspace_mib)]
        if options.dla_core >= 0:
            words += ["--dla", str(options.dla_core)]
        words += ["--allow-gpu-fallback"] if options.gpu_fallback else []
        words += ["--version-compatible"] if options.version_compatible else []
        return shlex.join([*words, "--out", str(engine)])


def manifest_path(engine: Path) -> Path:
    """Return the path of an engine's manifest."""
    return engine.with_name(engine.name + ".json")


def _digest(data: Mapping[str, object]) -> str:
    return json_digest(data)
