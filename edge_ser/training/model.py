"""The compact network: residual 1D convolutions over MFCC frames with both attentions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edge_ser.card import Normalization


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of `CompactAttentionCnn`; the defaults stay under 500,000 parameters."""

    n_features: int = 40
    n_classes: int = 8
    channels: tuple[int, ...] = (96, 96, 128, 128)
    """Channels of the stem and of each block after it."""
    strides: tuple[int, ...] = (1, 2, 2, 1)
    """Stride in time of the stem and of each block."""
    kernel: int = 5
    reduction: int = 8
    """Channel attention squeezes to channels / reduction."""
    attention_channels: int = 64
    """Hidden channels of the attentive pooling."""
    dropout: float = 0.3
    embedding: int = 0
    """Width of each frame before pooling, equal to the width of the teacher's output; 0 for none."""
    arousal: bool = False
    """Whether a second head predicts arousal."""


class ChannelAttention(nn.Module):
    """Weight channels by a shared MLP over their mean and maximum in time (CBAM, 1807.06521)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(4, channels // reduction)
        self.mlp = nn.Sequential(
            nn.Conv1d(channels, hidden, 1), nn.ReLU(), nn.Conv1d(hidden, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, channels, frames] to the same shape."""
        # Both summaries pass through one call of the MLP, so that the exported graph contains it once.
        summaries = torch.cat([x.mean(-1, keepdim=True), x.amax(-1, keepdim=True)], dim=-1)
        return x * torch.sigmoid(self.mlp(summaries).sum(-1, keepdim=True))


class SpatialAttention(nn.Module):
    """Weight frames by a convolution over the mean and maximum of their channels (CBAM)."""

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, channels, frames] to the same shape."""
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.conv(summary))


class ResidualBlock(nn.Module):
    """Two convolutions with batch normalisation, both attentions, and a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int, config: ModelConfig) -> None:
        super().__init__()
        pad = config.kernel // 2
        self.body = nn.Sequential(
            nn.Conv1d(n_in, n_out, config.kernel, stride=stride, padding=pad, bias=False),
            nn.BatchNorm1d(n_out),
            nn.ReLU(),
            nn.Conv1d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm1d(n_out),
            ChannelAttention(n_out, config.reduction),
            SpatialAttention(),
        )
        self.shortcut: nn.Module = nn.Identity()
        if n_in != n_out or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv1d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm1d(n_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, n_in, frames] to [batch, n_out, ceil(frames / stride)]."""
        return torch.relu(self.body(x) + self.shortcut(x))


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over time under learned weights (1803.10963)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.score = nn.Sequential(
            nn.Conv1d(channels, hidden, 1), nn.Tanh(), nn.Conv1d(hidden, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, channels, frames] to [batch, 2 * channels], for any number of frames."""
        weights = torch.softmax(self.score(x), dim=-1)
        mean = (weights * x).sum(-1)
        variance = (weights * x * x).sum(-1) - mean * mean
        return torch.cat([mean, torch.sqrt(torch.relu(variance) + 1e-5)], dim=1)


class CompactAttentionCnn(nn.Module):
    """Logits of an utterance of any length from its MFCCs.

    The input is the output of the front end; the network normalises it.
    """

    def __init__(self, config: ModelConfig, normalization: Normalization) -> None:
        super().__init__()
        self.config = config
        mean = torch.tensor(normalization.mean, dtype=torch.float32)[:, None]
        std = torch.tensor(normalization.std, dtype=torch.float32)[:, None]
        self.mean: Tensor
        self.inverse_std: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("inverse_std", 1.0 / std)
        width = config.channels[0]
        self.stem = nn.Sequential(
            nn.Conv1d(
                config.n_features,
                width,
                config.kernel,
                stride=config.strides[0],
                padding=config.kernel // 2,
                bias=False,
            ),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(n_in, n_out, stride, config)
                for n_in, n_out, stride in zip(
                    config.channels[:-1], config.channels[1:], config.strides[1:], strict=True
                )
            )
        )
        width = config.embedding or config.channels[-1]
        self.project: nn.Module = nn.Identity()
        if config.embedding:
            self.project = nn.Conv1d(config.channels[-1], config.embedding, 1)
        self.pool = AttentiveStatistics(width, config.attention_channels)
        self.head = nn.Sequential(
            nn.BatchNorm1d(2 * width),
            nn.Dropout(config.dropout),
            nn.Linear(2 * width, config.n_classes),
        )
        if config.arousal:
            self.arousal = nn.Linear(2 * width, 1)

    @property
    def stride(self) -> int:
        """Number of feature frames per embedded frame."""
        return math.prod(self.config.strides)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [batch, n_features, frames] to logits [batch, n_classes]."""
        return self.classify(self.embed(features))

    def embed(self, features: Tensor, mix: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Map features [batch, n_features, frames] to [batch, width, frames / stride].

        Args:
            features: output of the front end.
            mix: applied to the stem's output in training, [batch, channels, frames] to the same shape.
        """
        x = self.stem((features - self.mean) * self.inverse_std)
        if mix is not None:
            x = mix(x)
        embedded: Tensor = self.project(self.blocks(x))
        return embedded

    def classify(self, embedded: Tensor) -> Tensor:
        """Map embedded frames [batch, width, frames] to logits [batch, n_classes]."""
        logits: Tensor = self.head(self.pool(embedded))
        return logits

    def classify_with_arousal(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Map embedded frames to logits [batch, n_classes] and of arousal [batch, 1]."""
        normalize, dropout, linear = self.head
        summary = dropout(normalize(self.pool(embedded)))
        return linear(summary), self.arousal(summary)


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
