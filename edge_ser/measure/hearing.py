"""What a model would be given of a recording, and what it says, without running it more than once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import Chunk
from edge_ser.card import ModelCard
from edge_ser.runtime.listener import Listener

Float32 = NDArray[np.float32]

Windows = list[Float32 | None]
"""One entry a window: what goes into a network or comes out of it; None where it is silent."""


class Ear:
    """Cut audio into the windows that the runtime would give to a model, running none."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self._listener = Listener(card)

    def listen(self, chunks: Sequence[Chunk], source: str) -> Windows:
        """Return the windows of a clip, in its order; none when it is too short."""
        length_s = sum(len(chunk.samples) / chunk.sample_rate for chunk in chunks)
        if length_s < self.card.min_window_s:
            return []
        return list(self._listener.windows(chunks, source))


def hearing(card: ModelCard) -> tuple[object, ...]:
    """Return what decides on the windows that a model gets: equal for models that hear alike."""
    return (card.frontend, card.input, card.window_s, card.hop_s, card.min_window_s)


def timing(card: ModelCard) -> tuple[float, float]:
    """Return window and hop in seconds, rounded to samples and frames as the runtime does."""
    rate, frame = card.frontend.sample_rate, card.frontend.hop_length
    window_s = round(card.window_s * rate) / rate
    return window_s, round(card.hop_s * rate / frame) * frame / rate
