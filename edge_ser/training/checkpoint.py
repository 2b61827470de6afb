"""Checkpoints as safetensors: tensors and a JSON header, nothing that runs code when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from edge_ser._util.files import replacing
from edge_ser.errors import TrainingError

LAST = "last.safetensors"
"""Everything that a training goes on from."""
BEST = "best.safetensors"
"""The averaged weights of the best epoch."""

_HEADER = "edge_ser.checkpoint"


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header, whole or not at all."""
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        contiguous = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
        save_file(contiguous, str(temporary), metadata={_HEADER: json.dumps(header)})


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_checkpoint` wrote.

    Raises:
        TrainingError: missing, damaged, or not a checkpoint of edge-ser.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise TrainingError(f"there is no checkpoint {path}; train first, or without --resume")
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
            f"{path} is not an edge-ser checkpoint; give a run of `edge-ser train`"
        ) from None
    return tensors, parsed


def load_weights(network: Module, path: Path) -> None:
    """Put a checkpoint's tensors into a network.

    Raises:
        TrainingError: no such checkpoint, a damaged one, or one of another network.
    """
    tensors, _ = load_checkpoint(path)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise foreign_checkpoint(path, error) from None


def foreign_checkpoint(path: Path, error: Exception) -> TrainingError:
    """Return the error for tensors that do not fit."""
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


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's state as tensors named `INDEX.NAME`, by the index of the parameter."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, values in state.items()
        for name, value in values.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state that `optimizer_tensors` returned; the settings stay the optimizer's own.

    Raises:
        ValueError: names that are not of that form, or the state of other parameters.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
