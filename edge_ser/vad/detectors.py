"""The voice detectors that there are, each behind `VoiceDetector`; why these: docs/voice.md."""

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
"""What can be opened by name; `auto` is the first."""


def open_detector(name: str = "auto") -> VoiceDetector:
    """Return a detector that has heard nothing yet; its package is imported here and not before.

    Args:
        name: `auto` or one of DETECTORS.

    Raises:
        ConfigError: there is no such detector.
        MissingDependency: its package is not installed.
    """
    kinds: dict[str, Callable[[], VoiceDetector]] = {"silero": Silero, "webrtc": WebRtc}
    if name == "auto":
        name = DETECTORS[0]
    if name not in kinds:
        raise ConfigError(
            f"there is no voice detector {name!r}; take auto or one of {', '.join(DETECTORS)}"
        )
    return kinds[name]()


class WebRtc:
    """The detector of WebRTC, Gaussian mixtures over six bands: cheap, and it says yes or no."""

    sample_rate = 16_000
    frame_samples = 480

    MODE = 2
    """How strict, 0 to 3."""

    def __init__(self) -> None:
        """Make one.

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
        """Forget what was heard."""
        self._detector = self._make(self.MODE)
