"""Baselines of voices in training: mean frames of other clips of the same speaker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edge_ser.corpora import Clip, speaker_known
from edge_ser.training.features import FeatureBank

SPEECH_RANGE_DB = 35.0
"""Frames within so many dB of a clip's loudest frame count as speech."""

_MOST_CLIPS = 8
"""Clips that a baseline is the mean of at most; on a device it is seconds of speech to minutes."""


@dataclass(frozen=True)
class BaselineBank:
    """Mean speech frames of each clip in each of its variants, and who speaks."""

    means: Tensor
    """float32 [n_clips, n_variants, n_mels], dB."""
    others: tuple[Tensor, ...]
    """For each clip, int64 indices of the other clips of its speaker; empty where unknown."""

    @classmethod
    def of(cls, bank: FeatureBank, clips: Sequence[Clip]) -> BaselineBank:
        """Average the speech frames of the first clips of a bank.

        Args:
            bank: begins with `clips`.
            clips: whose speakers are looked at.
        """
        n_variants = bank.starts.shape[1]
        means = torch.stack(
            [
                torch.stack([speech_mean(bank.clip(i, v)) for v in range(n_variants)])
                for i in range(len(clips))
            ]
        )
        members: dict[str, list[int]] = defaultdict(list)
        for index, clip in enumerate(clips):
            if speaker_known(clip):
                members[clip.speaker].append(index)
        others = tuple(
            torch.tensor([i for i in members.get(clip.speaker, []) if i != index], dtype=torch.long)
            for index, clip in enumerate(clips)
        )
        return cls(means, others)

    def draw(self, clips: Tensor, share: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a baseline for each example, and whether it has one.

        Args:
            clips: int64 [batch], which clips.
            share: probability that an example gets one, in [0, 1].
            rng: a CPU generator.

        Returns:
            float32 [batch, n_variants, n_mels] and bool [batch]; zeros where there is none.
        """
        drawn = torch.rand(len(clips), generator=rng) < share
        values = torch.zeros(len(clips), *self.means.shape[1:])
        has = torch.zeros(len(clips), dtype=torch.bool)
        for row, clip in enumerate(clips.tolist()):
            others = self.others[clip] if clip < len(self.others) else ()
            n = 1 + int(torch.randint(_MOST_CLIPS, (1,), generator=rng))
            if not bool(drawn[row]) or len(others) == 0:
                continue
            chosen = others[torch.randint(len(others), (n,), generator=rng)]
            values[row] = self.means[chosen].mean(0)
            has[row] = True
        return values, has


def speech_mean(frames: Tensor) -> Tensor:
    """Return the mean of a clip's speech frames, [n_mels], from its frames [n_frames, n_mels] in dB."""
    level = frames.mean(1)
    return frames[level >= level.max() - SPEECH_RANGE_DB].mean(0)
