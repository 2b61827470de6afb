"""TensorRT on the device that it builds for: timing cache, DLA, version-compatible engines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_ser._util.callbacks import OnMessage
from edge_ser._util.files import replacing
from edge_ser.card import ModelCard
from edge_ser.errors import ConfigError, EngineError
from edge_ser.machine.cuda_device import CudaDevice
from edge_ser.tensorrt.library import TensorRT
from edge_ser.tensorrt.manifest import EngineConfig, ProfileShapes


def known_targets(trt: Any) -> dict[str, str]:
    """Return {compute capability: its name in ComputeCapability}, such as 8.6: SM86."""
    names = [name for name in dir(trt.ComputeCapability) if name.startswith("SM")]
    return {f"{name[2:-1]}.{name[-1]}": name for name in sorted(names, key=lambda n: int(n[2:]))}


def set_targets(trt: Any, config: Any, targets: Sequence[str]) -> None:
    """Build for GPUs of these compute capabilities.

    Raises:
        EngineError: one that this TensorRT does not know.
    """
    known = known_targets(trt)
    for target in targets:
        if target not in known:
            raise EngineError(
                f"compute capability {target} was asked for, this TensorRT for RTX builds for "
                f"{', '.join(known)}; a Jetson builds with its own tensorrt: --tensorrt tensorrt"
            )
    config.num_compute_capabilities = len(targets)
    for place, target in enumerate(targets):
        value = getattr(trt.ComputeCapability, known[target])
        if not config.set_compute_capability(value, place):
            raise EngineError(f"TensorRT for RTX refuses compute capability {target}")


def profile_shapes(card: ModelCard, name: str, options: EngineConfig) -> ProfileShapes:
    """Return the shapes of a model's input.

    Where `options` has no `window_s`, windows go from the card's shortest to its usual, which is the
    best; on a DLA, which takes one shape only, the usual is all.

    Args:
        card: the model's card.
        name: the input tensor's name.
        options: what was asked for.

    Raises:
        ConfigError: a range that is not ascending, shorter than the model takes, or, for a DLA, more
            than one shape.
    """
    usual, fixed = card.window_s, options.dla_core >= 0
    windows = options.window_s or (usual if fixed else card.min_window_s, usual, usual)
    for what, (low, best, high) in (("batch", options.batch), ("window", windows)):
        if not 0 < low <= best <= high:
            raise ConfigError(f"{what} is {low:g} {best:g} {high:g}, wanted: ascending, above 0")
        if fixed and low != high:
            raise ConfigError(
                f"{what} is {low:g} {best:g} {high:g}, a DLA takes one shape only; give the same "
                "number three times"
            )
    if windows[0] < card.min_window_s:
        raise ConfigError(
            f"window begins at {windows[0]:g} s, {card.name} takes {card.min_window_s:g} s and more"
        )
    samples = [round(length * card.frontend.sample_rate) for length in windows]

    def shape(place: int) -> tuple[int, ...]:
        if card.input == "waveform":
            return (options.batch[place], samples[place])
        n_frames = card.frontend.n_frames(samples[place])
        return (options.batch[place], card.frontend.n_features, n_frames)

    return ProfileShapes(name, shape(0), shape(1), shape(2))


def configure(trt: Any, builder: Any, config: Any, options: EngineConfig) -> None:
    """Set what only `tensorrt` offers.

    Raises:
        EngineError: a DLA that the device lacks.
    """
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.dla_core < 0:
        return
    if options.dla_core >= builder.num_DLA_cores:
        raise EngineError(
            f"DLA {options.dla_core} was asked for, this device has {builder.num_DLA_cores} of them, "
            "counted from 0; leave --dla out to build for the GPU"
        )
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = options.dla_core
    if options.gpu_fallback:
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def timing_cache_path(folder: Path, tensorrt: TensorRT, device: CudaDevice) -> Path:
    """Return the file of timings for this TensorRT on this device."""
    name = re.sub(r"\W+", "-", device.name).strip("-").lower()
    return folder / f"{name}-sm{device.compute_capability}-{tensorrt.version}.timing"


def read_timing_cache(config: Any, path: Path, on_message: OnMessage) -> None:
    """Attach the timings of earlier builds; fresh ones where the file is of no use."""
    try:
        stored = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        on_message("warning", f"{path} cannot be read ({error.strerror}): everything is timed anew")
        stored = b""
    cache = config.create_timing_cache(stored)
    if cache is not None and config.set_timing_cache(cache, False):  # noqa: FBT003
        return
    on_message("warning", f"TensorRT does not take the timings in {path}: everything is timed anew")
    config.set_timing_cache(config.create_timing_cache(b""), False)  # noqa: FBT003


def write_timing_cache(config: Any, path: Path, on_message: OnMessage) -> None:
    """Keep the timings of this build and those before it; a build is worth more than they are."""
    cache = config.get_timing_cache()
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(bytes(cache.serialize()))
    except (ConfigError, OSError) as error:
        on_message("warning", f"the timings of this build are not kept: {error}")
