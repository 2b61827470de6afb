"""HTML and SVG as element trees: every text is escaped, and every page is well-formed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

_CSS = Path(__file__).with_name("page.css")


def html_page(title: str, sections: Sequence[Node]) -> str:
    """Return a page as text, with all charts and styles embedded."""
    head = node(
        "head",
        node("meta", charset="utf-8"),
        node("meta", name="viewport", content="width=device-width, initial-scale=1"),
        node("title", title),
        node("style", _CSS.read_text(encoding="utf-8")),
    )
    return document(node("html", head, node("body", node("main", *sections)), lang="en"))


def tile(name: str, value: str, *below: str) -> Node:
    """Return a prominent figure, with lines in small print below it."""
    lines = [node("small", line) for line in below]
    return node("div", name, node("b", value), *lines, class_="tile")


def table(heads: Sequence[str], rows: Sequence[Sequence[Child]]) -> Node:
    """Return a table of figures that scrolls horizontally on a narrow page."""
    top = node("tr", *(node("th", head) for head in heads))
    body = [node("tr", node("th", row[0]), *(node("td", cell) for cell in row[1:])) for row in rows]
    return node("div", node("table", node("thead", top), node("tbody", *body)), class_="scroll")


def facts_table(facts: Sequence[tuple[str, Sequence[Child]]]) -> Node:
    """Return a table of names on the left and their descriptions on the right."""
    rows = [node("tr", node("th", name), node("td", *description)) for name, description in facts]
    return node("table", *rows, class_="facts")


def with_interval(value: str, interval: str) -> Node:
    """Return a figure with its interval in small print below it."""
    return node("span", value, node("small", interval))


Node = ET.Element
Child = ET.Element | str


def node(tag: str, *children: Child, **attributes: object) -> Node:
    """Return an element.

    Args:
        tag: its name.
        children: elements, and text between them.
        attributes: by name; `_` stands for `-`, a final one is dropped (`class_`), None is left out.
    """
    made = ET.Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), _written(value))
    for child in children:
        if not isinstance(child, str):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + child
        else:
            made.text = (made.text or "") + child
    return made


def document(root: Node) -> str:
    """Return a page as text. Only void elements of HTML may be empty."""
    return "<!DOCTYPE html>\n" + ET.tostring(root, encoding="unicode") + "\n"


def _written(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
