"""Folds of a site's clips: what is measured on is never fitted on."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.hashing import content_digest
from edge_ser.corpora import Clip, speaker_known
from edge_ser.errors import ConfigError

MOST_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which clips stay on one side of a fold."""

    unit: NDArray[np.int64]
    """Number of the unit of each clip [n_clips]: its speaker, or its audio."""
    recording: NDArray[np.int64]
    """Number of the recording of each clip [n_clips]: clips with one number hold the same audio."""
    truth: NDArray[np.int64]
    """Class of each clip [n_clips]."""
    by: str
    """`speaker` or `clip`."""

    def folds(self, places: NDArray[np.int64], seed: int) -> list[NDArray[np.bool_]]:
        """Return which of some clips are held out in each fold, [n_places] each.

        With units of several speakers each fold holds out speakers; with a single unit among the
        clips, or units of audio, it holds out recordings, evenly over the classes.

        Args:
            places: indices of the clips.
            seed: decides who is held out together.

        Raises:
            ConfigError: a single recording.
        """
        unit = self.unit[places]
        if self.by == "speaker" and len(set(unit.tolist())) > 1:
            order = _by_size(unit, seed)
        else:
            unit = self.recording[places]
            order = _by_class(unit, self.truth[places], seed)
        n_folds = min(MOST_FOLDS, len(order))
        if n_folds < 2:
            raise ConfigError("clips of one recording cannot be divided; give several recordings")
        number = {one: place % n_folds for place, one in enumerate(order)}
        fold = np.array([number[one] for one in unit.tolist()])
        return [fold == n for n in range(n_folds)]


def group_clips(
    clips: Sequence[Clip], truth: NDArray[np.int64], *, known_speakers: bool = False
) -> Grouping:
    """Return what has to stay together: clips of a speaker, and clips with the same audio.

    Args:
        clips: the clips.
        truth: their classes.
        known_speakers: hold out clips, not speakers: those who speak here are those who will.

    Raises:
        CorpusError: a file that cannot be read.
    """
    audio = [(clip.group, content_digest(clip.path)) for clip in clips]
    recording = _joined(audio)
    by_speaker = (
        not known_speakers
        and all(speaker_known(clip) for clip in clips)
        and len({clip.speaker for clip in clips}) > 1
    )
    if not by_speaker:
        return Grouping(recording, recording, truth, "clip")
    keys = [(clip.speaker, *own) for clip, own in zip(clips, audio, strict=True)]
    return Grouping(_joined(keys), recording, truth, "speaker")


def _joined(keys: Sequence[tuple[str, ...]]) -> NDArray[np.int64]:
    """Number what shares a key at any place, directly or through others."""
    parent = list(range(len(keys)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[tuple[int, str], int] = {}
    for place, own in enumerate(keys):
        for key in enumerate(own):
            # An empty digest is that of an empty file, which is no recording.
            if key[1]:
                parent[root(place)] = root(first.setdefault(key, place))
    return np.array([root(place) for place in range(len(keys))], dtype=np.int64)


def _by_size(unit: NDArray[np.int64], seed: int) -> list[int]:
    """Return units shuffled, then from the most clips to the fewest, so that folds are alike."""
    counts = Counter(unit.tolist())
    drawn = random.Random(seed).sample(sorted(counts), len(counts))  # noqa: S311 (not a secret)
    return sorted(drawn, key=lambda one: -counts[one])


def _by_class(unit: NDArray[np.int64], truth: NDArray[np.int64], seed: int) -> list[int]:
    """Return units shuffled within their class, class after class, so that folds are alike."""
    rng = random.Random(seed)  # noqa: S311 (a draw, not a secret)
    members: dict[int, list[int]] = defaultdict(list)
    seen: set[int] = set()
    for one, label in zip(unit.tolist(), truth.tolist(), strict=True):
        if one not in seen:
            seen.add(one)
            members[label].append(one)
    return [one for _, own in sorted(members.items()) for one in rng.sample(own, len(own))]
