"""Speakers stand on both sides, clips do not: the figure for a device that knows its user."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from edge_ser.corpora import Clip
from edge_ser.errors import ConfigError
from edge_ser.protocols.fold import Fold

CLIP_GROUPED = "clip-grouped"


def clip_grouped(clips: Sequence[Clip], n_folds: int, seed: int) -> tuple[Fold, ...]:
    """Return k folds in which corpora and emotions are as even as they can be.

    Clips with the same audio, which are one group, stay on one side. The shuffled groups of each
    corpus and emotion are dealt in turn, one fold after the other.

    Raises:
        ConfigError: fewer than two folds, or more folds than clips.
    """
    emotions: dict[str, tuple[str, str]] = {}
    for clip in clips:
        emotions.setdefault(clip.group, (clip.corpus, clip.emotion))
    if not 2 <= n_folds <= len(emotions):
        raise ConfigError(
            f"{n_folds} fold(s) of {len(emotions)} clip(s) cannot be made; wanted: two folds or "
            "more, with a clip for each"
        )
    strata: dict[tuple[str, str], list[str]] = defaultdict(list)
    for group, stratum in sorted(emotions.items()):
        strata[stratum].append(group)
    rng = random.Random(seed)  # noqa: S311 (a draw, not a secret)
    order = [
        group for _, groups in sorted(strata.items()) for group in rng.sample(groups, len(groups))
    ]
    place = {group: position % n_folds for position, group in enumerate(order)}
    return tuple(
        Fold(
            protocol=CLIP_GROUPED,
            name=str(number + 1),
            train=tuple(clip for clip in clips if place[clip.group] != number),
            validation=(),
            test=tuple(clip for clip in clips if place[clip.group] == number),
        )
        for number in range(n_folds)
    )
