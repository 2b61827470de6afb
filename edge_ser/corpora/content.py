"""Digests of what files hold."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from edge_ser.errors import CorpusError


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


@functools.lru_cache(maxsize=65536)
def _digest(path: Path, size: int, _mtime_ns: int) -> str:
    # Six folds of a corpus read its files once: a file of another size or time is read again.
    return hashlib.sha256(path.read_bytes()).hexdigest() if size else ""
