"""`build_engine`: an ONNX file in; an engine and its manifest out, both or neither."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from edge_ser._util.callbacks import OnMessage
from edge_ser._util.files import replacing
from edge_ser._util.hashing import bytes_digest
from edge_ser.build.engine.builder import Job, is_weakly_typed, serialise
from edge_ser.build.engine.on_device import timing_cache_path
from edge_ser.build.engine.source import read_source, require_precision
from edge_ser.build.engine.strongly_typed import Progress
from edge_ser.errors import EngineError
from edge_ser.machine.cuda_device import CudaDevice, cuda_device
from edge_ser.manifest import BuiltBy, EngineManifest, EngineOptions, manifest_path
from edge_ser.runtime.engine_file import deserialise
from edge_ser.runtime.engine_layers import with_layers
from edge_ser.runtime.tensorrt_module import TensorRT, find_tensorrt, open_log


def build_engine(
    onnx: Path,
    out: Path,
    options: EngineOptions,
    *,
    on_message: OnMessage,
    choice: str = "auto",
    level: str = "warning",
    targets: Sequence[str] = (),
    calibration: Path | None = None,
    timing_folder: Path | None = None,
    progress: Progress | None = None,
) -> EngineManifest:
    """Build an engine and write it with its manifest.

    Args:
        onnx: a model file, of the precision that `options` asks for.
        out: the engine; `manifest_path(out)` stands beside it.
        options: what to ask of the builder.
        on_message: called with TensorRT's messages up to `level`.
        choice: which TensorRT, one of `tensorrt_module.CHOICES`.
        level: one of `tensorrt_module.LEVELS`.
        targets: compute capabilities to build for, with TensorRT for RTX only; () for the GPU here.
        calibration: the set that an INT8 file has to have been made with; None for any.
        timing_folder: where timings are kept between builds; None to time every time.
        progress: hears how far the build is.

    Raises:
        EngineError: this cannot be built as asked; nothing was written.
        ModelError, CalibrationError, MissingDependency: what is needed is not there or unusable.
    """
    source = read_source(onnx)
    require_precision(source, options.precision, calibration)
    tensorrt = find_tensorrt(choice)
    device = cuda_device()
    targets = _targets(tensorrt, options, targets, device)
    timings = None
    if device is not None and timing_folder is not None and not tensorrt.is_rtx:
        timings = timing_cache_path(timing_folder, tensorrt, device)
    log = open_log(tensorrt.module, on_message, level)
    job = Job(source, options, targets, timings)
    plan, shapes = serialise(tensorrt, job, log, progress)
    manifest = EngineManifest(
        engine_sha256=bytes_digest(plan),
        engine_bytes=len(plan),
        onnx=os.path.relpath(onnx, out.parent),
        onnx_sha256=source.sha256,
        options=options,
        precision=source.precision,
        built_by=_built_by(tensorrt, targets, device),
        shapes=shapes,
        card=source.card,
        created=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    )
    if device is not None and device.compute_capability in targets:
        manifest = with_layers(deserialise(manifest, plan, out, tensorrt, log))
    _write(out, plan, manifest)
    return manifest


def _targets(
    tensorrt: TensorRT,
    options: EngineOptions,
    asked: Sequence[str],
    device: CudaDevice | None,
) -> tuple[str, ...]:
    """Return the compute capabilities to build for, or say what this TensorRT cannot do."""
    if tensorrt.is_rtx:
        if options.dla_core >= 0 or options.version_compatible:
            raise EngineError(
                f"{tensorrt} has no DLA and no version-compatible engines; leave --dla and "
                "--version-compatible out, or build on a Jetson with --tensorrt tensorrt"
            )
        if not asked and device is None:
            raise EngineError(
                "there is no GPU here to build for; name its compute capability, e.g. "
                "--compute-capability 8.9"
            )
        return tuple(dict.fromkeys(asked)) or (device.compute_capability if device else "",)
    if device is None:
        raise EngineError(
            f"{tensorrt} builds for the GPU that it runs on, and none was found here; build on the "
            "device, or for RTX GPUs with --tensorrt tensorrt_rtx --compute-capability"
        )
    if any(target != device.compute_capability for target in asked):
        raise EngineError(
            f"compute capability {', '.join(asked)} was asked for, {tensorrt} builds for the GPU here, "
            f"{device.name} of {device.compute_capability}; leave --compute-capability out"
        )
    if "int8" in options.precision and options.dla_core >= 0 and is_weakly_typed(tensorrt, options):
        raise EngineError(
            f"int8 for a DLA was asked for, the DLA of {tensorrt} takes no quantised graphs; use "
            "--fp16 there, or leave --dla out"
        )
    return (device.compute_capability,)


def _built_by(tensorrt: TensorRT, targets: Sequence[str], device: CudaDevice | None) -> BuiltBy:
    board = Path("/proc/device-tree/model")
    parts = [board.read_text().rstrip("\0")] if board.is_file() else []
    host = ", ".join([*parts, platform.machine(), platform.platform()])
    cuda = device.cuda if device else ""
    return BuiltBy(tensorrt.name, tensorrt.version, cuda, tuple(targets), host)


def _write(out: Path, plan: bytes, manifest: EngineManifest) -> None:
    """Move both into place, the engine last: an engine that is there has its manifest."""
    try:
        with replacing(out) as engine, replacing(manifest_path(out)) as beside:
            engine.write_bytes(plan)
            beside.write_text(manifest.to_json(), encoding="utf-8")
    except OSError as error:
        raise EngineError(
            f"{out} cannot be written ({error.strerror}); choose another place"
        ) from None
