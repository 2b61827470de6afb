"""Continuous audio without a voice detector: every window, from the first sample on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge_ser.runtime.prediction import Prediction
from edge_ser.runtime.recognizer import Recognizer
from edge_ser.runtime.window_stream import Probe, WindowStream

Float32 = NDArray[np.float32]


class PlainWindows:
    """The same shape as `Utterances`, for streams that are classified from end to end."""

    def __init__(
        self,
        recognizer: Recognizer,
        source: str,
        *,
        at_s: float = 0.0,
        short_too: bool = False,
        probe: Probe | None = None,
    ) -> None:
        """Begin at stream time `at_s`; `short_too` classifies audio shorter than a window too."""
        self._windows = WindowStream(recognizer, source, at_s=at_s, probe=probe)
        self._short_too = short_too

    def push(self, samples: Float32) -> Iterator[Prediction]:
        """Take float32 [n] at the model's rate."""
        yield from self._windows.take(samples)

    def finish(self) -> Iterator[Prediction]:
        """End the audio.

        Raises:
            AudioError: with `short_too`, audio that is too short even for that.
        """
        if self._short_too:
            yield from self._windows.finish()
        else:
            yield from self._windows.take(np.empty(0, dtype=np.float32), last=True)
