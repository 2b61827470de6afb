"""Table style of all commands: no frame, text columns left-aligned, numbers right-aligned."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

INTERVAL = "95%"
"""Head of a column of confidence intervals, which is dim and does not wrap."""

_INTERVAL_WIDTH = 11


def plain_table(*left: str, right: Sequence[str] = (), then: Sequence[str] = ()) -> Table:
    """Return an empty table.

    Args:
        left: heads of text columns, which fold if too long.
        right: heads of the number columns that follow.
        then: heads of further text columns after the numbers.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for head in left:
        table.add_column(head, overflow="fold")
    for head in right:
        interval = head == INTERVAL
        table.add_column(
            head,
            justify="right",
            style="dim" if interval else "",
            min_width=_INTERVAL_WIDTH if interval else None,
        )
    for head in then:
        table.add_column(head, overflow="fold")
    return table


def facts_table(width: int | None = None) -> Table:
    """Return an empty table of two columns without heads: dim names and values that fold.

    Args:
        width: minimum width of the names, to align several tables; None for the longest name.
    """
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    return table


def checks_table(*widths: int) -> Table:
    """Return an empty table without heads: columns of these widths, then one that folds."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    for width in widths:
        table.add_column(width=width)
    table.add_column(overflow="fold")
    return table
