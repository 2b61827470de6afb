"""Mixing of feature statistics between examples (MixStyle, Zhou et al. 2021, arXiv 2104.02008).

Mean and deviation of a channel over time carry much of a voice, a room and a microphone. An example
that takes on those of another, of the same class or not, teaches to classify without them.
"""

from __future__ import annotations

import torch
from torch import Tensor

_ALPHA = 0.1
"""Parameter of the Beta distribution: mostly one of the two styles, seldom a middle."""


class MixStyle:
    """A mixer of one batch.

    Args:
        share: probability that an example is mixed, in [0, 1].
        rng: a CPU generator.
    """

    def __init__(self, share: float, rng: torch.Generator) -> None:
        self._share, self._rng = share, rng

    def __call__(self, x: Tensor) -> Tensor:
        """Map [batch, channels, frames] to the same shape, statistics mixed within the batch."""
        n = len(x)
        gammas = torch._standard_gamma(  # noqa: SLF001 (its public form takes no generator)
            torch.full((2, n), _ALPHA), generator=self._rng
        ).clamp_min(1e-12)
        own = gammas[0] / gammas.sum(0)
        untouched = torch.rand(n, generator=self._rng) >= self._share
        own = torch.where(untouched, torch.ones(n), own).to(x.device)[:, None, None]
        other = torch.randperm(n, generator=self._rng).to(x.device)
        mean = x.mean(2, keepdim=True).detach()
        std = (x.var(2, keepdim=True) + 1e-6).sqrt().detach()
        mixed_mean = own * mean + (1 - own) * mean[other]
        mixed_std = own * std + (1 - own) * std[other]
        return (x - mean) / std * mixed_std + mixed_mean
