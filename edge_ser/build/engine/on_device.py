"""TensorRT on the device that it builds for: timing cache, DLA, version-compatible engines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edge_ser._util.callbacks import OnMessage
from edge_ser._util.files import replacing
from edge_ser.errors import ConfigError, EngineError
from edge_ser.machine.cuda_device import CudaDevice
from edge_ser.manifest import EngineOptions
from edge_ser.runtime.tensorrt_module import TensorRT


def configure(trt: Any, builder: Any, config: Any, options: EngineOptions) -> None:
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
