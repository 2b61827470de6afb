"""Load engines from disk, after checking each against its manifest.

TensorRT reports at best "version tag does not match" and may crash. The errors raised here give the
expected and the actual value, and the command that rebuilds the engine.
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
    """A deserialised engine, and the objects that must live as long as it does."""

    manifest: EngineManifest
    engine: Any
    """ICudaEngine."""
    runtime: Any
    log: Any
    tensorrt: TensorRT


def read_engine(path: Path) -> tuple[EngineManifest, bytes]:
    """Read an engine and its manifest, without TensorRT, and check that they match.

    Raises:
        EngineError: a missing engine or manifest, an edited manifest, a truncated or replaced
            engine, or an ONNX file that changed since the build.
    """
    if not path.is_file():
        raise EngineError(f"there is no engine {path}; build it with `edge-ser build-engine`")
    beside = manifest_path(path)
    if not beside.is_file():
        raise EngineError(
            f"{path} has no manifest: expected {beside.name} in the same folder; build it again: "
            f"edge-ser build-engine MODEL.onnx --out {path}"
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
            f"{path} was truncated or replaced: expected {manifest.engine_bytes:,} bytes, got "
            f"{len(plan):,} bytes; build it again: {again}"
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
    """Raise for an engine built by another TensorRT or for another GPU.

    Raises:
        EngineError: names both values and the command that rebuilds the engine.
    """
    built = manifest.built_by
    again = manifest.rebuild(path, device.compute_capability if device else "")
    compatible = (
        manifest.options.version_compatible
        and built.version.split(".")[0] == tensorrt.version.split(".")[0]
    )
    if built.module != tensorrt.name or (built.version != tensorrt.version and not compatible):
        raise EngineError(
            f"{path} was built by {built.module} {built.version}, but {tensorrt} is installed; build it "
            "again: " + again.replace(f"--tensorrt {built.module}", f"--tensorrt {tensorrt.name}")
        )
    if device is None:
        raise EngineError(
            f"{path} is for GPUs of SM {', '.join(built.compute_capabilities)}, but no GPU was found; "
            "check that the NVIDIA driver runs, or use the ONNX file"
        )
    if device.compute_capability not in built.compute_capabilities:
        raise EngineError(
            f"{path} was built for SM {', '.join(built.compute_capabilities)}, but the GPU "
            f"({device.name}) has SM {device.compute_capability}; build it again: {again}"
        )


def load_engine(
    path: Path, on_message: OnMessage, choice: str = "auto", level: str = "warning"
) -> LoadedEngine:
    """Check an engine and deserialise it.

    Args:
        path: the engine; its manifest is in the same folder.
        on_message: called with TensorRT's messages up to `level`.
        choice: the TensorRT package, one of `library.CHOICES`; auto uses the one in the manifest.
        level: one of `library.LEVELS`.

    Raises:
        EngineError: as `read_engine` and `check_fits`, or TensorRT rejects the engine.
        MissingDependency: TensorRT is not installed.
    """
    manifest, plan = read_engine(path)
    tensorrt = find_tensorrt(manifest.built_by.module if choice == "auto" else choice)
    check_fits(manifest, path, tensorrt, cuda_device())
    return deserialise(manifest, plan, path, tensorrt, open_log(tensorrt.module, on_message, level))


def deserialise(
    manifest: EngineManifest, plan: bytes, path: Path, tensorrt: TensorRT, log: Any
) -> LoadedEngine:
    """Deserialise a checked engine.

    Raises:
        EngineError: TensorRT rejects it.
    """
    trt = tensorrt.module
    runtime = trt.Runtime(log)
    if manifest.options.version_compatible:
        # A version-compatible engine contains executable code: the runtime of its version.
        runtime.engine_host_code_allowed = True
    if manifest.options.dla_core >= 0:
        runtime.DLA_core = manifest.options.dla_core
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        reason = "; ".join(log.errors) or "no reason given"
        raise EngineError(
            f"{tensorrt} does not load {path} ({reason}); build it again: {manifest.rebuild(path)}"
        )
    return LoadedEngine(manifest, engine, runtime, log, tensorrt)


def _same_digest(name: str, data: bytes, expected: str, again: str) -> None:
    actual = bytes_digest(data)
    if actual != expected:
        raise EngineError(
            f"{name} changed since the build: expected SHA-256 {expected[:12]}…, got {actual[:12]}…; "
            f"build the engine again: {again}"
        )
