"""Digests of data and folds, computed from the SHA-256 of the files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from edge_ser._util.hashing import content_digest, text_digest
from edge_ser.corpora import Clip
from edge_ser.splits.fold import Fold


def data_digest(clips: Sequence[Clip]) -> str:
    """Return a SHA-256 over names, labels and content of recordings.

    It does not depend on the order of the clips or on augmented copies, so it is the same for all
    folds and protocols on the same data.
    """
    lines = {(clip.path, clip.channel): _line(clip) for clip in clips}
    return text_digest("".join(sorted(lines.values())))


def fold_digest(fold: Fold) -> str:
    """Return a SHA-256 over the rows of each part, in order."""
    digest = hashlib.sha256()
    for part in (fold.train, fold.validation, fold.test):
        for clip in part:
            digest.update(f"{clip.copy.value}\t{_line(clip)}".encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _line(clip: Clip) -> str:
    facts = (clip.corpus, clip.speaker, clip.emotion, clip.path.name, clip.channel)
    return "\t".join(map(str, (*facts, content_digest(clip.path)))) + "\n"
