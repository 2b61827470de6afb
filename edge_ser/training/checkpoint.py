"""Checkpoints in safetensors format: tensors and a JSON header, without executable code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import Module

from edge_ser._util.files import replacing
from edge_ser.errors import TrainingError

LAST = "last.safetensors"
"""State to resume a training from."""
BEST = "best.safetensors"
"""Averaged weights of the best epoch."""

_HEADER = "edge_ser.checkpoint"


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header atomically."""
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        contiguous = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
        save_file(contiguous, str(temporary), metadata={_HEADER: json.dumps(header)})


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and header of a file written by `save_checkpoint`.

    Raises:
        TrainingError: the file is missing, damaged, or not a checkpoint of edge-ser.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise TrainingError(
            f"expected a checkpoint {path}, which is missing; train first, or without --resume"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise TrainingError(f"the checkpoint {path} is damaged ({error}); train again") from None
    try:
        parsed = json.loads(header or "")
    except json.JSONDecodeError:
        raise TrainingError(
            f"expected an edge-ser checkpoint, got {path} without its header; give a run of "
            "`edge-ser train`"
        ) from None
    return tensors, parsed


def load_weights(network: Module, path: Path) -> None:
    """Load the tensors of a checkpoint into a network.

    Raises:
        TrainingError: the checkpoint is missing, damaged, or of another network.
    """
    tensors, _ = load_checkpoint(path)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise foreign_checkpoint(path, error) from None


def foreign_checkpoint(path: Path, error: Exception) -> TrainingError:
    """Return the error for a checkpoint whose tensors do not match."""
    reason = str(error).splitlines()[0]
    return TrainingError(
        f"the checkpoint {path} does not belong to this run ({reason}); train again"
    )


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with `prefix.` before their names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def strip_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix.`, without it."""
    start = f"{prefix}."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
