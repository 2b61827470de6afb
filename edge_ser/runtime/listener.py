"""The windows that a model would be given, cut by the runtime itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import Chunk
from edge_ser.card import ModelCard
from edge_ser.runtime.recognizer import Recognizer
from edge_ser.runtime.runner import Runner

Float32 = NDArray[np.float32]


class Listener(Runner):
    """A runner that keeps what it was last given and recognises nothing.

    Under a `Recognizer` it gets the very windows, features and hops of `edge-ser run`.
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self.last: Float32 = np.empty(0, dtype=np.float32)

    @property
    def card(self) -> ModelCard:
        """The card of the model that is stood in for."""
        return self._card

    def run(self, inputs: Float32) -> Float32:
        """Keep the window [1, ...]; the logits are of no meaning."""
        self.last = inputs.copy()
        return np.zeros((len(inputs), len(self.card.labels)), dtype=np.float32)

    def windows(self, chunks: Iterable[Chunk], source: str) -> Iterator[Float32 | None]:
        """Yield what the model would be given of a clip [1, ...]; None for a silent window.

        Raises:
            AudioError: as `Recognizer.stream`.
        """
        for prediction in Recognizer(self).stream(chunks, source):
            yield None if prediction.label is None else self.last
