"""Silero VAD: its weights in a graph of our own, which takes half of the processor's time.

The published file decides in nested conditions, at each frame, what its input looks like; here that
is known beforehand. `benchmarks/write_voice_network.py` writes the graph from the published weights,
and a test compares both.
"""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import ModelError

if TYPE_CHECKING:
    from onnxruntime import IOBinding

Float32 = NDArray[np.float32]

NETWORK = "silero_vad.onnx"
VERSION = "5"
"""Of the weights."""

HIDDEN = 128
"""Numbers of the recurrent state, and of its cell."""
CONTEXT, MIRRORED = 64, 64
"""Samples of the frame before that a frame is judged with, and of its end that are appended to it."""
SPECTRUM, STEP = 256, 128
"""Samples that a spectrum is taken of, and from one to the next."""


def network_file() -> Path:
    """Return the path of the network, which ships with the package."""
    return Path(str(resources.files("edge_ser") / "assets" / NETWORK))


class Silero:
    """Silero VAD, a small recurrent network, run by ONNX Runtime on one thread.

    Its state drifts where nobody speaks for long: with the state that a stream begins with, it hears
    utterances that it misses otherwise (docs/voice.md). So a long quiet brings that state back.

    Its probabilities fall where speech is soft. So soft audio is amplified, by `most_gain_db` at most:
    the loudest of late to LOUD_DBFS, and the faintest, which is the room, to ROOM_DBFS.
    """

    name = f"silero {VERSION}"
    sample_rate = 16_000
    frame_samples = 512

    QUIET = 0.15
    """Below this probability a frame is quiet."""
    QUIET_FRAMES = 63
    """So many in a row are a long quiet, 2 s."""

    LOUD_DBFS = -30.0
    """RMS level of a frame that needs no gain."""
    MOST_GAIN_DB = 20.0
    """Default limit of the gain."""
    ROOM_DBFS = -60.0
    """Level that the gain lifts no room beyond: speech after a loud hiss gets low probabilities."""
    SILENT_DBFS = -90.0
    """Below the last of 16 bits nothing was recorded, which says nothing of the room."""
    FORGET_DB_PER_S = 2.0
    """Rate at which the loudest falls and the faintest rises: the pauses of a sentence are short."""

    def __init__(self, network: Path | None = None, most_gain_db: float = MOST_GAIN_DB) -> None:
        """Load the network.

        Args:
            network: another file than the one that ships.
            most_gain_db: limit of the gain for soft audio, in dB; 0 for none.

        Raises:
            ModelError: it is not there, or damaged.
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
        # What comes out of one frame goes into the next: two states take turns, and nothing is copied.
        self._states: Float32 = np.zeros((2, 2, 1, 1, HIDDEN), dtype=np.float32)
        self._bindings = self._bind(0, 1), self._bind(1, 0)
        self._turn = 0
        self._n_quiet = 0
        self._least_db = self.LOUD_DBFS - most_gain_db
        self._loudest_db, self._faintest_db = self._least_db, 0.0
        self._context: Float32 = np.zeros(CONTEXT, dtype=np.float32)
        """The end of the frame before, as it came."""

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
        """Forget what was heard."""
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
        """Let the network read and write our arrays: a call with names and new arrays takes longer."""
        from onnxruntime import OrtValue

        state, next_state = self._states[before], self._states[after]
        binding = self._session.io_binding()
        given = {"frames": self._frames, "hidden": state[0], "cell": state[1]}
        wanted = {"speech": self._speech, "next_hidden": next_state[0], "next_cell": next_state[1]}
        for name, array in given.items():
            binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(array))
        for name, array in wanted.items():
            binding.bind_ortvalue_output(name, OrtValue.ortvalue_from_numpy(array))
        return binding
