"""Sampling weights of clips, to balance corpora, speakers and classes of unequal size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from edge_ser.corpora import Clip, is_background


def sampling_weights(
    clips: Sequence[Clip], balance: float = 0.0, crowd_share: float = 0.0, drawn: bool = False
) -> Tensor | None:
    """Return sampling probabilities, float64 [n_clips]; None to use each clip once an epoch.

    A clip's weight is the product of (share of its corpus among the clips) ** -balance, (share of its
    speaker in the corpus) ** -balance and (share of its class in the corpus) ** -balance. With a
    balance of 1, a corpus is drawn in proportion to its number of speakers times its number of classes,
    and within it each speaker and each class equally often. Clips that are neutral by intent count as
    one corpus; if `crowd_share` is above 0, they get that share of all draws.

    Args:
        clips: the training clips.
        balance: strength of the balancing, in [0, 1].
        crowd_share: share of the draws, in [0, 1).
        drawn: return weights even if all are equal.
    """
    crowd = torch.tensor([is_background(clip) for clip in clips])
    if not drawn and not balance and not (crowd_share and bool(crowd.any())):
        return None
    weights = torch.ones(len(clips), dtype=torch.float64)
    corpora = Counter(map(_corpus, clips))
    for key, total in (
        (_corpus, lambda _: len(clips)),
        (lambda clip: (_corpus(clip), clip.speaker), lambda clip: corpora[_corpus(clip)]),
        (lambda clip: (_corpus(clip), clip.emotion), lambda clip: corpora[_corpus(clip)]),
    ):
        weights *= _shares(clips, key, total) ** -balance
    weights /= weights.sum()
    if crowd_share and bool(crowd.any()) and not bool(crowd.all()):
        weights[crowd] *= crowd_share / weights[crowd].sum()
        weights[~crowd] *= (1 - crowd_share) / weights[~crowd].sum()
    return weights


def _corpus(clip: Clip) -> str:
    return "neutral by intent" if is_background(clip) else clip.corpus


def _shares(
    clips: Sequence[Clip], key: Callable[[Clip], object], total: Callable[[Clip], int]
) -> Tensor:
    counts = Counter(map(key, clips))
    return torch.tensor([counts[key(clip)] / total(clip) for clip in clips], dtype=torch.float64)
