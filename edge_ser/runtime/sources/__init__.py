"""Sources of audio: microphones, raw PCM, files, and whatever ffmpeg opens. See `runtime.signals`."""

from edge_ser.runtime.sources.choose import open_source
from edge_ser.runtime.sources.ffmpeg import FfmpegSource
from edge_ser.runtime.sources.files import FileSource
from edge_ser.runtime.sources.microphone import MicrophoneSource
from edge_ser.runtime.sources.pcm import PCM_ENCODINGS, PcmSource

__all__ = [
    "PCM_ENCODINGS",
    "FfmpegSource",
    "FileSource",
    "MicrophoneSource",
    "PcmSource",
    "open_source",
]
