"""Speech emotion recognition on edge devices: train, export, build engines, run live, profile.

Names are imported at first use, so that `import edge_ser` costs nothing.
"""

from __future__ import annotations

import importlib
import os
import warnings
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# ONNX Runtime's packages have telemetry, which a program that records people must not use.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOME = {
    "AudioChunk": "edge_ser.audio.io",
    "FrontendConfig": "edge_ser.card",
    "ModelCard": "edge_ser.card",
    "EdgeSerError": "edge_ser.errors",
    "StreamingFeatures": "edge_ser.frontend",
    "mfcc": "edge_ser.frontend",
    "Prediction": "edge_ser.recognition.prediction",
    "Recognizer": "edge_ser.recognition.recognizer",
}

_RENAMED = {"Chunk": "AudioChunk", "StreamingMfcc": "StreamingFeatures"}
"""Former public names, removed in the next version."""

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604

if TYPE_CHECKING:
    from edge_ser.audio.io import AudioChunk as AudioChunk
    from edge_ser.card import FrontendConfig as FrontendConfig
    from edge_ser.card import ModelCard as ModelCard
    from edge_ser.errors import EdgeSerError as EdgeSerError
    from edge_ser.frontend import StreamingFeatures as StreamingFeatures
    from edge_ser.frontend import mfcc as mfcc
    from edge_ser.recognition.prediction import Prediction as Prediction
    from edge_ser.recognition.recognizer import Recognizer as Recognizer


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        new = _RENAMED[name]
        warnings.warn(
            f"edge_ser.{name} is now edge_ser.{new}; the old name goes with the next version",
            DeprecationWarning,
            stacklevel=2,
        )
        name = new
    if name not in _HOME:
        raise AttributeError(f"module 'edge_ser' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
