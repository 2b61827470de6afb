"""Sources of audio: microphones, raw PCM, files and inputs of ffmpeg; see `base.Source`."""

from __future__ import annotations

import re
from pathlib import Path

from edge_ser.audio.sources.base import Source
from edge_ser.audio.sources.ffmpeg import FfmpegSource
from edge_ser.audio.sources.file import FileSource
from edge_ser.audio.sources.microphone import MicrophoneSource
from edge_ser.audio.sources.pcm import PCM_ENCODINGS, PcmSource

__all__ = [
    "PCM_ENCODINGS",
    "FfmpegSource",
    "FileSource",
    "MicrophoneSource",
    "PcmSource",
    "open_source",
]

_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")


def open_source(source: Source | str | Path | None = None) -> Source:
    """Return a source, not yet entered.

    Args:
        source: a source, which is returned; a URL such as `rtsp://...`, for ffmpeg; a file that
            libsndfile reads; None for the default microphone.
    """
    if source is None:
        return MicrophoneSource()
    if isinstance(source, str) and _URL.match(source):
        return FfmpegSource(source)
    if isinstance(source, (str, Path)):
        return FileSource(Path(source))
    return source
