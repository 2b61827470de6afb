"""Network of the paper: two convolutions over one flat vector, both attentions, one dense layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

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
