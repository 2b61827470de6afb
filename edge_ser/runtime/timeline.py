"""A bounded buffer of columns that are addressed by their place in the stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


class Timeline:
    """Columns [n_rows, n] of a stream; what lies before the next window is dropped."""

    def __init__(self, n_rows: int) -> None:
        self._columns: Float32 = np.empty((n_rows, 0), dtype=np.float32)
        self._start = 0

    @property
    def end(self) -> int:
        """Index after the last column that came."""
        return self._start + int(self._columns.shape[1])

    def append(self, columns: Float32) -> None:
        """Add columns [n_rows, n] at the end."""
        self._columns = np.concatenate([self._columns, columns], axis=1)

    def slice(self, start: int, stop: int) -> Float32:
        """Return columns `start` to `stop`, a view [n_rows, stop - start] until the next append.

        Raises:
            IndexError: columns that are dropped or have not come yet.
        """
        if not self._start <= start <= stop <= self.end:
            raise IndexError(f"columns {start}:{stop} of a buffer of {self._start}:{self.end}")
        return self._columns[:, start - self._start : stop - self._start]

    def drop_before(self, index: int) -> None:
        """Forget the columns before `index`, or all of them when it lies beyond the end."""
        n = min(max(0, index - self._start), self._columns.shape[1])
        self._columns = self._columns[:, n:].copy()
        self._start += n
