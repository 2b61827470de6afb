"""Mixing of feature statistics between examples (MixStyle, Zhou et al. 2021, arXiv 2104.02008).

Mean and deviation of a channel over time depend on speaker, room and microphone. Examples take on those
of other examples, of any class, so that the network learns to classify independently of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

_ALPHA = 0.1
"""Parameter of the Beta distribution; small values mostly select one of the two styles."""


class MixStyle:
    """MixStyle layer for one batch.

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
            torch.full((2, n), _ALPHA), generator=self._rng
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
