"""Voice detectors, Silero and WebRTC, by name; docs/voice.md compares them."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import ConfigError, ModelError, missing_extra
from edge_ser.vad.base import VoiceDetector

if TYPE_CHECKING:
    from onnxruntime import IOBinding


NETWORK = "silero_vad.onnx"
VERSION = "5"
"""Version of the weights."""

HIDDEN = 128
"""Size of the recurrent state and of its cell."""
CONTEXT, MIRRORED = 64, 64
"""Samples of the previous frame put before a frame, and samples of its end mirrored after it."""
SPECTRUM, STEP = 256, 128
"""Length and hop of the spectra, in samples."""


def network_file() -> Path:
    """Return the path of the network in the package."""
    return Path(str(resources.files("edge_ser") / "assets" / NETWORK))


class Silero:
    """Silero VAD, a small recurrent network, run by ONNX Runtime on one thread.

    Its state drifts during long silence, and utterances are missed (docs/voice.md). So the state is
    reset after QUIET_FRAMES quiet frames.

    Its probabilities are low for soft speech. So soft audio is amplified by at most `most_gain_db`: the
    recent maximum level up to LOUD_DBFS, and the minimum, the room noise, up to ROOM_DBFS.
    """

    name = f"silero {VERSION}"
    sample_rate = 16_000
    frame_samples = 512

    QUIET = 0.15
    """Probability below which a frame is quiet."""
    QUIET_FRAMES = 63
    """Number of consecutive quiet frames, 2 s, after which the state is reset."""

    LOUD_DBFS = -30.0
    """RMS level of a frame that needs no gain."""
    MOST_GAIN_DB = 20.0
    """Default limit of the gain."""
    ROOM_DBFS = -60.0
    """Highest level of room noise after the gain: speech after loud hiss gets low probabilities."""
    SILENT_DBFS = -90.0
    """Level below the least significant of 16 bits: nothing was recorded, so the room level is
    unknown."""
    FORGET_DB_PER_S = 2.0
    """Rate at which the maximum level falls and the minimum rises; slow enough for pauses in a
    sentence."""

    def __init__(self, network: Path | None = None, most_gain_db: float = MOST_GAIN_DB) -> None:
        """Load the network.

        Args:
            network: path of another network; None for the one in the package.
            most_gain_db: limit of the gain for soft audio, in dB; 0 for none.

        Raises:
            ModelError: the file is missing or damaged.
        """
        from edge_ser.inference.session import open_session

        path = network or network_file()
        try:
            self._session = open_session(str(path))
        except Exception as error:  # noqa: BLE001 (onnxruntime's share no narrower base)
            raise ModelError(
                f"{path}, the voice detector, cannot be loaded ({str(error).splitlines()[0]}); "
                "install edge-ser again"
            ) from None
        self._samples = np.zeros(CONTEXT + self.frame_samples + MIRRORED, dtype=np.float32)
        shape = (1 + (len(self._samples) - SPECTRUM) // STEP, SPECTRUM)
        size = self._samples.itemsize
        self._overlapping: Float32 = np.ndarray(
            shape, np.float32, self._samples, strides=(STEP * size, size)
        )
        self._frames = np.zeros(shape, dtype=np.float32)
        self._speech = np.zeros((1, 1), dtype=np.float32)
        # The output state of a frame is the input state of the next: two buffers alternate, without
        # copies.
        self._states: Float32 = np.zeros((2, 2, 1, 1, HIDDEN), dtype=np.float32)
        self._bindings = self._bind(0, 1), self._bind(1, 0)
        self._turn = 0
        self._n_quiet = 0
        self._least_db = self.LOUD_DBFS - most_gain_db
        self._loudest_db, self._faintest_db = self._least_db, 0.0
        self._context: Float32 = np.zeros(CONTEXT, dtype=np.float32)
        """End of the previous frame, before the gain."""

    def push(self, frame: Float32) -> float:
        """Return the probability of speech, in [0, 1], for the next frame [512]."""
        end = CONTEXT + self.frame_samples
        samples = self._samples
        samples[:CONTEXT] = self._context
        samples[CONTEXT:end] = frame
        self._context[:] = frame[-CONTEXT:]
        samples[:end] *= self._gain(frame)
        samples[end:] = samples[end - 2 : end - 2 - MIRRORED : -1]
        self._frames[:] = self._overlapping
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
        probability = float(self._speech[0, 0])
        self._n_quiet = self._n_quiet + 1 if probability < self.QUIET else 0
        if self._n_quiet == self.QUIET_FRAMES:
            self._forget()
        return probability

    def reset(self) -> None:
        """Reset the state to that of a new stream."""
        self._context[:] = 0
        self._loudest_db, self._faintest_db = self._least_db, 0.0
        self._forget()

    def _gain(self, frame: Float32) -> float:
        """Return the factor for a frame, and follow its level."""
        level_db = 10 * math.log10(float(frame @ frame) / len(frame) + 1e-12)
        step_db = self.FORGET_DB_PER_S * len(frame) / self.sample_rate
        self._loudest_db = max(level_db, self._loudest_db - step_db, self._least_db)
        if level_db > self.SILENT_DBFS:
            self._faintest_db = min(level_db, self._faintest_db + step_db)
        gain_db = min(self.LOUD_DBFS - self._loudest_db, self.ROOM_DBFS - self._faintest_db)
        factor: float = 10.0 ** (max(0.0, gain_db) / 20)
        return factor

    def _forget(self) -> None:
        self._states[:] = 0
        self._n_quiet = 0

    def _bind(self, before: int, after: int) -> IOBinding:
        """Bind the network to fixed arrays, which is faster than a call with names and new arrays."""
        from onnxruntime import OrtValue

        state, next_state = self._states[before], self._states[after]
        binding = self._session.io_binding()
        inputs = {"frames": self._frames, "hidden": state[0], "cell": state[1]}
        outputs = {"speech": self._speech, "next_hidden": next_state[0], "next_cell": next_state[1]}
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(array))
        for name, array in outputs.items():
            binding.bind_ortvalue_output(name, OrtValue.ortvalue_from_numpy(array))
        return binding


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
