"""The one table style of all commands: no frame, words on the left, numbers on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

INTERVAL = "95%"
"""Head of a column of confidence intervals; it is shown dim and does not wrap."""

_INTERVAL_WIDTH = 11


def plain_table(*left: str, right: Sequence[str] = (), then: Sequence[str] = ()) -> Table:
    """Return an empty table.

    Args:
        left: heads of columns of words, which fold when they are too long.
        right: heads of columns of numbers, which follow.
        then: heads of further columns of words behind the numbers.
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
    """Return an empty table of two columns without heads: dim names, and values that fold.

    Args:
        width: least width of the names, so that several tables align; None for the longest name.
    """
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    return table


def checks_table(*widths: int) -> Table:
    """Return an empty table without heads: columns of these widths, and a last one that folds."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    for width in widths:
        table.add_column(width=width)
    table.add_column(overflow="fold")
    return table
