"""Training with speaker baselines: outputs relative to those for neutral speech of the same speaker.

On a device, a baseline is the mean of the network's outputs over neutral speech of a speaker or site,
minus the usual outputs for neutral speech. It is subtracted from the outputs of each window. Training
simulates this for a share of the examples: the baseline is the mean of the outputs for neutral clips of
the same speaker in the batch, and the usual outputs are a running mean over all speakers. Gradients
flow through both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from edge_ser.corpora import Clip, is_background, speaker_known

GROUP = 4
"""Number of consecutive clips of one speaker in a batch, at least one of them neutral."""

_DECAY = 0.98
_UNKNOWN = -1


@dataclass
class Voices:
    """Speakers of the clips, and the usual outputs for neutral speech."""

    speakers: Tensor
    """int64 [n_clips]; -1 where unknown."""
    neutral: Tensor
    """bool [n_clips]: neutral speech of a known speaker."""
    members: dict[int, Tensor]
    """Clip indices of each speaker."""
    usual: Tensor | None = field(default=None)
    """Running mean of the outputs for neutral speech [n_outputs]."""

    @classmethod
    def of(cls, clips: Sequence[Clip]) -> Voices:
        """Return the speakers of clips; background crowds, of unknown speakers, have no baseline."""
        names = sorted({c.speaker for c in clips if speaker_known(c) and not is_background(c)})
        numbers = {name: number for number, name in enumerate(names)}
        speakers = torch.tensor([numbers.get(clip.speaker, _UNKNOWN) for clip in clips])
        neutral = torch.tensor([clip.emotion == "neutral" for clip in clips]) & (speakers >= 0)
        members: dict[int, list[int]] = defaultdict(list)
        for index, speaker in enumerate(speakers.tolist()):
            members[speaker].append(index)
        return cls(speakers, neutral, {s: torch.tensor(m) for s, m in members.items()})

    def order(self, weights: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """Return the clip indices of an epoch, int64 [n]: groups of a speaker with a neutral clip each.

        Args:
            weights: sampling weights of the clips.
            n: number of clips.
            rng: a CPU generator.
        """
        groups = []
        for first in torch.multinomial(
            weights, -(-n // GROUP), replacement=True, generator=rng
        ).tolist():
            speaker = int(self.speakers[first])
            pool = self.members[speaker]
            pool = pool[pool < len(weights)]
            pool_weights = weights[pool]
            drawn = torch.multinomial(pool_weights, GROUP - 1, replacement=True, generator=rng)
            group = torch.cat([torch.tensor([first]), pool[drawn]])
            is_neutral = self.neutral[pool]
            if speaker != _UNKNOWN and bool(is_neutral.any()):
                neutral = torch.multinomial(pool_weights * is_neutral, 1, generator=rng)
                group[-1:] = pool[neutral]
            groups.append(group)
        return torch.cat(groups)[:n]

    def relative(
        self, outputs: Tensor, clips: Tensor, share: float, rng: torch.Generator
    ) -> Tensor:
        """Return outputs [batch, n_outputs], a share of them relative to their speaker's neutral ones.

        Args:
            outputs: logits of a batch.
            clips: int64 [batch], clip indices, on the CPU.
            share: probability that an example is made relative, if the batch has neutral speech of
                its speaker.
            rng: a CPU generator.
        """
        speakers, neutral = self.speakers[clips], self.neutral[clips]
        same = (speakers[:, None] == speakers) & (clips[:, None] != clips) & neutral
        counts = same.sum(1, keepdim=True).to(outputs.device)
        drawn = (torch.rand(len(clips), 1, generator=rng) < share).to(outputs.device)
        if bool(neutral.any()):
            mean = outputs[neutral.to(outputs.device)].mean(0).detach()
            self.usual = mean if self.usual is None else self.usual.lerp(mean, 1 - _DECAY)
        if self.usual is None:
            return outputs
        baselines = (same.to(outputs) @ outputs) / counts.clamp_min(1)
        return torch.where(drawn & (counts > 0), outputs - (baselines - self.usual), outputs)
