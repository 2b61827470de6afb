"""What a lane notes of each decision, in memory that its size is known of."""

from __future__ import annotations

from array import array

import numpy as np

from edge_ser.measure.profile.percentiles import Nanoseconds
from edge_ser.measure.profile.stages import STAGES


class Recording:
    """Columns of numbers, one row a decision; about 130 bytes each."""

    def __init__(self) -> None:
        self._at = array("q")
        self._latency = array("q")
        self._window = array("q")
        self._label = array("h")
        self._stages = {stage: array("q") for stage in STAGES}

    def add(
        self, at_ns: int, latency_ns: int, window: int, label: int, spent_ns: dict[str, int]
    ) -> None:
        """Note a decision.

        Args:
            at_ns: when it was made.
            latency_ns: since its window's last sample was captured.
            window: the end of the window within the stream, in samples.
            label: place of its label in the model's labels.
            spent_ns: what of the latency each stage took.
        """
        self._at.append(at_ns)
        self._latency.append(latency_ns)
        self._window.append(window)
        self._label.append(label)
        for stage, column in self._stages.items():
            column.append(spent_ns[stage])

    def __len__(self) -> int:
        """Return how many decisions were noted."""
        return len(self._at)

    @property
    def n_bytes(self) -> int:
        """Memory that the rows take."""
        columns = (self._at, self._latency, self._window, self._label, *self._stages.values())
        return sum(column.itemsize * len(column) for column in columns)

    @property
    def at_ns(self) -> Nanoseconds:
        """When each decision was made."""
        return np.array(self._at, dtype=np.int64)

    @property
    def latency_ns(self) -> Nanoseconds:
        """From the window's last sample to the decision."""
        return np.array(self._latency, dtype=np.int64)

    @property
    def labels(self) -> dict[int, int]:
        """Place of the label by the end of its window in samples."""
        return dict(zip(self._window, self._label, strict=True))

    def stage_ns(self, stage: str) -> Nanoseconds:
        """What a stage took of each decision's latency."""
        return np.array(self._stages[stage], dtype=np.int64)
