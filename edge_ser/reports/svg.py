"""Elements of charts as SVG. Colours come from the classes of `page.css`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_ser.reports.html import Node, node

WIDTH = 400.0
"""Width of a chart in its own units; on the page it fills the available width."""


@dataclass(frozen=True)
class Area:
    """Drawing area of a chart, into which shares in [0, 1] are mapped."""

    left: float
    top: float
    width: float
    height: float

    def x(self, share: float) -> float:
        """Return the x coordinate of a share, from the left."""
        return self.left + share * self.width

    def y(self, share: float) -> float:
        """Return the y coordinate of a share, from the top: 1 is at the top."""
        return self.top + (1 - share) * self.height


def svg(height: float, title: str, marks: Sequence[Node], width: float = WIDTH) -> Node:
    """Return a chart of marks; `title` is its accessible label."""
    return node("svg", *marks, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=title)


def text_at(x: float, y: float, text: str, anchor: str | None = None) -> Node:
    """Return text at a position; `anchor` is `middle`, `end`, or None for its start."""
    return node("text", text, x=x, y=y, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Node:
    """Return a line."""
    return node("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def dot(x: float, y: float, kind: str, tooltip: str, r: float = 4) -> Node:
    """Return a dot with a tooltip."""
    return node("circle", node("title", tooltip), cx=x, cy=y, r=r, class_=kind)


def bar(x: float, y: float, width: float, height: float, kind: str, tooltip: str) -> Node:
    """Return a bar with a tooltip."""
    return node("rect", node("title", tooltip), x=x, y=y, width=width, height=height, class_=kind)
