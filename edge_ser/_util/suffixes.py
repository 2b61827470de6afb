"""File name suffixes of models and of audio, in lower case."""

from __future__ import annotations

from pathlib import Path

ONNX_SUFFIX = ".onnx"

ENGINE_SUFFIXES = (".engine", ".plan")
"""Suffixes of TensorRT engines: that of edge-ser, and that of `trtexec` and TAO."""

AUDIO_SUFFIXES = (
    ".wav",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".au",
    ".w64",
    ".caf",
)
"""Suffixes of audio files in a directory; files given by name may have any suffix."""


def is_onnx(path: Path) -> bool:
    """Return whether a path has the suffix of an ONNX file, in any case."""
    return path.suffix.lower() == ONNX_SUFFIX


def is_engine(path: Path) -> bool:
    """Return whether a path has a suffix of a TensorRT engine, in any case."""
    return path.suffix.lower() in ENGINE_SUFFIXES
