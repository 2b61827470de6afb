"""SHA-256 digests, in hexadecimal, of bytes, texts, JSON and files."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from edge_ser.errors import CorpusError


def bytes_digest(data: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def text_digest(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8."""
    return bytes_digest(text.encode())


def json_digest(data: object) -> str:
    """Return the SHA-256 of data as JSON with sorted keys.

    Raises:
        TypeError: data that JSON cannot hold.
    """
    return text_digest(json.dumps(data, sort_keys=True))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises:
        OSError: the file cannot be read.
    """
    return bytes_digest(path.read_bytes())


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a recording's file; empty for an empty file, which holds no audio.

    The same recording in another format or at another rate has another digest. Digests are cached by
    path, size and modification time.

    Raises:
        CorpusError: the file cannot be read.
    """
    try:
        status = path.stat()
        return _cached_digest(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}); restore the file") from None


@functools.lru_cache(maxsize=65536)
def _cached_digest(path: Path, size: int, _mtime_ns: int) -> str:
    return file_digest(path) if size else ""
