"""Cross-validation folds of a site's clips."""

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
    """Groups of clips that stay on one side of a fold."""

    unit: NDArray[np.int64]
    """Number of the unit of each clip [n_clips]: its speaker, or its recording."""
    recording: NDArray[np.int64]
    """Number of the recording of each clip [n_clips]; clips of the same number hold the same audio."""
    truth: NDArray[np.int64]
    """Class of each clip [n_clips]."""
    by: str
    """`speaker` or `clip`."""

    def folds(self, indices: NDArray[np.int64], seed: int) -> list[NDArray[np.bool_]]:
        """Return masks of the held-out clips of each fold, [n_indices] each.

        With several speakers, each fold holds out speakers; otherwise it holds out recordings, evenly
        over the classes.

        Args:
            indices: indices of the clips.
            seed: seed of the shuffle.

        Raises:
            ConfigError: a single recording.
        """
        unit = self.unit[indices]
        if self.by == "speaker" and len(set(unit.tolist())) > 1:
            order = _by_size(unit, seed)
        else:
            unit = self.recording[indices]
            order = _by_class(unit, self.truth[indices], seed)
        n_folds = min(MOST_FOLDS, len(order))
        if n_folds < 2:
            raise ConfigError("expected clips of several recordings, got one recording; give more")
        number = {one: index % n_folds for index, one in enumerate(order)}
        fold = np.array([number[one] for one in unit.tolist()])
        return [fold == n for n in range(n_folds)]


def group_clips(
    clips: Sequence[Clip], truth: NDArray[np.int64], *, known_speakers: bool = False
) -> Grouping:
    """Group the clips that must stay together: those of a speaker, and those with the same audio.

    Args:
        clips: the clips.
        truth: their classes.
        known_speakers: hold out clips instead of speakers, if the speakers will remain the same.

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
    keys = [(clip.speaker, *key) for clip, key in zip(clips, audio, strict=True)]
    return Grouping(_joined(keys), recording, truth, "speaker")


def _joined(keys: Sequence[tuple[str, ...]]) -> NDArray[np.int64]:
    """Number the items so that those connected by a common key, also indirectly, share a number."""
    parent = list(range(len(keys)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[int, str], int] = {}
    for index, row in enumerate(keys):
        for key in enumerate(row):
            # Empty files have an empty digest, and must not be joined.
            if key[1]:
                parent[root(index)] = root(first.setdefault(key, index))
    return np.array([root(index) for index in range(len(keys))], dtype=np.int64)


def _by_size(unit: NDArray[np.int64], seed: int) -> list[int]:
    """Return the units shuffled and sorted by descending number of clips, to balance the folds."""
    counts = Counter(unit.tolist())
    drawn = random.Random(seed).sample(sorted(counts), len(counts))  # noqa: S311 (not a secret)
    return sorted(drawn, key=lambda one: -counts[one])


def _by_class(unit: NDArray[np.int64], truth: NDArray[np.int64], seed: int) -> list[int]:
    """Return the units shuffled within each class, class after class, to balance the folds."""
    rng = random.Random(seed)  # noqa: S311 (a draw, not a secret)
    members: dict[int, list[int]] = defaultdict(list)
    seen: set[int] = set()
    for one, label in zip(unit.tolist(), truth.tolist(), strict=True):
        if one not in seen:
            seen.add(one)
            members[label].append(one)
    return [one for _, units in sorted(members.items()) for one in rng.sample(units, len(units))]
