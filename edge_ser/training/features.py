"""Log mel spectra of clips by the front end, in memory and in a cache, and the feature layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_ser._util.callbacks import OnItem
from edge_ser._util.files import replacing
from edge_ser._util.hashing import content_digest, text_digest
from edge_ser.card import FrontendConfig, Normalization
from edge_ser.corpora import Clip, PaperAugmentation
from edge_ser.errors import AudioError
from edge_ser.frontend import dct_basis, delta_kernels, kernel_for, log_mel
from edge_ser.training.augmentation.copies import load_copy
from edge_ser.training.augmentation.scenes import Scenes
from edge_ser.training.augmentation.variants import WaveformAugmentation

Float32 = NDArray[np.float32]

_VERSION = 1
"""Version of the computation; part of the cache key."""


@dataclass(frozen=True)
class FeatureBank:
    """Frames of many clips, in all variants, in one matrix."""

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
    variants: tuple[WaveformAugmentation, ...] = (WaveformAugmentation(),),
    progress: OnItem = lambda: None,
    scenes: Scenes | None = None,
    cache: Path | None = None,
) -> FeatureBank:
    """Return the log mel spectra of clips in each variant.

    Args:
        clips: the clips to read.
        config: the front end.
        variants: augmentations of each clip; the first one has index 0 in the bank.
        progress: called after each clip.
        scenes: scenes for the variants that have one.
        cache: a directory for the frames of each variant, by content; None for no cache.

    Raises:
        AudioError: a clip that cannot be read, or is too short for one frame.
        ConfigError: the cache cannot be written, or a variant has a scene and `scenes` is None.
        MissingDependency: see `Scenes.apply`.
    """
    rows = _Rows(config.n_mels)
    lengths = []
    for clip in clips:
        spectra = _ClipSpectra(clip, config, scenes, cache)
        lengths += [rows.append(spectra.of(variant)) for variant in variants]
        progress()
    counts = torch.tensor(lengths).reshape(len(clips), len(variants))
    starts = (counts.flatten().cumsum(0) - counts.flatten()).reshape(counts.shape)
    return FeatureBank(torch.from_numpy(rows.complete()), starts, counts)


@dataclass
class _ClipSpectra:
    """Log mel frames of the variants of one clip, which is decoded only if one is not cached."""

    clip: Clip
    config: FrontendConfig
    scenes: Scenes | None
    cache: Path | None

    def of(self, variant: WaveformAugmentation) -> Float32:
        """Return the frames of a variant, float32 [n_frames, n_mels], from the cache if possible."""
        path = self.cache and self._cache_path(self.cache, variant)
        if path and (cached := _cached(path, self.config.n_mels)) is not None:
            return cached
        frames = self._computed(variant)
        if path:
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.save(file, frames)
        return frames

    @cached_property
    def _samples(self) -> Float32:
        return load_copy(self.clip, self.config.sample_rate)

    def _computed(self, variant: WaveformAugmentation) -> Float32:
        rate = self.config.sample_rate
        samples = self._samples
        try:
            frames = log_mel(variant.apply(self.clip, samples, rate, self.scenes), self.config)
        except AudioError as error:
            raise AudioError(f"{self.clip.path}: {error}") from None
        return np.ascontiguousarray(frames.T)

    def _cache_path(self, cache: Path, variant: WaveformAugmentation) -> Path:
        """Return the cache file of a variant, named by a digest of everything its frames depend on."""
        clip = self.clip
        facts: tuple[object, ...] = (
            _VERSION,
            content_digest(clip.path),
            clip.channel,
            clip.copy.value,
            variant,
            self.config,
            kernel_for(self.config).name,
        )
        if variant.room or variant.scene or clip.copy is not PaperAugmentation.ORIGINAL:
            # The random generators depend on these; see `generator_of`, and `load_copy` for the corpus.
            facts += (clip.corpus, clip.speaker, clip.emotion, clip.path.stem)
        if variant.scene and self.scenes:
            facts += (self.scenes.digest,)
        # The former name of the class keeps caches of earlier versions valid.
        text = repr(facts).replace("WaveformAugmentation(", "Variant(", 1)
        name = text_digest(text)[:24]
        return cache / name[:2] / f"{name}.npy"


def _cached(path: Path, n_mels: int) -> Float32 | None:
    """Return cached frames; None if the file is missing or damaged."""
    try:
        frames = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    fits = isinstance(frames, np.ndarray) and frames.dtype == np.float32
    return frames if fits and frames.shape[1:] == (n_mels,) else None


class _Rows:
    """Matrix that grows in place, so that gigabytes of frames are not held twice."""

    def __init__(self, width: int) -> None:
        self._rows = np.empty((0, width), np.float32)
        self._n = 0

    def append(self, rows: Float32) -> int:
        """Add rows [n, width] and return n."""
        end = self._n + len(rows)
        if end > len(self._rows):
            self._resize(end + end // 8)
        self._rows[self._n : end] = rows
        self._n = end
        return len(rows)

    def complete(self) -> Float32:
        """Return the matrix [n_rows, width]; no rows can be added afterwards."""
        self._resize(self._n)
        return self._rows

    def _resize(self, n_rows: int) -> None:
        self._rows.resize((n_rows, self._rows.shape[1]), refcheck=False)


class FeatureHead(torch.nn.Module):
    """Layer from log mel frames to features: DCT and derivatives, with the front end's tables."""

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


def measure_normalization(
    bank: FeatureBank, feature_head: FeatureHead, n_clips: int | None = None
) -> Normalization:
    """Return mean and deviation of each feature over the first `n_clips` unaugmented clips."""
    total = count = square = 0.0
    for index in range(len(bank.starts) if n_clips is None else n_clips):
        features = feature_head(bank.clip(index)[None])[0].double()
        total = total + features.sum(1)
        square = square + (features**2).sum(1)
        count += features.shape[1]
    mean = torch.as_tensor(total / count)
    std = (torch.as_tensor(square / count) - mean**2).clamp_min(1e-6).sqrt()
    return Normalization(tuple(mean.tolist()), tuple(std.tolist()))
