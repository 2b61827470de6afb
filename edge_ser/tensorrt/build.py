"""`build_engine`: an ONNX file in; an engine and its manifest out, both or neither."""

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
from edge_ser.tensorrt import strongly_typed, targets, weakly_typed
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
from edge_ser.tensorrt.strongly_typed import Progress
from edge_ser.tensorrt.targets import profile_shapes, timing_cache_path

MIB = 1 << 20


@dataclass(frozen=True)
class Job:
    """One build."""

    source: Source
    options: EngineConfig
    targets: Sequence[str]
    """Compute capabilities of the GPUs to build for."""
    timing_cache: Path | None
    """File of timings; None for none."""


def is_weakly_typed(tensorrt: TensorRT, options: EngineConfig) -> bool:
    """Tell whether types come by flags; from 10 on only on a DLA, and from 11 on never."""
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
        job: what to build.
        log: of `tensorrt_module.open_log`.
        progress: hears how far the build is, from TensorRT 10 on; None for nobody.

    Returns:
        The serialised engine and the shapes that it takes.

    Raises:
        EngineError: TensorRT cannot parse or build it, with its reasons; or options it lacks.
    """
    trt, options = tensorrt.module, job.options
    weak = is_weakly_typed(tensorrt, options)
    builder = trt.Builder(log)
    network = builder.create_network((weakly_typed if weak else strongly_typed).network_flags(trt))
    _parse(trt, network, log, job.source)
    shapes = profile_shapes(job.source.card, network.get_input(0).name, options)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib * MIB)
    # Else TensorRT rounds FP32 to 10 bits of mantissa on every GPU since Ampere.
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    profile = builder.create_optimization_profile()
    profile.set_shape(shapes.input, shapes.minimum, shapes.optimum, shapes.maximum)
    config.add_optimization_profile(profile)
    if weak:
        weakly_typed.allow_types(trt, config, network, job.source.precision)
    else:
        strongly_typed.check_types(trt, network, job.source.precision)
    if tensorrt.is_rtx:
        targets.set_targets(trt, config, job.targets)
    else:
        targets.configure(trt, builder, config, options)
    if job.timing_cache is not None:
        targets.read_timing_cache(config, job.timing_cache, log.on_message)
    stopped: Sequence[BaseException] = ()
    if progress is not None and (tensorrt.is_rtx or tensorrt.release[0] >= 10):
        stopped = strongly_typed.watch(trt, config, progress)
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
    problems = (parser.get_error(place) for place in range(parser.num_errors))
    reasons = "; ".join(f"node {problem.node()}: {problem.desc()}" for problem in problems)
    raise EngineError(
        f"TensorRT cannot parse {source.path}: {reasons or _reasons(log)}; export it again with "
        "`edge-ser export`, or quantise it again with `edge-ser quantize`"
    )


def _reasons(log: Any) -> str:
    return "; ".join(log.errors) or "it gave no reason; see --log-level verbose"


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
    """Build an engine and write it with its manifest.

    Args:
        onnx: a model file, of the precision that `options` asks for.
        out: the engine; `manifest_path(out)` stands beside it.
        options: what to ask of the builder.
        on_message: called with TensorRT's messages up to `level`.
        choice: which TensorRT, one of `tensorrt_module.CHOICES`.
        level: one of `tensorrt_module.LEVELS`.
        targets: compute capabilities to build for, with TensorRT for RTX only; () for the GPU here.
        calibration_digest: digest of the calibration set that an INT8 file must have been made
            with; None for any.
        timing_folder: where timings are kept between builds; None to time every time.
        progress: hears how far the build is.

    Raises:
        EngineError: this cannot be built as asked; nothing was written.
        ModelError, CalibrationError, MissingDependency: what is needed is not there or unusable.
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
