"""Several processes that train one network, as torchrun starts them: each takes a part of each batch.

All hold the same weights. The loss calls parts of the model by themselves, which PyTorch's
DistributedDataParallel does not see; so gradients are averaged here, in one message a step. They are
those of the whole batch, but for batch normalisation, which in each process sees its part alone.
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
"""The others wait while the lead scores, or a slower one reads its clips; torchrun ends them all
at once where one has ended."""


@dataclass(frozen=True)
class Team:
    """A process's place among those that train together; by default it is alone.

    All methods but `part` must be called by every process of the team. Alone they do nothing.
    """

    rank: int = 0
    """Place in the team."""
    size: int = 1
    local_rank: int = 0
    """Place among those on this machine: the number of its GPU."""
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that scores, writes and speaks."""
        return self.rank == 0

    def part(self, batch: Tensor) -> Tensor:
        """Return this process's share of a batch, every `size`-th entry."""
        return batch[self.rank :: self.size]

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of what each process gives, without gradient."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        with _reaching():
            dist.all_reduce(total)
        return total / self.size

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the processes' means in the place of tensors, all in one message."""
        if self.size == 1:
            return
        means = self.mean(torch.cat([tensor.flatten() for tensor in tensors]))
        pieces = torch.split(means, [tensor.numel() for tensor in tensors])
        for tensor, piece in zip(tensors, pieces, strict=True):
            tensor.copy_(piece.view_as(tensor))

    def share(self, value: T) -> T:
        """Return the lead's value to all."""
        if self.size == 1:
            return value
        held: list[Any] = [value]
        with _reaching():
            dist.broadcast_object_list(held, src=0)
        shared: T = held[0]
        return shared

    def require_same(self, model: torch.nn.Module) -> None:
        """Refuse to go on with weights that are not the same everywhere.

        Raises:
            TrainingError: they differ.
        """
        if self.size == 1:
            return
        digests: list[Any] = [None] * self.size
        with _reaching():
            dist.all_gather_object(digests, _digest(model))
        if len(set(digests)) > 1:
            raise TrainingError(
                f"the {self.size} processes hold different weights; they need the same run "
                "directory, devices of one kind and one version of torch"
            )

    def require_batches_of(self, n_clips: int) -> None:
        """Refuse batches that leave a process less than two clips.

        Raises:
            ConfigError: such a batch.
        """
        if self.size > 1 and n_clips < 2 * self.size:
            raise ConfigError(
                f"a batch of {n_clips} clips is too small for {self.size} processes: batch "
                f"normalisation needs two in each; give --batch-size {2 * self.size} or more and as "
                "many training clips, or start fewer processes"
            )

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Connect the team, by NCCL between GPUs and by Gloo between CPUs.

        Raises:
            TrainingError: the others cannot be reached.
        """
        if self.size == 1:
            yield
            return
        # Were it loaded later, its default arguments would keep the group alive when it is destroyed.
        import torch.distributed.nn

        on_gpu = device.type == "cuda"
        if on_gpu:
            torch.cuda.set_device(device)
        with _reaching():
            dist.init_process_group(
                "nccl" if on_gpu else "gloo",
                timeout=_TIMEOUT,
                device_id=device if on_gpu else None,
            )
        try:
            yield
        except BaseException:
            # Not yet: the others would see it, and speak of a lost process before this one tells why.
            # NCCL would wait for them. Gloo's threads must be gone before the interpreter is.
            if not on_gpu:
                atexit.register(dist.destroy_process_group)
            raise
        dist.destroy_process_group()


ALONE = Team()


def find_team() -> Team:
    """Return this process's place among those that torchrun started; alone without torchrun."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ALONE
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Team(*(int(os.environ[name]) for name in names))


def _digest(model: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0].split(". ")[0]
        raise TrainingError(
            f"another process of this training has ended or cannot be reached ({reason}); "
            "continue with --resume"
        ) from None
