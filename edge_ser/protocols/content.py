"""What files hold, by SHA-256 of their bytes, and digests of data and folds made of it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

from edge_ser.corpora import Clip
from edge_ser.errors import CorpusError
from edge_ser.protocols.fold import Fold


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; empty for an empty file, which holds no audio.

    A recording that was stored anew, in another format or at another rate, has another digest.

    Raises:
        CorpusError: the file cannot be read.
    """
    try:
        status = path.stat()
        return _digest(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}); restore the file") from None


def data_digest(clips: Sequence[Clip]) -> str:
    """Return a SHA-256 over names, labels and content of recordings: other data, other digest.

    The order of the clips and their augmented copies do not matter, so it is the same for all folds
    and protocols on the same data.
    """
    lines = {(clip.path, clip.channel): _line(clip) for clip in clips}
    return hashlib.sha256("".join(sorted(lines.values())).encode()).hexdigest()


def fold_digest(fold: Fold) -> str:
    """Return a SHA-256 over which row stands where in which part: another fold, another digest."""
    digest = hashlib.sha256()
    for part in (fold.train, fold.validation, fold.test):
        for clip in part:
            digest.update(f"{clip.copy.value}\t{_line(clip)}".encode())
        digest.update(b"\n")
    return digest.hexdigest()


@functools.lru_cache(maxsize=65536)
def _digest(path: Path, size: int, _mtime_ns: int) -> str:
    # Six folds of a corpus read its files once: a file of another size or time is read again.
    return hashlib.sha256(path.read_bytes()).hexdigest() if size else ""


def _line(clip: Clip) -> str:
    facts = (clip.corpus, clip.speaker, clip.emotion, clip.path.name, clip.channel)
    return "\t".join(map(str, (*facts, content_digest(clip.path)))) + "\n"
