"""A source from what a user writes down."""

from __future__ import annotations

import re
from pathlib import Path

from edge_ser.audio.sources.base import Source
from edge_ser.audio.sources.ffmpeg import FfmpegSource
from edge_ser.audio.sources.file import FileSource
from edge_ser.audio.sources.microphone import MicrophoneSource

_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")


def open_source(what: Source | str | Path | None = None) -> Source:
    """Return a source, not yet entered.

    Args:
        what: a source, which is returned; a URL such as `rtsp://...`, for ffmpeg; a file that
            libsndfile reads; None for the default microphone.
    """
    if what is None:
        return MicrophoneSource()
    if isinstance(what, str) and _URL.match(what):
        return FfmpegSource(what)
    if isinstance(what, (str, Path)):
        return FileSource(Path(what))
    return what
