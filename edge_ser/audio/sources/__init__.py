"""Sources of audio: microphones, raw PCM, files, and whatever ffmpeg opens. See `runtime.signals`."""

from edge_ser.audio.sources.choose import open_source
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
