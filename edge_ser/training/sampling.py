"""Random draws of a training: a seed for each epoch, and weights to draw clips by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from edge_ser.corpora import Clip, is_background


def seed_epoch(seed: int, epoch: int) -> torch.Generator:
    """Seed torch for an epoch, and return a CPU generator with the same seed.

    The seed depends on the epoch's number alone, so that a resumed training draws the same.
    """
    torch.manual_seed(1_000_003 * seed + epoch)
    return torch.Generator().manual_seed(1_000_003 * seed + epoch)


def sampling_weights(
    clips: Sequence[Clip], balance: float = 0.0, crowd_share: float = 0.0, drawn: bool = False
) -> Tensor | None:
    """Return probabilities [n_clips], float64, to draw clips by; None to take each once an epoch.

    A clip's weight is the product of (share of its corpus among the clips) ** -balance, (share of its
    speaker in the corpus) ** -balance and (share of its class in the corpus) ** -balance. With a
    balance of 1 a corpus is drawn in proportion to its speakers times its classes, whatever its number
    of clips, and within it each speaker and each class equally often. Clips that
    are neutral by intent count as one corpus; they get `crowd_share` of all draws, where it is given.

    Args:
        clips: the clips that are learned from.
        balance: in [0, 1].
        crowd_share: in [0, 1).
        drawn: return weights in any case.
    """
    crowd = torch.tensor([is_background(clip) for clip in clips])
    if not drawn and not balance and not (crowd_share and bool(crowd.any())):
        return None
    weights = torch.ones(len(clips), dtype=torch.float64)
    corpora = Counter(map(_corpus, clips))
    for key, whole in (
        (_corpus, lambda _: len(clips)),
        (lambda clip: (_corpus(clip), clip.speaker), lambda clip: corpora[_corpus(clip)]),
        (lambda clip: (_corpus(clip), clip.emotion), lambda clip: corpora[_corpus(clip)]),
    ):
        weights *= _shares(clips, key, whole) ** -balance
    weights /= weights.sum()
    if crowd_share and bool(crowd.any()) and not bool(crowd.all()):
        weights[crowd] *= crowd_share / weights[crowd].sum()
        weights[~crowd] *= (1 - crowd_share) / weights[~crowd].sum()
    return weights


def _corpus(clip: Clip) -> str:
    return "neutral by intent" if is_background(clip) else clip.corpus


def _shares(
    clips: Sequence[Clip], key: Callable[[Clip], object], whole: Callable[[Clip], int]
) -> Tensor:
    counts = Counter(map(key, clips))
    return torch.tensor([counts[key(clip)] / whole(clip) for clip in clips], dtype=torch.float64)
