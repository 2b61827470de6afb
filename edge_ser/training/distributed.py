"""Training by several processes that torchrun starts, each on its shard of every batch.

Call sequence of a training:

1. `find_process_group()`: rank and size, from torchrun's environment variables.
2. `with group.connected(device)`: connect the processes.
3. `group.require_same(model)`: check that all processes begin with the same weights.
4. In each step `group.shard(batch)`, and `group.average(gradients)` after the backward pass.
5. After each epoch the main process scores and saves; `group.broadcast(history)` sends the result.

Gradients are averaged here and not by DistributedDataParallel, because the loss calls parts of the
model separately, which DistributedDataParallel does not see. They equal those of the whole batch,
except through batch normalisation, which sees one shard only.

Without torchrun the group has one process, and all methods return at once.
"""

from __future__ import annotations

import atexit
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from edge_ser.errors import ConfigError, TrainingError

T = TypeVar("T")

_TIMEOUT = timedelta(hours=2)
"""Longest wait for another process, which may score or read clips. When one process ends, torchrun
ends the others at once."""


@dataclass(frozen=True)
class ProcessGroup:
    """A process's rank among the processes that train together; by default there is one process.

    Every process of the group must call the methods that communicate: all but `shard` and
    `require_batches_of`.
    """

    rank: int = 0
    """Index of this process in the group."""
    size: int = 1
    """Number of processes."""
    local_rank: int = 0
    """Index of this process on this machine, which is also the index of its GPU."""
    local_size: int = 1
    """Number of processes on this machine."""

    @property
    def is_main(self) -> bool:
        """Whether this process scores, writes files and prints."""
        return self.rank == 0

    def shard(self, batch: Tensor) -> Tensor:
        """Return this process's part of a batch [n, ...]: every `size`-th entry from `rank` on."""
        return batch[self.rank :: self.size]

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of the processes' values, of the same shape, without gradient."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        with _connection_errors():
            dist.all_reduce(total)
        return total / self.size

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor in place by its mean over the processes, in one message."""
        if self.size == 1:
            return
        means = self.mean(torch.cat([tensor.flatten() for tensor in tensors]))
        pieces = torch.split(means, [tensor.numel() for tensor in tensors])
        for tensor, piece in zip(tensors, pieces, strict=True):
            tensor.copy_(piece.view_as(tensor))

    def broadcast(self, value: T) -> T:
        """Return the main process's value in every process."""
        if self.size == 1:
            return value
        values: list[Any] = [value]
        with _connection_errors():
            dist.broadcast_object_list(values, src=0)
        received: T = values[0]
        return received

    def require_same(self, model: torch.nn.Module) -> None:
        """Check that the model's weights are the same in every process.

        Raises:
            TrainingError: they differ.
        """
        if self.size == 1:
            return
        digests: list[Any] = [None] * self.size
        with _connection_errors():
            dist.all_gather_object(digests, _digest(model))
        if len(set(digests)) > 1:
            raise TrainingError(
                f"the {self.size} processes hold different weights; they need the same run "
                "directory, devices of one kind and one version of torch"
            )

    def require_batches_of(self, n_clips: int) -> None:
        """Check that a batch of `n_clips` has two clips or more for each process.

        Raises:
            ConfigError: the batch is smaller.
        """
        if self.size > 1 and n_clips < 2 * self.size:
            raise ConfigError(
                f"a batch of {n_clips} clips is too small for {self.size} processes: batch "
                f"normalisation needs two in each; give --batch-size {2 * self.size} or more and as "
                "many training clips, or start fewer processes"
            )

    @contextmanager
    def connected(self, device: torch.device) -> Iterator[None]:
        """Connect the processes, through NCCL on GPUs and Gloo on CPUs.

        Raises:
            TrainingError: the other processes cannot be reached.
        """
        if self.size == 1:
            yield
            return
        # Imported before the group exists: later, the module's default arguments would hold a
        # reference to the group, which would outlive `destroy_process_group`.
        import torch.distributed.nn

        on_gpu = device.type == "cuda"
        if on_gpu:
            torch.cuda.set_device(device)
        with _connection_errors():
            dist.init_process_group(
                "nccl" if on_gpu else "gloo",
                timeout=_TIMEOUT,
                device_id=device if on_gpu else None,
            )
        try:
            yield
        except BaseException:
            # Disconnecting now would make the other processes report a lost connection before this
            # one reports its error. NCCL would also wait for them. Gloo's threads must end before
            # the interpreter does.
            if not on_gpu:
                atexit.register(dist.destroy_process_group)
            raise
        dist.destroy_process_group()


SINGLE_PROCESS = ProcessGroup()
"""The group of a training without torchrun."""


def find_process_group() -> ProcessGroup:
    """Return the group that torchrun started, or `SINGLE_PROCESS` without torchrun."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return SINGLE_PROCESS
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return ProcessGroup(*(int(os.environ[name]) for name in names))


def _digest(model: torch.nn.Module) -> str:
    """Return the SHA-256 of all weights and buffers."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _connection_errors() -> Iterator[None]:
    """Raise torch's communication errors as a TrainingError with the first sentence of their text."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0].split(". ")[0]
        raise TrainingError(
            f"another process of this training has ended or cannot be reached ({reason}); "
            "continue with --resume"
        ) from None
