"""Build a TensorRT engine and its manifest from an ONNX file; both are written, or neither."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ser._util.callbacks import OnMessage
from edge_ser._util.files import replacing
from edge_ser._util.hashing import bytes_digest
from edge_ser.errors import EngineError
from edge_ser.machine.cuda_device import CudaDevice, cuda_device
from edge_ser.tensorrt import targets, typing
from edge_ser.tensorrt.engine import deserialise
from edge_ser.tensorrt.layers import with_layers
from edge_ser.tensorrt.library import TensorRT, find_tensorrt, open_log
from edge_ser.tensorrt.manifest import (
    BuiltBy,
    EngineConfig,
    EngineManifest,
    ProfileShapes,
    manifest_path,
)
from edge_ser.tensorrt.onnx_source import Source, read_source, require_precision
from edge_ser.tensorrt.targets import profile_shapes, timing_cache_path
from edge_ser.tensorrt.typing import Progress

MIB = 1 << 20


@dataclass(frozen=True)
class Job:
    """Inputs of one build."""

    source: Source
    options: EngineConfig
    targets: Sequence[str]
    """Compute capabilities of the GPUs to build for."""
    timing_cache: Path | None
    """Timing cache file; None to build without one."""


def is_weakly_typed(tensorrt: TensorRT, options: EngineConfig) -> bool:
    """Return whether builder flags choose the types: TensorRT 8.6, and a DLA in TensorRT 10."""
    if tensorrt.is_rtx:
        return False
    return tensorrt.release[0] < 10 + (options.dla_core >= 0)


def serialise(
    tensorrt: TensorRT,
    job: Job,
    log: Any,
    progress: Progress | None,
) -> tuple[bytes, ProfileShapes]:
    """Build an engine.

    Args:
        tensorrt: the module to use.
        job: the inputs of the build.
        log: from `library.open_log`.
        progress: receives the progress of the build, from TensorRT 10 on; None to ignore it.

    Returns:
        The serialised engine and its input shapes.

    Raises:
        EngineError: TensorRT cannot parse or build the model, or does not support the options.
    """
    trt, options = tensorrt.module, job.options
    weak = is_weakly_typed(tensorrt, options)
    builder = trt.Builder(log)
    flags = typing.weakly_typed_flags(trt) if weak else typing.strongly_typed_flags(trt)
    network = builder.create_network(flags)
    _parse(trt, network, log, job.source)
    shapes = profile_shapes(job.source.card, network.get_input(0).name, options)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib * MIB)
    # With TF32, TensorRT rounds FP32 to a 10-bit mantissa on every GPU since Ampere.
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    profile = builder.create_optimization_profile()
    profile.set_shape(shapes.input, shapes.minimum, shapes.optimum, shapes.maximum)
    config.add_optimization_profile(profile)
    if weak:
        typing.allow_types(trt, config, network, job.source.precision)
    else:
        typing.check_types(trt, network, job.source.precision)
    if tensorrt.is_rtx:
        targets.set_targets(trt, config, job.targets)
    else:
        targets.configure(trt, builder, config, options)
    if job.timing_cache is not None:
        targets.read_timing_cache(config, job.timing_cache, log.on_message)
    stopped: Sequence[BaseException] = ()
    if progress is not None and (tensorrt.is_rtx or tensorrt.release[0] >= 10):
        stopped = typing.watch(trt, config, progress)
    plan = builder.build_serialized_network(network, config)
    if stopped:
        raise stopped[0]
    if plan is None:
        raise EngineError(f"{tensorrt} cannot build {job.source.path}: {_reasons(log)}")
    if job.timing_cache is not None:
        targets.write_timing_cache(config, job.timing_cache, log.on_message)
    return bytes(plan), shapes


def _parse(trt: Any, network: Any, log: Any, source: Source) -> None:
    parser = trt.OnnxParser(network, log)
    if parser.parse(source.data):
        return
    problems = (parser.get_error(index) for index in range(parser.num_errors))
    reasons = "; ".join(f"node {problem.node()}: {problem.desc()}" for problem in problems)
    raise EngineError(
        f"TensorRT cannot parse {source.path}: {reasons or _reasons(log)}; export it again with "
        "`edge-ser export`, or quantise it again with `edge-ser quantize`"
    )


def _reasons(log: Any) -> str:
    return "; ".join(log.errors) or "no reason given; see --log-level verbose"


def build_engine(
    onnx: Path,
    out: Path,
    options: EngineConfig,
    *,
    on_message: OnMessage,
    choice: str = "auto",
    level: str = "warning",
    targets: Sequence[str] = (),
    calibration_digest: str | None = None,
    timing_folder: Path | None = None,
    progress: Progress | None = None,
) -> EngineManifest:
    """Build an engine and write it together with its manifest.

    Args:
        onnx: the model file, already in the precision of `options`.
        out: the engine file; the manifest is written to `manifest_path(out)`.
        options: the build options.
        on_message: called with TensorRT's messages up to `level`.
        choice: the TensorRT package, one of `library.CHOICES`.
        level: one of `library.LEVELS`.
        targets: compute capabilities to build for, TensorRT for RTX only; () for the local GPU.
        calibration_digest: digest of the calibration set that an INT8 file must have been
            quantised with; None for any.
        timing_folder: folder of the timing caches; None to build without one.
        progress: receives the progress of the build.

    Raises:
        EngineError: the engine cannot be built as requested; nothing was written.
        ModelError, CalibrationError, MissingDependency: an input or a package is missing or
            unusable.
    """
    source = read_source(onnx)
    require_precision(source, options.precision, calibration_digest)
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
    options: EngineConfig,
    requested: Sequence[str],
    device: CudaDevice | None,
) -> tuple[str, ...]:
    """Return the compute capabilities to build for; raise EngineError if they are not supported."""
    if tensorrt.is_rtx:
        if options.dla_core >= 0 or options.version_compatible:
            raise EngineError(
                f"{tensorrt} has no DLA and no version-compatible engines; leave --dla and "
                "--version-compatible out, or build on a Jetson with --tensorrt tensorrt"
            )
        if not requested and device is None:
            raise EngineError(
                "no GPU was found to build for; give its compute capability, e.g. "
                "--compute-capability 8.9"
            )
        return tuple(dict.fromkeys(requested)) or (device.compute_capability if device else "",)
    if device is None:
        raise EngineError(
            f"{tensorrt} builds for the local GPU, but no GPU was found; build on the "
            "device, or for RTX GPUs with --tensorrt tensorrt_rtx --compute-capability"
        )
    if any(target != device.compute_capability for target in requested):
        raise EngineError(
            f"{tensorrt} builds for the local GPU only: expected compute capability "
            f"{device.compute_capability} ({device.name}), got {', '.join(requested)}; leave "
            "--compute-capability out"
        )
    if "int8" in options.precision and options.dla_core >= 0 and is_weakly_typed(tensorrt, options):
        raise EngineError(
            f"the DLA of {tensorrt} does not support quantised graphs, got int8; use --fp16, or "
            "leave --dla out"
        )
    return (device.compute_capability,)


def _built_by(tensorrt: TensorRT, targets: Sequence[str], device: CudaDevice | None) -> BuiltBy:
    board = Path("/proc/device-tree/model")
    parts = [board.read_text().rstrip("\0")] if board.is_file() else []
    host = ", ".join([*parts, platform.machine(), platform.platform()])
    cuda = device.cuda if device else ""
    return BuiltBy(tensorrt.name, tensorrt.version, cuda, tuple(targets), host)


def _write(out: Path, plan: bytes, manifest: EngineManifest) -> None:
    """Move both files into place, the engine last, so that every engine has its manifest."""
    try:
        with replacing(out) as engine_file, replacing(manifest_path(out)) as manifest_file:
            engine_file.write_bytes(plan)
            manifest_file.write_text(manifest.to_json(), encoding="utf-8")
    except OSError as error:
        raise EngineError(
            f"{out} cannot be written ({error.strerror}); choose another folder"
        ) from None
