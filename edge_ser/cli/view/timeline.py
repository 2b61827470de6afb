"""Timeline of the last minute, one character for each half second."""

from __future__ import annotations

import math

CELL_S = 0.5
"""Length of a cell in seconds."""
SPAN_S = 60
"""Length of the timeline in seconds."""

_RANK = "·-?"
"""Marks with low priority when two cells become one, lowest first."""
_STRONG = "!x"
"""Marks with the highest priority: lost audio is always shown."""


class Timeline:
    """Cells of half a second; the last one is the present. Memory is bounded.

    Times are in seconds from an arbitrary origin and do not decrease; a mark may be set in the past.
    """

    def __init__(self) -> None:
        self._cells: list[str] = []
        self._first = 0
        """Number of the first stored cell."""
        self._mark = "·"

    @property
    def end_s(self) -> float:
        """End of the filled cells in seconds."""
        return (self._first + len(self._cells)) * CELL_S

    def advance(self, until_s: float) -> None:
        """Fill cells with the current mark up to `until_s`."""
        end = math.ceil(until_s / CELL_S)
        missing = end - (self._first + len(self._cells))
        if missing <= 0:
            return
        size = int(SPAN_S / CELL_S)
        self._cells.extend(self._mark * min(missing, size))
        self._cells = self._cells[-size:]
        self._first = end - len(self._cells)

    def change(self, mark: str, since_s: float) -> None:
        """Set the current mark from `since_s` on, which may be in the past."""
        self.advance(since_s)
        first = max(0, int(since_s / CELL_S) - self._first)
        for index in range(first, len(self._cells)):
            if self._cells[index] not in _STRONG:
                self._cells[index] = mark
        self._mark = mark

    def settle(self, mark: str, since_s: float) -> None:
        """Replace the mark of unrecognised speech by `mark`, from `since_s` on."""
        for index in range(max(0, int(since_s / CELL_S) - self._first), len(self._cells)):
            if self._cells[index] == "-":
                self._cells[index] = mark

    def point(self, mark: str, at_s: float, length_s: float = 0.0) -> None:
        """Mark one cell, or the cells that `length_s` covers; the current mark stays."""
        first = int(at_s / CELL_S)
        last = max(first, math.ceil((at_s + length_s) / CELL_S) - 1)
        self.advance((last + 1) * CELL_S)
        for number in range(max(first, self._first), last + 1):
            self._cells[number - self._first] = mark

    def strip(self, n_cells: int, per_cell: int) -> str:
        """Return the last `n_cells` characters, each for `per_cell` cells; blank before the start.

        If several cells become one character, the mark with the highest priority is shown: lost audio,
        then an emotion (the latest), then the others.
        """
        # Groups are counted from the origin of time, so that they do not change as time advances.
        first = -(-(self._first + len(self._cells)) // per_cell) - n_cells
        return "".join(self._merged((first + i) * per_cell, per_cell) for i in range(n_cells))

    def _merged(self, number: int, per_cell: int) -> str:
        begin = number - self._first
        cells = self._cells[max(0, begin) : max(0, begin + per_cell)]
        return max(enumerate(cells), key=_priority)[1] if cells else " "


def _priority(item: tuple[int, str]) -> tuple[int, int]:
    index, mark = item
    if mark in _STRONG:
        return len(_RANK) + 1 + _STRONG.index(mark), index
    return (_RANK.index(mark) if mark in _RANK else len(_RANK)), index
