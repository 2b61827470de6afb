"""Engines from disk, each checked against its manifest before TensorRT sees one byte of it.

TensorRT itself says "version tag does not match" at best and crashes at worst; here the message
names what is there, what was wanted, and the command that builds the engine again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ser._util.callbacks import OnMessage
from edge_ser._util.hashing import bytes_digest
from edge_ser.errors import EngineError
from edge_ser.machine.cuda_device import CudaDevice, cuda_device
from edge_ser.tensorrt.library import TensorRT, find_tensorrt, open_log
from edge_ser.tensorrt.manifest import EngineManifest, manifest_path


@dataclass(frozen=True, eq=False)
class LoadedEngine:
    """An engine in TensorRT, and what it must outlive."""

    manifest: EngineManifest
    engine: Any
    """ICudaEngine."""
    runtime: Any
    log: Any
    tensorrt: TensorRT


def read_engine(path: Path) -> tuple[EngineManifest, bytes]:
    """Read an engine and its manifest, without TensorRT; see that they belong together.

    Raises:
        EngineError: no engine, no manifest, an edited manifest, an engine that is cut short or
            another, or an ONNX file that was changed since the build.
    """
    if not path.is_file():
        raise EngineError(f"there is no engine {path}; build it with `edge-ser build-engine`")
    beside = manifest_path(path)
    if not beside.is_file():
        raise EngineError(
            f"{path} has no manifest ({beside.name} was looked for beside it), so nothing is known "
            f"of it; build it again: edge-ser build-engine MODEL.onnx --out {path}"
        )
    try:
        manifest = EngineManifest.from_json(beside.read_text(encoding="utf-8"))
    except (EngineError, UnicodeDecodeError) as error:
        raise EngineError(
            f"{beside}: {error}; build the engine again: "
            f"edge-ser build-engine MODEL.onnx --out {path}"
        ) from None
    again = manifest.rebuild(path)
    plan = path.read_bytes()
    if len(plan) != manifest.engine_bytes:
        raise EngineError(
            f"{path} has {len(plan):,} bytes, its manifest says {manifest.engine_bytes:,}: it was cut "
            f"short or replaced; build it again: {again}"
        )
    _same_digest(f"{path}", plan, manifest.engine_sha256, again)
    onnx = path.parent / manifest.onnx
    if onnx.is_file():
        _same_digest(
            f"{onnx}, from which {path} was built,", onnx.read_bytes(), manifest.onnx_sha256, again
        )
    return manifest, plan


def check_fits(
    manifest: EngineManifest, path: Path, tensorrt: TensorRT, device: CudaDevice | None
) -> None:
    """Refuse an engine of another TensorRT or for another GPU.

    Raises:
        EngineError: with both values and the command that builds the engine again.
    """
    built = manifest.built_by
    again = manifest.rebuild(path, device.compute_capability if device else "")
    compatible = (
        manifest.options.version_compatible
        and built.version.split(".")[0] == tensorrt.version.split(".")[0]
    )
    if built.module != tensorrt.name or (built.version != tensorrt.version and not compatible):
        raise EngineError(
            f"{path} was built by {built.module} {built.version}, {tensorrt} is here; build it again: "
            + again.replace(f"--tensorrt {built.module}", f"--tensorrt {tensorrt.name}")
        )
    if device is None:
        raise EngineError(
            f"{path} is for GPUs of SM {', '.join(built.compute_capabilities)}, no GPU was found "
            "here; see that the NVIDIA driver runs, or use the ONNX file"
        )
    if device.compute_capability not in built.compute_capabilities:
        raise EngineError(
            f"{path} was built for SM {', '.join(built.compute_capabilities)}, the GPU here "
            f"({device.name}) has SM {device.compute_capability}; build it again: {again}"
        )


def load_engine(
    path: Path, on_message: OnMessage, choice: str = "auto", level: str = "warning"
) -> LoadedEngine:
    """Check an engine and hand it to TensorRT.

    Args:
        path: the engine; its manifest stands beside it.
        on_message: called with TensorRT's messages up to `level`.
        choice: which TensorRT, one of `tensorrt_module.CHOICES`; auto takes the engine's own.
        level: one of `tensorrt_module.LEVELS`.

    Raises:
        EngineError: one of `read_engine` or `check_fits`, or TensorRT refuses the engine.
        MissingDependency: TensorRT is not installed.
    """
    manifest, plan = read_engine(path)
    tensorrt = find_tensorrt(manifest.built_by.module if choice == "auto" else choice)
    check_fits(manifest, path, tensorrt, cuda_device())
    return deserialise(manifest, plan, path, tensorrt, open_log(tensorrt.module, on_message, level))


def deserialise(
    manifest: EngineManifest, plan: bytes, path: Path, tensorrt: TensorRT, log: Any
) -> LoadedEngine:
    """Hand a checked engine to TensorRT.

    Raises:
        EngineError: TensorRT refuses it.
    """
    trt = tensorrt.module
    runtime = trt.Runtime(log)
    if manifest.options.version_compatible:
        # Such an engine brings the runtime of its own version, which is code.
        runtime.engine_host_code_allowed = True
    if manifest.options.dla_core >= 0:
        runtime.DLA_core = manifest.options.dla_core
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        reason = "; ".join(log.errors) or "it gave no reason"
        raise EngineError(
            f"{tensorrt} does not load {path} ({reason}); build it again: {manifest.rebuild(path)}"
        )
    return LoadedEngine(manifest, engine, runtime, log, tensorrt)


def _same_digest(what: str, data: bytes, wanted: str, again: str) -> None:
    found = bytes_digest(data)
    if found != wanted:
        raise EngineError(
            f"{what} has SHA-256 {found[:12]}…, the manifest says {wanted[:12]}…: it was changed "
            f"since the build; build the engine again: {again}"
        )
