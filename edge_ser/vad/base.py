"""What tells speech from everything else: one shape for all detectors."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


class VoiceDetector(Protocol):
    """Says of each frame of a stream how likely somebody speaks in it."""

    @property
    def name(self) -> str:
        """What events and reports call it, with its version."""

    @property
    def sample_rate(self) -> int:
        """Hz."""

    @property
    def frame_samples(self) -> int:
        """Samples of a frame."""

    def push(self, frame: Float32) -> float:
        """Return the probability of speech, in [0, 1], for the next frame [frame_samples]."""

    def reset(self) -> None:
        """Forget what was heard."""
