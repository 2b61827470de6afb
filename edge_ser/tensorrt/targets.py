"""Builder settings of a device: profile shapes, DLA, compute capabilities, timing cache."""

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
    """Return the names in ComputeCapability by compute capability, such as {"8.6": "SM86"}."""
    names = [name for name in dir(trt.ComputeCapability) if name.startswith("SM")]
    return {f"{name[2:-1]}.{name[-1]}": name for name in sorted(names, key=lambda n: int(n[2:]))}


def set_targets(trt: Any, config: Any, targets: Sequence[str]) -> None:
    """Set the compute capabilities to build for.

    Raises:
        EngineError: a compute capability that this TensorRT does not support.
    """
    known = known_targets(trt)
    for target in targets:
        if target not in known:
            raise EngineError(
                f"expected a compute capability of this TensorRT for RTX ({', '.join(known)}), got "
                f"{target}; on a Jetson use JetPack's TensorRT: --tensorrt tensorrt"
            )
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        value = getattr(trt.ComputeCapability, known[target])
        if not config.set_compute_capability(value, index):
            raise EngineError(f"TensorRT for RTX rejects compute capability {target}")


def profile_shapes(card: ModelCard, name: str, options: EngineConfig) -> ProfileShapes:
    """Return the minimum, optimum and maximum shape of a model's input.

    Without `options.window_s`, windows range from the card's shortest to its usual one, which is the
    optimum. A DLA supports one shape only, the usual one.

    Args:
        card: the model's card.
        name: the input tensor's name.
        options: the build options.

    Raises:
        ConfigError: a range that is not ascending or begins below the model's shortest window, or
            more than one shape for a DLA.
    """
    usual, fixed = card.window_s, options.dla_core >= 0
    windows = options.window_s or (usual if fixed else card.min_window_s, usual, usual)
    for label, (low, best, high) in (("batch", options.batch), ("window", windows)):
        if not 0 < low <= best <= high:
            raise ConfigError(
                f"{label}: expected ascending numbers above 0, got {low:g} {best:g} {high:g}"
            )
        if fixed and low != high:
            raise ConfigError(
                f"{label}: expected the same number three times, because a DLA supports one shape "
                f"only, got {low:g} {best:g} {high:g}"
            )
    if windows[0] < card.min_window_s:
        raise ConfigError(
            f"window: expected {card.min_window_s:g} s or more for {card.name}, got {windows[0]:g} s"
        )
    samples = [round(length * card.frontend.sample_rate) for length in windows]

    def shape(index: int) -> tuple[int, ...]:
        if card.input == "waveform":
            return (options.batch[index], samples[index])
        n_frames = card.frontend.n_frames(samples[index])
        return (options.batch[index], card.frontend.n_features, n_frames)

    return ProfileShapes(name, shape(0), shape(1), shape(2))


def configure(trt: Any, builder: Any, config: Any, options: EngineConfig) -> None:
    """Set the options that only `tensorrt` supports: DLA and version-compatible engines.

    Raises:
        EngineError: a DLA core that the device does not have.
    """
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.dla_core < 0:
        return
    if options.dla_core >= builder.num_DLA_cores:
        raise EngineError(
            f"expected a DLA core below {builder.num_DLA_cores}, the number on this device, got "
            f"{options.dla_core}; leave --dla out to build for the GPU"
        )
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = options.dla_core
    if options.gpu_fallback:
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def timing_cache_path(folder: Path, tensorrt: TensorRT, device: CudaDevice) -> Path:
    """Return the path of the timing cache for a TensorRT version and a device."""
    name = re.sub(r"\W+", "-", device.name).strip("-").lower()
    return folder / f"{name}-sm{device.compute_capability}-{tensorrt.version}.timing"


def read_timing_cache(config: Any, path: Path, on_message: OnMessage) -> None:
    """Attach the timing cache of earlier builds; an empty one if the file cannot be used."""
    try:
        stored = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        on_message(
            "warning", f"{path} cannot be read ({error.strerror}): all layers are timed again"
        )
        stored = b""
    cache = config.create_timing_cache(stored)
    if cache is not None and config.set_timing_cache(cache, False):  # noqa: FBT003
        return
    on_message("warning", f"TensorRT rejects the timing cache {path}: all layers are timed again")
    config.set_timing_cache(config.create_timing_cache(b""), False)  # noqa: FBT003


def write_timing_cache(config: Any, path: Path, on_message: OnMessage) -> None:
    """Write the timing cache; failures are reported and do not fail the build."""
    cache = config.get_timing_cache()
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(bytes(cache.serialize()))
    except (ConfigError, OSError) as error:
        on_message("warning", f"the timing cache was not saved: {error}")
