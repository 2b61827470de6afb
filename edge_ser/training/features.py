"""Log mel spectra of all clips, computed once by the one front end and kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edge_ser.card import FrontendConfig, Normalization
from edge_ser.corpora import Clip
from edge_ser.errors import AudioError
from edge_ser.frontend import dct_basis, delta_kernels, log_mel
from edge_ser.training.copies import load_copy
from edge_ser.training.variants import Variant, vary


@dataclass(frozen=True)
class FeatureBank:
    """Frames of many clips in one matrix, each clip once in each of its variants."""

    frames: Tensor
    """float32 [total_frames, n_mels], dB."""
    starts: Tensor
    """int64 [n_clips, n_variants], first row of each clip."""
    lengths: Tensor
    """int64 [n_clips, n_variants], rows of each clip."""

    def clip(self, index: int, variant: int = 0) -> Tensor:
        """Return one clip's frames, [n_frames, n_mels]."""
        start, length = int(self.starts[index, variant]), int(self.lengths[index, variant])
        return self.frames[start : start + length]

    def to(self, device: torch.device) -> FeatureBank:
        """Return the bank with all its tensors on `device`."""
        return FeatureBank(self.frames.to(device), self.starts.to(device), self.lengths.to(device))


def build_bank(
    clips: Sequence[Clip],
    config: FrontendConfig,
    variants: tuple[Variant, ...] = (Variant(),),
    progress: Callable[[], None] = lambda: None,
) -> FeatureBank:
    """Decode every clip and compute its log mel spectrum in each variant.

    Args:
        clips: what to read.
        config: the front end.
        variants: forms of each clip; the first one is index 0 of the bank.
        progress: called after each clip.

    Raises:
        AudioError: a clip that cannot be read, or is too short for one frame.
    """
    pieces: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
    for clip in clips:
        samples = load_copy(clip, config.sample_rate)
        for variant in variants:
            try:
                frames = log_mel(vary(clip, samples, config.sample_rate, variant), config)
            except AudioError as error:
                raise AudioError(f"{clip.path}: {error}") from None
            pieces.append(np.ascontiguousarray(frames.T))
        progress()
    lengths = torch.tensor([len(p) for p in pieces]).reshape(len(clips), len(variants))
    starts = (lengths.flatten().cumsum(0) - lengths.flatten()).reshape(lengths.shape)
    return FeatureBank(torch.from_numpy(np.concatenate(pieces)), starts, lengths)


class Cepstrum(torch.nn.Module):
    """Log mel frames to features by the front end's own tables: DCT and derivatives."""

    def __init__(self, config: FrontendConfig) -> None:
        super().__init__()
        self.dct: Tensor
        self.kernels: Tensor
        self.register_buffer("dct", torch.from_numpy(dct_basis(config).astype(np.float32)))
        self.register_buffer("kernels", torch.from_numpy(delta_kernels(config.deltas)))

    def forward(self, log_mels: Tensor) -> Tensor:
        """Map [batch, n_frames, n_mels] to features [batch, n_features, n_frames]."""
        static = torch.einsum("km,btm->bkt", self.dct, log_mels)
        if len(self.kernels) == 0:
            return static
        half = self.kernels.shape[1] // 2
        padded = torch.nn.functional.pad(static, (half, half), mode="replicate")
        windows = padded.unfold(2, self.kernels.shape[1], 1)
        return torch.cat([static, *(windows @ kernel for kernel in self.kernels)], dim=1)


def measure_normalization(bank: FeatureBank, cepstrum: Cepstrum) -> Normalization:
    """Return mean and deviation of each feature over all clips at their own speed."""
    total = count = square = 0.0
    for index in range(len(bank.starts)):
        features = cepstrum(bank.clip(index)[None])[0].double()
        total = total + features.sum(1)
        square = square + (features**2).sum(1)
        count += features.shape[1]
    mean = torch.as_tensor(total / count)
    std = (torch.as_tensor(square / count) - mean**2).clamp_min(1e-6).sqrt()
    return Normalization(tuple(mean.tolist()), tuple(std.tolist()))
