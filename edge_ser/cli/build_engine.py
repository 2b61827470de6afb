"""`edge-ser build-engine`: build a TensorRT engine and its manifest from an ONNX model."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser._util.suffixes import ENGINE_SUFFIXES
from edge_ser.cli._shared.cache import default_cache
from edge_ser.cli._shared.options import (
    DefaultOf,
    calibration_option,
    model_argument,
    out_option,
    require_suffix,
)
from edge_ser.cli._shared.progress import BuildProgress

if TYPE_CHECKING:
    from rich.console import Console


@click.command(name="build-engine")
@model_argument(required=True)
@click.option("--fp32", is_flag=True, help="Build an FP32 model.")
@click.option(
    "--fp16", is_flag=True, help="Build an FP16 model made by `edge-ser quantize --fp16`."
)
@click.option(
    "--int8", is_flag=True, help="Build an INT8 model; with --fp16, one that contains both types."
)
@out_option("The engine file to write.")
@calibration_option("Refuse an INT8 model that was not calibrated on the set in this folder.")
@click.option(
    "--tensorrt",
    type=click.Choice(["auto", "tensorrt", "tensorrt_rtx"]),
    default="auto",
    show_default=True,
    help="Builder module: JetPack's TensorRT, or TensorRT for RTX.",
)
@click.option(
    "--compute-capability",
    "targets",
    multiple=True,
    metavar="X.Y",
    help="Target GPU, with TensorRT for RTX. Repeat for several.  [default: this machine's GPU]",
)
@click.option(
    "--batch",
    nargs=3,
    type=click.IntRange(1),
    default=DefaultOf("edge_ser.tensorrt.manifest:EngineConfig.batch"),
    show_default=True,
    metavar="MIN OPT MAX",
    help="Batch size: smallest, optimal and largest.",
)
@click.option(
    "--window",
    "window_s",
    nargs=3,
    type=click.FloatRange(0, min_open=True),
    metavar="MIN OPT MAX",
    help="Window length in seconds.  [default: the card's min_window_s, window_s and window_s]",
)
@click.option(
    "--workspace",
    "workspace_mib",
    type=click.IntRange(1),
    default=DefaultOf("edge_ser.tensorrt.manifest:EngineConfig.workspace_mib"),
    show_default=True,
    metavar="MIB",
    help="Maximum workspace memory of a layer.",
)
@click.option(
    "--timing-cache",
    type=click.Path(path_type=Path),
    help="Folder of timing caches, one file for each device and version.  [default: the user's cache]",
)
@click.option(
    "--dla", type=click.IntRange(0), help="Build for this DLA core (deep learning accelerator)."
)
@click.option(
    "--allow-gpu-fallback",
    is_flag=True,
    help="Run layers without DLA support on the GPU; with --dla.",
)
@click.option(
    "--version-compatible",
    is_flag=True,
    help="Let other TensorRT versions of the same major version load the engine; the file gets larger.",
)
@click.option(
    "--log-level",
    type=click.Choice(["error", "warning", "info", "verbose"]),
    default="warning",
    show_default=True,
    help="Lowest severity of TensorRT's messages to show.",
)
def command(
    model: Path,
    fp32: bool,
    fp16: bool,
    int8: bool,
    out: Path,
    calibration: Path | None,
    tensorrt: str,
    targets: tuple[str, ...],
    batch: tuple[int, int, int],
    window_s: tuple[float, float, float] | None,
    workspace_mib: int,
    timing_cache: Path | None,
    dla: int | None,
    allow_gpu_fallback: bool,
    version_compatible: bool,
    log_level: str,
) -> None:
    """Build a TensorRT engine from the ONNX file MODEL, on the device that will run it.

    \b
      edge-ser build-engine model.int8.onnx --int8 --out model.engine
      edge-ser build-engine model.onnx --fp32 --out model.engine \\
        --tensorrt tensorrt_rtx --compute-capability 8.9

    MODEL must already have the requested precision; `edge-ser quantize` converts it. Files are written
    only if the build succeeds. OUT.json beside the engine is its manifest.
    """
    require_suffix(out, *ENGINE_SUFFIXES)
    from rich.console import Console

    from edge_ser.tensorrt.build import build_engine
    from edge_ser.tensorrt.manifest import EngineConfig

    options = EngineConfig(
        precision=_precision(fp32, fp16, int8),
        batch=batch,
        window_s=window_s or (),
        workspace_mib=workspace_mib,
        dla_core=-1 if dla is None else dla,
        gpu_fallback=allow_gpu_fallback,
        version_compatible=version_compatible,
    )
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    started = time.perf_counter()
    with _progress(console) as progress:
        manifest = build_engine(
            model,
            out,
            options,
            on_message=lambda level, text: console.print(f"tensorrt {level}: {text}"),
            choice=tensorrt,
            level=log_level,
            targets=targets,
            calibration_digest=_digest(calibration),
            timing_folder=timing_cache or default_cache() / "timing",
            progress=progress,
        )
    built, shapes = manifest.built_by, manifest.shapes
    console.print(
        f"{out}: {manifest.precision.kind}, {manifest.engine_bytes:,} bytes, for SM "
        f"{', '.join(built.compute_capabilities)}, by {built.module} {built.version} in "
        f"{time.perf_counter() - started:.1f} s"
    )
    console.print(
        f"{shapes.input}: from {list(shapes.minimum)} to {list(shapes.maximum)}, best at "
        f"{list(shapes.optimum)}"
    )
    if not manifest.layers:
        console.print(
            "types of the built layers: readable only on the target GPU; run edge-ser inspect there"
        )
    console.print(f"next: edge-ser inspect {out}")


def _digest(calibration: Path | None) -> str | None:
    """Return the digest of a calibration set."""
    if calibration is None:
        return None
    from edge_ser.quantization.calibration_set import CalibrationSet

    return CalibrationSet.load(calibration).digest


def _precision(fp32: bool, fp16: bool, int8: bool) -> str:
    asked = [name for name, on in (("fp32", fp32), ("int8", int8), ("fp16", fp16)) if on]
    if not asked or (fp32 and len(asked) > 1):
        given = " and ".join(f"--{name}" for name in asked) or "none"
        raise click.UsageError(f"expected --fp32, --fp16, --int8, or --int8 --fp16, got {given}")
    return "+".join(asked)


def _progress(console: Console) -> AbstractContextManager[BuildProgress | None]:
    """Return progress bars on a terminal, otherwise a context without effect."""
    if not console.is_terminal:
        return nullcontext()
    return BuildProgress(console)
