"""TensorRT for RTX: builds anywhere for named GPUs, and has neither DLA nor timing cache.

It takes a DLA and a timing cache without a word and ignores them, and makes no version-compatible
engines for want of a lean runtime; so they are refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_ser.errors import EngineError


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
