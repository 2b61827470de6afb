"""Voice detector protocol."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


class VoiceDetector(Protocol):
    """Voice detector: the probability of speech for each frame of a stream."""

    @property
    def name(self) -> str:
        """Name with version, for events and reports."""

    @property
    def sample_rate(self) -> int:
        """Sample rate of the frames, in Hz."""

    @property
    def frame_samples(self) -> int:
        """Samples per frame."""

    def push(self, frame: Float32) -> float:
        """Return the probability of speech, in [0, 1], for the next frame [frame_samples]."""

    def reset(self) -> None:
        """Reset the state to that of a new stream."""
