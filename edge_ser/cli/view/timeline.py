"""What was heard in the last minute, a letter for each piece of it."""

from __future__ import annotations

import math

CELL_S = 0.5
"""Seconds of a cell."""
SPAN_S = 60
"""Seconds that are kept."""

_RANK = "·-?"
"""Marks that give way to others when two cells become one, the weakest first."""
_STRONG = "!x"
"""Marks that never give way: nobody should miss what was lost."""


class Timeline:
    """Cells of half a second, the last one being now. Memory is bounded.

    Times are seconds from any beginning, and only grow; a mark may be put back in time.
    """

    def __init__(self) -> None:
        self._cells: list[str] = []
        self._first = 0
        """Number of the first cell that is kept."""
        self._mark = "·"

    @property
    def end_s(self) -> float:
        """Until when cells are filled."""
        return (self._first + len(self._cells)) * CELL_S

    def advance(self, until_s: float) -> None:
        """Fill up with the present mark."""
        wanted = math.ceil(until_s / CELL_S)
        missing = wanted - (self._first + len(self._cells))
        if missing <= 0:
            return
        size = int(SPAN_S / CELL_S)
        self._cells.extend(self._mark * min(missing, size))
        self._cells = self._cells[-size:]
        self._first = wanted - len(self._cells)

    def change(self, mark: str, since_s: float) -> None:
        """Let `mark` be the present one, from `since_s` on, also where that has passed."""
        self.advance(since_s)
        place = max(0, int(since_s / CELL_S) - self._first)
        for later in range(place, len(self._cells)):
            if self._cells[later] not in _STRONG:
                self._cells[later] = mark
        self._mark = mark

    def settle(self, mark: str, since_s: float) -> None:
        """Put `mark` where speech was not recognised yet, from `since_s` on."""
        for place in range(max(0, int(since_s / CELL_S) - self._first), len(self._cells)):
            if self._cells[place] == "-":
                self._cells[place] = mark

    def point(self, mark: str, at_s: float, length_s: float = 0.0) -> None:
        """Mark one cell, or as many as `length_s` fills, and go on with the present mark."""
        first = int(at_s / CELL_S)
        last = max(first, math.ceil((at_s + length_s) / CELL_S) - 1)
        self.advance((last + 1) * CELL_S)
        for number in range(max(first, self._first), last + 1):
            self._cells[number - self._first] = mark

    def strip(self, n_cells: int, per_cell: int) -> str:
        """Return the last `n_cells` characters, each for `per_cell` cells; blank before the beginning.

        Of several cells that become one character, the strongest is shown: what was lost, then an
        emotion (the latest), then the others.
        """
        # Counted from the beginning of time, so that a cell stays with its neighbour as time goes.
        first = -(-(self._first + len(self._cells)) // per_cell) - n_cells
        return "".join(self._merged((first + i) * per_cell, per_cell) for i in range(n_cells))

    def _merged(self, number: int, per_cell: int) -> str:
        begin = number - self._first
        held = self._cells[max(0, begin) : max(0, begin + per_cell)]
        return max(enumerate(held), key=_strength)[1] if held else " "


def _strength(placed: tuple[int, str]) -> tuple[int, int]:
    place, mark = placed
    if mark in _STRONG:
        return len(_RANK) + 1 + _STRONG.index(mark), place
    return (_RANK.index(mark) if mark in _RANK else len(_RANK)), place
