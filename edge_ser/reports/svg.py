"""The few marks that all pictures are made of, as SVG. Colours come from the classes of `page.css`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_ser.reports.html import Node, node

WIDTH = 400.0
"""Of a picture in its own units; on the page it is as wide as there is room."""


@dataclass(frozen=True)
class Area:
    """Where a chart draws: shares in [0, 1] are mapped into it."""

    left: float
    top: float
    width: float
    height: float

    def x(self, share: float) -> float:
        """Return the place of a share, from the left."""
        return self.left + share * self.width

    def y(self, share: float) -> float:
        """Return the place of a share, from the top: 1 is above."""
        return self.top + (1 - share) * self.height


def svg(height: float, title: str, marks: Sequence[Node], width: float = WIDTH) -> Node:
    """Return a picture of marks; `title` is for those who do not see it."""
    return node("svg", *marks, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=title)


def text_at(x: float, y: float, words: str, anchor: str | None = None) -> Node:
    """Return words, beginning at a place; `anchor` is `middle` or `end` where they do not."""
    return node("text", words, x=x, y=y, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Node:
    """Return a line."""
    return node("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def dot(x: float, y: float, kind: str, said: str, r: float = 4) -> Node:
    """Return a dot, and what it says when pointed at."""
    return node("circle", node("title", said), cx=x, cy=y, r=r, class_=kind)


def bar(x: float, y: float, width: float, height: float, kind: str, said: str) -> Node:
    """Return a bar, and what it says when pointed at."""
    return node("rect", node("title", said), x=x, y=y, width=width, height=height, class_=kind)
