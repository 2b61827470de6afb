"""Voice detectors by name; docs/voice.md compares them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import ConfigError, missing_extra
from edge_ser.vad.base import VoiceDetector
from edge_ser.vad.silero import Silero

Float32 = NDArray[np.float32]

DETECTORS = ("silero", "webrtc")
"""Names of the detectors; `auto` is the first."""


def open_detector(name: str = "auto") -> VoiceDetector:
    """Return a new detector; its package is imported at this call.

    Args:
        name: `auto` or one of DETECTORS.

    Raises:
        ConfigError: unknown name.
        MissingDependency: its package is not installed.
    """
    detectors: dict[str, Callable[[], VoiceDetector]] = {"silero": Silero, "webrtc": WebRtc}
    if name == "auto":
        name = DETECTORS[0]
    if name not in detectors:
        raise ConfigError(
            f"unknown voice detector {name!r}; expected auto or one of {', '.join(DETECTORS)}"
        )
    return detectors[name]()


class WebRtc:
    """Detector of WebRTC: Gaussian mixtures over six bands; fast, with binary output."""

    sample_rate = 16_000
    frame_samples = 480

    MODE = 2
    """Aggressiveness, 0 to 3."""

    def __init__(self) -> None:
        """Open the detector.

        Raises:
            MissingDependency: webrtcvad-wheels is not installed.
        """
        try:
            import webrtcvad
        except ImportError:
            raise missing_extra("webrtcvad-wheels", "webrtc") from None
        self.name = f"webrtc (webrtcvad-wheels {version('webrtcvad-wheels')})"
        self._make = webrtcvad.Vad
        self._detector = self._make(self.MODE)

    def push(self, frame: Float32) -> float:
        """Return 1 for speech, else 0, for the next frame [480]."""
        pcm = (np.clip(frame, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        return float(self._detector.is_speech(pcm, self.sample_rate))

    def reset(self) -> None:
        """Reset the state to that of a new stream."""
        self._detector = self._make(self.MODE)
