"""A bounded buffer of columns that are addressed by their place in the stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_FIRST_CAPACITY = 256


class RingBuffer:
    """Columns [n_rows, n] of a stream; what lies before the next window is dropped.

    The memory is twice what was ever kept at once, and is not allocated again: columns are moved to
    its beginning when its end is reached.
    """

    def __init__(self, n_rows: int) -> None:
        self._columns: Float32 = np.empty((n_rows, _FIRST_CAPACITY), dtype=np.float32)
        self._first = 0
        """Where the first kept column lies in the memory."""
        self._start = 0
        self._end = 0

    @property
    def start(self) -> int:
        """Index of the first column that is kept."""
        return self._start

    @property
    def end(self) -> int:
        """Index after the last column that came."""
        return self._end

    def append(self, columns: Float32) -> None:
        """Add columns [n_rows, n] at the end."""
        n, kept = columns.shape[1], self._end - self._start
        capacity = self._columns.shape[1]
        if self._first + kept + n > capacity:
            old = self._columns[:, self._first : self._first + kept]
            if 2 * (kept + n) > capacity:
                self._columns = np.empty((len(old), 2 * (kept + n)), dtype=np.float32)
            self._columns[:, :kept] = old
            self._first = 0
        place = self._first + kept
        self._columns[:, place : place + n] = columns
        self._end += n

    def slice(self, start: int, stop: int) -> Float32:
        """Return columns `start` to `stop`, a view [n_rows, stop - start] until the next append.

        Raises:
            IndexError: columns that are dropped or have not come yet.
        """
        if not self._start <= start <= stop <= self._end:
            raise IndexError(f"columns {start}:{stop} of a buffer of {self._start}:{self._end}")
        shift = self._first - self._start
        return self._columns[:, start + shift : stop + shift]

    def drop_before(self, index: int) -> None:
        """Forget the columns before `index`, or all of them when it lies beyond the end."""
        n = min(max(0, index - self._start), self._end - self._start)
        self._first += n
        self._start += n
