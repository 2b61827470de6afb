"""The shared table style."""

from __future__ import annotations

import io

from rich.console import Console

from edge_ser.cli._shared.tables import facts_table, plain_table


def printed(table) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=60).print(table)
    return [line.rstrip() for line in screen.getvalue().splitlines()]


def test_words_stand_on_the_left_and_numbers_on_the_right():
    table = plain_table("name", right=("n", "95%"), then=("of",))
    table.add_row("a", "1", "2 to 3", "x")

    head, _, row = printed(table)

    assert head == "name  n          95%  of"
    assert row == "a     1       2 to 3  x"


def test_facts_have_no_heads_and_align():
    table = facts_table(width=6)
    table.add_row("a", "first")

    assert printed(table) == ["a       first"]
