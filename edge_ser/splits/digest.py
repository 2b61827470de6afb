"""What files hold, by SHA-256 of their bytes, and digests of data and folds made of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from edge_ser._util.hashing import content_digest, text_digest
from edge_ser.corpora import Clip
from edge_ser.splits.fold import Fold


def data_digest(clips: Sequence[Clip]) -> str:
    """Return a SHA-256 over names, labels and content of recordings: other data, other digest.

    The order of the clips and their augmented copies do not matter, so it is the same for all folds
    and protocols on the same data.
    """
    lines = {(clip.path, clip.channel): _line(clip) for clip in clips}
    return text_digest("".join(sorted(lines.values())))


def fold_digest(fold: Fold) -> str:
    """Return a SHA-256 over which row stands where in which part: another fold, another digest."""
    digest = hashlib.sha256()
    for part in (fold.train, fold.validation, fold.test):
        for clip in part:
            digest.update(f"{clip.copy.value}\t{_line(clip)}".encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _line(clip: Clip) -> str:
    facts = (clip.corpus, clip.speaker, clip.emotion, clip.path.name, clip.channel)
    return "\t".join(map(str, (*facts, content_digest(clip.path)))) + "\n"
