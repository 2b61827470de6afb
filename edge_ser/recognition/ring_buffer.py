"""Bounded buffer of columns, addressed by their index in the stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_FIRST_CAPACITY = 256


class RingBuffer:
    """Columns [n_rows, n] of a stream; those before the next window are dropped.

    The capacity is twice the largest number of columns held at once: at its end, columns move to its
    beginning, without a new allocation.
    """

    def __init__(self, n_rows: int) -> None:
        self._columns: Float32 = np.empty((n_rows, _FIRST_CAPACITY), dtype=np.float32)
        self._first = 0
        """Position of the first held column in the memory."""
        self._start = 0
        self._end = 0

    @property
    def start(self) -> int:
        """Stream index of the first held column."""
        return self._start

    @property
    def end(self) -> int:
        """Stream index after the last column."""
        return self._end

    def append(self, columns: Float32) -> None:
        """Add columns [n_rows, n] at the end."""
        n, n_held = columns.shape[1], self._end - self._start
        capacity = self._columns.shape[1]
        if self._first + n_held + n > capacity:
            old = self._columns[:, self._first : self._first + n_held]
            if 2 * (n_held + n) > capacity:
                self._columns = np.empty((len(old), 2 * (n_held + n)), dtype=np.float32)
            self._columns[:, :n_held] = old
            self._first = 0
        index = self._first + n_held
        self._columns[:, index : index + n] = columns
        self._end += n

    def slice(self, start: int, stop: int) -> Float32:
        """Return columns `start` to `stop`, a view [n_rows, stop - start] until the next append.

        Raises:
            IndexError: columns already dropped or not yet added.
        """
        if not self._start <= start <= stop <= self._end:
            raise IndexError(f"columns {start}:{stop} of a buffer of {self._start}:{self._end}")
        shift = self._first - self._start
        return self._columns[:, start + shift : stop + shift]

    def drop_before(self, index: int) -> None:
        """Drop the columns before `index`; all of them if it is beyond the end."""
        n = min(max(0, index - self._start), self._end - self._start)
        self._first += n
        self._start += n
