"""From an ONNX graph to a serialised engine, through any TensorRT from 8.6 on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ser.build.engine import on_device, rtx, strongly_typed, weakly_typed
from edge_ser.build.engine.profile import profile_shapes
from edge_ser.build.engine.source import Source
from edge_ser.build.engine.strongly_typed import Progress
from edge_ser.errors import EngineError
from edge_ser.manifest import EngineOptions, ProfileShapes
from edge_ser.runtime.tensorrt_module import TensorRT

MIB = 1 << 20


@dataclass(frozen=True)
class Job:
    """One build."""

    source: Source
    options: EngineOptions
    targets: Sequence[str]
    """Compute capabilities of the GPUs to build for."""
    timing_cache: Path | None
    """File of timings; None for none."""


def is_weakly_typed(tensorrt: TensorRT, options: EngineOptions) -> bool:
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
        rtx.set_targets(trt, config, job.targets)
    else:
        on_device.configure(trt, builder, config, options)
    if job.timing_cache is not None:
        on_device.read_timing_cache(config, job.timing_cache, log.on_message)
    stopped: Sequence[BaseException] = ()
    if progress is not None and (tensorrt.is_rtx or tensorrt.release[0] >= 10):
        stopped = strongly_typed.watch(trt, config, progress)
    plan = builder.build_serialized_network(network, config)
    if stopped:
        raise stopped[0]
    if plan is None:
        raise EngineError(f"{tensorrt} cannot build {job.source.path}: {_reasons(log)}")
    if job.timing_cache is not None:
        on_device.write_timing_cache(config, job.timing_cache, log.on_message)
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
