"""HTML and SVG as trees: every text is escaped, and every page well-formed."""

from __future__ import annotations

from xml.etree import ElementTree as ET

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
    """Return a page as text. Elements of HTML must not be empty, except those that always are."""
    return "<!DOCTYPE html>\n" + ET.tostring(root, encoding="unicode") + "\n"


def _written(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
