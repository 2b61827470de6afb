"""What all report pages are made of: one file, no script, no request, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_ser.measure.markup import Child, Node, document, node

_CSS = Path(__file__).with_name("page.css")


def whole_page(title: str, sections: Sequence[Node]) -> str:
    """Return a page as text; all pictures and styles are in it."""
    head = node(
        "head",
        node("meta", charset="utf-8"),
        node("meta", name="viewport", content="width=device-width, initial-scale=1"),
        node("title", title),
        node("style", _CSS.read_text(encoding="utf-8")),
    )
    return document(node("html", head, node("body", node("main", *sections)), lang="en"))


def tile(name: str, value: str, *below: str) -> Node:
    """Return a figure to be seen first, and lines in small letters below it."""
    lines = [node("small", line) for line in below]
    return node("div", name, node("b", value), *lines, class_="tile")


def table(heads: Sequence[str], rows: Sequence[Sequence[Child]]) -> Node:
    """Return a table of figures that scrolls by itself where the page is narrow."""
    top = node("tr", *(node("th", head) for head in heads))
    body = [node("tr", node("th", row[0]), *(node("td", cell) for cell in row[1:])) for row in rows]
    return node("div", node("table", node("thead", top), node("tbody", *body)), class_="scroll")


def facts_table(facts: Sequence[tuple[str, Sequence[Child]]]) -> Node:
    """Return names on the left and what is to be said of them on the right."""
    rows = [node("tr", node("th", name), node("td", *said)) for name, said in facts]
    return node("table", *rows, class_="facts")


def with_interval(value: str, interval: str) -> Node:
    """Return a figure with its interval in small letters below it."""
    return node("span", value, node("small", interval))
