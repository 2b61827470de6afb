"""Augmentation of log mel spectra by batch, mixup and MixStyle, drawn from one generator.

In the log mel domain, gain is an offset, a microphone's response is a curve over bands, a change of
vocal tract length warps the frequency axis, a change of tempo stretches the time axis, and noise is a
sum of powers. A training step therefore needs no FFT, and a batch depends only on its generator.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from edge_ser._util.records import require
from edge_ser.card import FrontendConfig
from edge_ser.frontend import hz_to_mel, mel_edges
from edge_ser.training.augmentation.scenes import SceneConfig
from edge_ser.training.augmentation.variants import WaveformAugmentation
from edge_ser.training.features import FeatureBank

_MIXSTYLE_ALPHA = 0.1
"""Parameter of MixStyle's Beta distribution; small values mostly select one of the two styles."""


@dataclass(frozen=True)
class AugmentConfig:
    """Ranges of the augmentation; values are drawn uniformly unless stated otherwise."""

    speeds: tuple[float, ...] = (1.0, 0.9, 1.1)
    """Playing speeds computed for every clip; the first must be 1."""
    rooms: int = 0
    """Number of random rooms computed for every clip, at speed 1."""
    scene: SceneConfig = field(default_factory=SceneConfig)
    """Scenes (room, noise, microphone, line) computed for every clip, at speed 1."""
    stretch: float = 0.1
    """Factor of the time axis: 1 - stretch to 1 + stretch."""
    vtlp: float = 0.1
    """Vocal tract length perturbation: frequencies times 1 - vtlp to 1 + vtlp (Jaitly 2013)."""
    gain_db: float = 6.0
    """Largest gain in dB, positive or negative."""
    response_db: float = 3.0
    """Largest amplitude in dB of each of the three cosines of the microphone response."""
    noise_share: float = 0.5
    """Share of the examples with added noise."""
    snr_db: tuple[float, float] = (5.0, 40.0)
    """Range of the signal-to-noise ratio in dB."""
    noise_tilt_db: float = 20.0
    """Largest rise or fall of the noise over the bands, in dB."""
    wrap_share: float = 0.5
    """Share of the short clips that are repeated to the window's length; the others are surrounded by
    silence, as in a live stream."""
    partial_share: float = 0.0
    """Share of the examples that may begin or end within the window, as an utterance does in a live
    stream; the rest of the window is silence."""
    partial_least: float = 0.4
    """Smallest share of the window that such an example fills."""
    time_mask: int = 24
    """Largest width of the two time masks, in frames."""
    band_mask: int = 8
    """Largest width of the two frequency masks, in mel bands."""
    mixup_alpha: float = 0.3
    """Parameter of the Beta distribution of mixup (1710.09412); 0 turns it off."""

    def __post_init__(self) -> None:
        require(
            len(self.speeds) > 0 and self.speeds[0] == 1 and min(self.speeds) > 0,
            "speeds",
            self.speeds,
            "1 first, then others above 0",
        )
        require(self.rooms >= 0, "rooms", self.rooms, "0 or more")
        for name in ("stretch", "vtlp"):
            value = getattr(self, name)
            require(0 <= value < 0.5, name, value, "in [0, 0.5)")
        for name in ("noise_share", "wrap_share", "partial_share"):
            value = getattr(self, name)
            require(0 <= value <= 1, name, value, "in [0, 1]")
        least = self.partial_least
        require(0 < least <= 1, "partial_least", least, "above 0, at most 1")
        for name in ("gain_db", "response_db", "noise_tilt_db", "mixup_alpha"):
            value = getattr(self, name)
            require(0 <= value < float("inf"), name, value, "0 or more")
        for name in ("time_mask", "band_mask"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require(
            len(self.snr_db) == 2 and self.snr_db[0] <= self.snr_db[1],
            "snr_db",
            self.snr_db,
            "the lowest, then the highest",
        )

    @property
    def variants(self) -> tuple[WaveformAugmentation, ...]:
        """Variants computed for every clip; the first is the unchanged clip."""
        speeds = (WaveformAugmentation(speed) for speed in self.speeds)
        rooms = (WaveformAugmentation(room=number + 1) for number in range(self.rooms))
        scenes = (WaveformAugmentation(scene=number + 1) for number in range(self.scene.scenes))
        return (*speeds, *rooms, *scenes)


@dataclass(frozen=True)
class Windows:
    """Augmented windows, with the position of each frame in its clip."""

    log_mels: Tensor
    """float32 [batch, n_frames, n_mels], dB."""
    variants: Tensor
    """int64 [batch], variant of the clip, as an index into `AugmentConfig.variants`."""
    positions: Tensor
    """float32 [batch, n_frames], in frames from the clip's start, as played."""
    audible: Tensor
    """bool [batch, n_frames]: True for frames of the clip, False for silence around it."""


class Augmenter:
    """Random augmented windows of the clips of a bank."""

    def __init__(
        self, config: AugmentConfig, frontend: FrontendConfig, n_frames: int, device: torch.device
    ) -> None:
        self.config = config
        self.n_frames = n_frames
        self.device = device
        self._frontend = frontend
        self._floor_db = 10.0 * float(np.log10(frontend.log_floor))
        self._centres_hz = mel_edges(frontend)[1:-1]

    def windows(self, bank: FeatureBank, clips: Tensor, rng: torch.Generator) -> Tensor:
        """Return augmented windows, float32 [len(clips), n_frames, n_mels], in dB; see `placed`."""
        return self.placed(bank, clips, rng).log_mels

    def placed(
        self, bank: FeatureBank, clips: Tensor, rng: torch.Generator, n_frames: int | None = None
    ) -> Windows:
        """Return augmented windows with their positions in the clips.

        Args:
            bank: the clips, on the augmenter's device.
            clips: int64 indices into the bank, on the CPU.
            rng: a CPU generator; the same state gives the same windows.
            n_frames: length of the windows; None for the augmenter's.
        """
        config = self.config
        cut = self._cut(bank, clips, rng, n_frames or self.n_frames)
        audible = cut.audible
        x = self._warp_bands(cut.log_mels, rng)
        x = x + self._signed(rng, len(clips), 1, 1) * config.gain_db + self._response(x, rng)
        x = torch.where(audible[:, :, None], x, torch.full_like(x, self._floor_db))
        x = self._add_noise(x, audible, rng)
        masked = self._mask(x.clamp_min(self._floor_db), rng)
        return dataclasses.replace(cut, log_mels=masked)

    def _uniform(self, rng: torch.Generator, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng).to(self.device)

    def _signed(self, rng: torch.Generator, *shape: int) -> Tensor:
        return 2 * self._uniform(rng, *shape) - 1

    def _cut(
        self, bank: FeatureBank, clips: Tensor, rng: torch.Generator, n_frames: int
    ) -> Windows:
        """Return windows of random variant, position and stretch."""
        n = len(clips)
        variants = torch.randint(bank.starts.shape[1], (n,), generator=rng).to(self.device)
        clips = clips.to(self.device)
        starts = bank.starts[clips, variants][:, None]
        lengths = bank.lengths[clips, variants][:, None]
        rate = 1 + self.config.stretch * self._signed(rng, n, 1)
        spare = lengths - n_frames * rate
        offset = self._uniform(rng, n, 1) * spare
        partial = self._uniform(rng, n, 1) < self.config.partial_share
        least = torch.minimum(self.config.partial_least * n_frames * rate, lengths)
        across = least - n_frames * rate
        across = across + self._uniform(rng, n, 1) * (lengths - least - across)
        offset = torch.where(partial, across, offset)
        wrapped = (self._uniform(rng, n, 1) < self.config.wrap_share) & ~partial
        # Integer offsets: fractional ones would blur frames even without stretching.
        offset = offset.floor()
        position = offset + torch.arange(n_frames, device=self.device) * rate
        audible = (position >= 0) & (position <= lengths - 1)
        audible = audible | wrapped
        position = torch.where(wrapped, position % lengths, position)
        low = torch.minimum(position.floor().long().clamp(min=0), (lengths - 2).clamp(min=0))
        weight = (position - low).clamp(0, 1)[:, :, None]
        first = starts + low
        second = torch.minimum(first + 1, starts + lengths - 1)
        x = torch.lerp(bank.frames[first], bank.frames[second], weight)
        return Windows(x, variants, position, audible)

    def _warp_bands(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Warp the bands as a longer or shorter vocal tract does; the highest band is fixed."""
        frontend = self._frontend
        alpha = 1 + self.config.vtlp * self._signed(rng, len(x), 1).cpu().numpy()
        knee = 0.8 * frontend.fmax * np.minimum(1.0, 1.0 / alpha)
        hz = self._centres_hz[None, :]
        above = alpha * knee + (frontend.fmax - alpha * knee) * (hz - knee) / (frontend.fmax - knee)
        warped = np.where(hz <= knee, hz * alpha, above)
        low, high = hz_to_mel(np.array([frontend.fmin, frontend.fmax]), frontend.mel_scale)
        position = (hz_to_mel(warped, frontend.mel_scale) - low) / (high - low)
        bands = torch.from_numpy(position * (frontend.n_mels + 1) - 1).float()
        bands = bands.clamp(0, frontend.n_mels - 1).to(self.device)
        first = bands.floor().clamp(max=frontend.n_mels - 2)
        weight = (bands - first)[:, None, :].expand_as(x)
        index = first.long()[:, None, :].expand_as(x)
        return torch.lerp(x.gather(2, index), x.gather(2, index + 1), weight)

    def _response(self, x: Tensor, rng: torch.Generator) -> Tensor:
        bands = torch.linspace(0, torch.pi, x.shape[2], device=self.device)
        heights = self.config.response_db * self._signed(rng, len(x), 3)
        cosines = torch.stack([torch.cos(k * bands) for k in (1, 2, 3)])
        return (heights @ cosines)[:, None, :]

    def _add_noise(self, x: Tensor, audible: Tensor, rng: torch.Generator) -> Tensor:
        """Add noise with a tilted spectrum and chi-square distributed power."""
        n, n_frames, n_mels = x.shape
        low, high = self.config.snr_db
        power = torch.pow(10.0, x / 10)
        weights = audible[:, :, None].float()
        speech = (power * weights).sum((1, 2)) / (weights.sum((1, 2)).clamp_min(1) * n_mels)
        snr = low + (high - low) * self._uniform(rng, n)
        tilt = self.config.noise_tilt_db * self._signed(rng, n, 1)
        shape = torch.pow(10.0, tilt * torch.linspace(-0.05, 0.05, n_mels, device=self.device))
        shape = shape / shape.mean(1, keepdim=True)
        level = speech * torch.pow(10.0, -snr / 10)
        level = level * (self._uniform(rng, n) < self.config.noise_share)
        ripple = torch.randn(4, n, n_frames, n_mels, generator=rng).square().mean(0)
        noise = level[:, None, None] * shape[:, None, :] * ripple.to(self.device)
        return 10 * torch.log10((power + noise).clamp_min(self._frontend.log_floor))

    def _mask(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Replace two stretches of time and two of bands by the window's mean (SpecAugment)."""
        mean = x.mean((1, 2), keepdim=True)
        for axis, widest in ((1, self.config.time_mask), (2, self.config.band_mask)):
            size = x.shape[axis]
            index = torch.arange(size, device=self.device)
            for _ in range(2):
                width = self._uniform(rng, len(x), 1) * widest
                start = self._uniform(rng, len(x), 1) * (size - width)
                hidden = (index >= start) & (index < start + width)
                x = torch.where(hidden.unsqueeze(3 - axis), mean, x)
        return x


def mixup(
    features: Tensor, targets: Tensor, alpha: float, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Blend each example with another one (mixup, arXiv 1710.09412).

    Args:
        features: [batch, n_features, n_frames].
        targets: [batch, any, n_classes], mixed with the same weights as the features.
        alpha: of the Beta distribution; 0 returns the batch unchanged.
        rng: a CPU generator.
    """
    if alpha <= 0:
        return features, targets
    # Beta(a, a) as a ratio of gammas, whose sampler takes a generator.
    gammas = torch._standard_gamma(  # noqa: SLF001
        torch.full((2, len(features)), alpha), generator=rng
    ).clamp_min(1e-12)
    share = (gammas[0] / gammas.sum(0)).to(features.device)
    share = torch.maximum(share, 1 - share)
    other = torch.randperm(len(features), generator=rng).to(features.device)
    weight = share[:, None, None]
    return (
        weight * features + (1 - weight) * features[other],
        weight * targets + (1 - weight) * targets[other],
    )


class MixStyle:
    """MixStyle layer for one batch (Zhou et al. 2021, arXiv 2104.02008).

    Mean and deviation of a channel over time depend on speaker, room and microphone. Examples take on
    those of other examples, of any class, so that the network learns to classify independently of
    them.

    Args:
        share: probability that an example is mixed, in [0, 1].
        rng: a CPU generator.
    """

    def __init__(self, share: float, rng: torch.Generator) -> None:
        self._share, self._rng = share, rng

    def __call__(self, x: Tensor) -> Tensor:
        """Map [batch, channels, frames] to the same shape, with statistics mixed within the batch."""
        n = len(x)
        gammas = torch._standard_gamma(  # noqa: SLF001 (its public form takes no generator)
            torch.full((2, n), _MIXSTYLE_ALPHA), generator=self._rng
        ).clamp_min(1e-12)
        share = gammas[0] / gammas.sum(0)
        untouched = torch.rand(n, generator=self._rng) >= self._share
        share = torch.where(untouched, torch.ones(n), share).to(x.device)[:, None, None]
        other = torch.randperm(n, generator=self._rng).to(x.device)
        mean = x.mean(2, keepdim=True).detach()
        std = (x.var(2, keepdim=True) + 1e-6).sqrt().detach()
        mixed_mean = share * mean + (1 - share) * mean[other]
        mixed_std = share * std + (1 - share) * std[other]
        return (x - mean) / std * mixed_std + mixed_mean
