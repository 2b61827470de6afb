"""Training loop of the paper: Adam and cross-entropy for a fixed number of epochs, resumable."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_ser._util.callbacks import OnShare
from edge_ser.errors import TrainingError
from edge_ser.training.baselines.paper.settings import PaperConfig
from edge_ser.training.checkpoint import (
    foreign_checkpoint,
    load_checkpoint,
    save_checkpoint,
    strip_prefix,
    with_prefix,
)
from edge_ser.training.model import ChannelAttention, SpatialAttention

KERNEL = 7
DROPOUT = 0.2
REDUCTION = 16
HIDDEN = 64


class PaperNetwork(nn.Module):
    """Logits of standardised feature vectors of one length.

    Initialisation and normalisation follow the defaults of Keras: Glorot's uniform weights, zero
    biases, batch normalisation with momentum 0.99 (0.01 in torch) and epsilon 1e-3. One small
    difference remains: torch's running variance of the dense layer is 16/15 of that of Keras, which
    does not apply Bessel's correction.

    Args:
        length: length of a feature vector.
        n_classes: number of logits.
        channels: channels of both convolutions; 256 in the paper.
        stride: stride of both convolutions; 1 in the paper.
    """

    def __init__(self, length: int, n_classes: int, channels: int = 256, stride: int = 1) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_convolution(1, channels, stride), *_convolution(channels, channels, stride)
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.channel_attention = ChannelAttention(channels, REDUCTION)
        self.spatial_attention = SpatialAttention()
        steps = length
        for _ in range(2):
            steps = (steps - KERNEL) // stride + 1
        self.dense = nn.Linear(steps * channels, HIDDEN)
        self.norm = _batch_norm(HIDDEN)
        self.output = nn.Linear(HIDDEN, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, rows: Tensor) -> Tensor:
        """Map [batch, length] to logits [batch, n_classes]."""
        x = self.dropout(self.convolutions(rows[:, None]))
        x = self.spatial_attention(self.channel_attention(x))
        # In Keras' order, time before channels, so that its weights fit this dense layer.
        x = x.transpose(1, 2).flatten(1)
        # Rounding the millions of weights to bfloat16 in each step would take longer.
        with torch.autocast(x.device.type, enabled=False):
            hidden = torch.relu(self.dense(x.float()))
        logits: Tensor = self.output(self.norm(hidden))
        return logits

    @property
    def regularized(self) -> tuple[Tensor, ...]:
        """Weights with L2 regularisation: both convolutions and the first dense layer."""
        kernels = [m.weight for m in self.convolutions if isinstance(m, nn.Conv1d)]
        return (*kernels, self.dense.weight)


def _convolution(n_in: int, n_out: int, stride: int) -> tuple[nn.Module, ...]:
    # The paper's max pooling of one value with stride 1 changes nothing and is left out.
    return nn.Conv1d(n_in, n_out, KERNEL, stride=stride), nn.ReLU(), _batch_norm(n_out)


def _batch_norm(channels: int) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(channels, eps=1e-3, momentum=0.01)


L2 = 1e-3
"""Factor of the squared regularised weights in the loss, as in Keras."""


@dataclass(frozen=True)
class PaperEpoch:
    """Loss and accuracy of one epoch on the training rows, with dropout and without the L2 term."""

    epoch: int
    loss: float
    accuracy: float
    seconds: float


class PaperTrainer:
    """One training of the paper's network; iterate over `epochs` to train.

    Args:
        config: the settings.
        rows: standardised features, float32 [n_rows, length].
        targets: class of each row.
        n_classes: number of classes.
        device: device of the network.
        checkpoint: file written after each epoch; None for no checkpoint.
        identity: JSON values that identify this training in the checkpoint.

    Raises:
        TrainingError: fewer than two rows.
    """

    def __init__(
        self,
        config: PaperConfig,
        rows: NDArray[np.float32],
        targets: tuple[int, ...],
        n_classes: int,
        device: torch.device,
        checkpoint: Path | None = None,
        identity: Mapping[str, object] | None = None,
    ) -> None:
        if len(rows) < 2:
            raise TrainingError(
                f"expected two or more training rows, got {len(rows)} row(s); add recordings"
            )
        self.config, self.device = config, device
        self.checkpoint, self.identity = checkpoint, dict(identity or {})
        self.history: list[PaperEpoch] = []
        self._rows, self._targets = torch.from_numpy(rows).to(device), torch.tensor(targets)
        torch.manual_seed(config.seed)
        network = PaperNetwork(rows.shape[1], n_classes, config.channels, config.stride)
        self.network = network.to(device)
        self.optimizer = self._make_optimizer()

    def epochs(self, on_step: OnShare = lambda _: None) -> Iterator[PaperEpoch]:
        """Train, yielding after each epoch, when its checkpoint is safely written.

        Args:
            on_step: called after each step with the share of the whole training that is done.

        Raises:
            TrainingError: the loss is not finite.
        """
        while len(self.history) < self.config.epochs:
            self.history.append(self._train_epoch(len(self.history), on_step))
            self._save()
            yield self.history[-1]

    def resume(self) -> None:
        """Continue from the last complete epoch, or from the start if there is none.

        Raises:
            TrainingError: the checkpoint is damaged, or of another training.
        """
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        tensors, header = load_checkpoint(self.checkpoint)
        try:
            # A round trip through JSON turns tuples into lists.
            if header["identity"] != json.loads(json.dumps(self.identity)):
                raise ValueError("it was made with other settings or other clips")
            self.network.load_state_dict(strip_prefix("network", tensors))
            moments = self.optimizer.state_dict()
            moments["state"] = {
                int(index): strip_prefix(index, strip_prefix("optimizer", tensors))
                for index in {n.split(".")[1] for n in tensors if n.startswith("optimizer.")}
            }
            self.optimizer.load_state_dict(moments)
            history = [PaperEpoch(**epoch) for epoch in header["history"]]
            if len(history) > self.config.epochs:
                raise ValueError(
                    f"it has {len(history)} epochs, {self.config.epochs} are configured"
                )
            self.history = history
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise foreign_checkpoint(self.checkpoint, error) from None

    @torch.no_grad()
    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return probabilities float64 [n_rows, n_classes] of standardised rows."""
        self.network.eval()
        parts = [
            torch.softmax(self._logits(batch.to(self.device)).double(), dim=1).cpu()
            for batch in torch.split(torch.from_numpy(rows), self.config.batch_size)
        ]
        return torch.cat(parts).numpy()

    def _train_epoch(self, number: int, on_step: OnShare) -> PaperEpoch:
        started = time.perf_counter()
        # All randomness of an epoch comes from its number, so that a resumed run draws the same.
        torch.manual_seed(1_000_003 * self.config.seed + number)
        rng = torch.Generator().manual_seed(1_000_003 * self.config.seed + number)
        order = torch.randperm(len(self._targets), generator=rng)
        # Batch normalisation needs two rows or more.
        batches = [b for b in torch.split(order, self.config.batch_size) if len(b) > 1]
        self.network.train()
        loss_sum = hits = 0.0
        for step, batch in enumerate(batches, 1):
            loss, correct = self._step(batch)
            loss_sum, hits = loss_sum + loss * len(batch), hits + correct
            on_step((number + step / len(batches)) / self.config.epochs)
        n_rows = sum(map(len, batches))
        if not math.isfinite(loss_sum):
            raise TrainingError(
                f"the loss of epoch {number + 1} is {loss_sum}; try a smaller learning rate"
            )
        seconds = time.perf_counter() - started
        return PaperEpoch(number, loss_sum / n_rows, hits / n_rows, seconds)

    def _step(self, batch: Tensor) -> tuple[float, float]:
        targets = self._targets[batch].to(self.device)
        logits = self._logits(self._rows[batch.to(self.device)])
        loss = torch.nn.functional.cross_entropy(logits, targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach()), float((logits.argmax(1) == targets).sum())

    def _logits(self, rows: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            logits: Tensor = self.network(rows)
        return logits.float()

    def _make_optimizer(self) -> torch.optim.Adam:
        regularized = self.network.regularized
        known = {id(p) for p in regularized}
        others = [p for p in self.network.parameters() if id(p) not in known]
        # Adam's coupled weight decay adds the gradient of L2 * sum(w²) without computing the sum.
        groups: list[dict[str, Any]] = [
            {"params": regularized, "weight_decay": 2 * L2},
            {"params": others},
        ]
        return torch.optim.Adam(groups, lr=self.config.learning_rate, eps=1e-7, fused=True)

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        tensors = with_prefix("network", self.network.state_dict())
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= with_prefix(f"optimizer.{index}", moments)
        header = {"identity": self.identity, "history": [asdict(e) for e in self.history]}
        save_checkpoint(self.checkpoint, tensors, header)
