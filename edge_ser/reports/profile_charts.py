"""Charts of a profile as SVG: stages, distribution of times, timeline."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from edge_ser.profiling.report import ModelProfile, Outlier
from edge_ser.profiling.statistics import Spread
from edge_ser.reports import profile_format as text
from edge_ser.reports.html import Node, node
from edge_ser.reports.svg import WIDTH, Area, bar, dot, line, svg, text_at

_RIGHT = 16.0
_NAMES = 96.0
"""Width reserved for the names of stages."""


def waterfall(model: ModelProfile) -> Node:
    """Draw the stages one after the other, each as long as its mean; the means add up to the total."""
    rows = [(name, spread.mean_ms) for name, spread in model.stages.items()]
    area = Area(_NAMES, 6, WIDTH - _NAMES - _RIGHT - 40, 22.0 * len(rows))
    total = sum(mean for _, mean in rows) or 1.0
    top = _nice(total)
    marks, begin = _time_axis(area, top, "ms since the window's last sample"), 0.0
    for index, (name, mean) in enumerate(rows):
        y = area.top + 22 * index
        x, width = area.x(begin / top), max(1.0, area.width * mean / top)
        tooltip = f"{text.stage(name)}: {text.ms(mean)} ms, {100 * mean / total:.1f}% of the whole"
        marks.append(text_at(area.left - 8, y + 15, text.stage(name), anchor="end"))
        marks.append(bar(x, y + 3, width, 16, "bar", tooltip))
        marks.append(text_at(WIDTH - 2, y + 15, text.ms(mean), anchor="end"))
        begin += mean
    return svg(area.top + area.height + 36, "Stages of a decision, one after the other", marks)


def histogram(spread: Spread, name: str, *, small: bool = False) -> Node:
    """Draw the distribution of a time on a logarithmic scale, with p50 and p99."""
    bars = spread.histogram
    area = Area(10, 28, WIDTH - 10 - _RIGHT, 70 if small else 150)
    low = math.log10(max(bars[0].from_ms, 1e-6))
    high = math.log10(max(bars[-1].to_ms, 1e-6))
    high = max(high, low + 0.5)

    def x(value: float) -> float:
        return area.x(min(1.0, max(0.0, (math.log10(max(value, 1e-6)) - low) / (high - low))))

    most = max(one.n for one in bars)
    marks = []
    for one in bars:
        if one.n:
            left, right = x(one.from_ms), x(one.to_ms)
            # Square root, so that a single slow decision is visible beside a thousand fast ones.
            height = area.height * math.sqrt(one.n / most)
            tooltip = f"{text.ms(one.from_ms)} to {text.ms(one.to_ms)} ms: {one.n} of {spread.n}"
            width = max(1.0, right - left - 0.6)
            marks.append(bar(left, area.y(0) - height, width, height, "bar", tooltip))
    marks.append(line(area.left, area.y(0), area.x(1), area.y(0), "axis"))
    marks += _log_ticks(area, low, high)
    marks += _marked(area, x, spread)
    return svg(area.y(0) + 32, f"How often {name} took how long", marks)


def _marked(area: Area, x: Callable[[float], float], spread: Spread) -> list[Node]:
    """Mark p50 and p99, with their labels in separate rows above the bars."""
    marks = []
    for name, value, y in (("p50", spread.p50_ms, 10.0), ("p99", spread.p99_ms, 23.0)):
        if value is None:
            continue
        at = x(value)
        anchor = "end" if at > area.x(0.5) else None
        marks.append(line(at, y + 3, at, area.y(0), "mean"))
        marks.append(text_at(at, y, f"{name} {text.ms(value)} ms", anchor))
    return marks


def timeline(model: ModelProfile, slowest: Sequence[Outlier]) -> Node:
    """Draw each decision's computed time over the run, with the slowest highlighted."""
    area = Area(44, 8, WIDTH - 44 - _RIGHT, 180)
    end_s = max(1e-3, *(point.at_s for point in model.timeline))
    top = _nice(max(point.computed_ms for point in model.timeline))
    marks = _value_axis(area, top, "ms computed")
    marks += _seconds(area, end_s)
    slow = {outlier.at_s for outlier in slowest}
    # All small dots are one path: thousands of circles would make the page large.
    points_text = " ".join(
        f"M{area.x(p.at_s / end_s):.1f} {area.y(p.computed_ms / top):.1f}h0"
        for p in model.timeline
        if p.at_s not in slow
    )
    marks.append(node("path", d=points_text, class_="cloud c0"))
    p50 = area.y(model.computed.p50_ms / top)
    marks.append(line(area.left, p50, area.x(1), p50, "mean"))
    for point in model.timeline:
        if point.at_s in slow:
            tooltip = f"{text.ms(point.computed_ms)} ms at {point.at_s:.2f} s"
            position = area.x(point.at_s / end_s), area.y(point.computed_ms / top)
            marks.append(dot(*position, "dot c1", tooltip))
    return svg(area.y(0) + 34, "Decisions over the run", marks)


def curve(points: Sequence[tuple[float, float]], unit: str, title: str, *, zero: bool) -> Node:
    """Draw a value over the run, as pairs of seconds and value; `zero`: the axis begins at 0."""
    area = Area(52, 8, WIDTH - 52 - _RIGHT, 130)
    values = [value for _, value in points]
    low, high = (0.0, _nice(max(values))) if zero else _around(values)
    end_s = max(points[-1][0], 1e-3)
    marks = _value_axis(area, high, unit, low)
    marks += _seconds(area, end_s)
    points_text = " ".join(
        f"{area.x(max(0.0, at) / end_s):.1f},{area.y((value - low) / (high - low)):.1f}"
        for at, value in points
    )
    marks.append(node("polyline", points=points_text, class_="curve c0"))
    return svg(area.y(0) + 34, title, marks)


def comparison(models: Sequence[ModelProfile]) -> Node:
    """Draw each model's computed time: a bar to p50, a line to p99."""
    area = Area(10, 6, WIDTH - 10 - _RIGHT - 84, 40.0 * len(models))
    top = _nice(max(model.computed.p99_ms or model.computed.p50_ms for model in models))
    marks = _time_axis(area, top, "ms computed: bar to p50, line to p99")
    for index, model in enumerate(models):
        y = area.top + 40 * index
        p50, p99 = model.computed.p50_ms, model.computed.p99_ms
        marks.append(text_at(area.left, y + 14, model.name))
        tooltip = f"{model.name}: p50 {text.ms(p50)} ms, p99 {text.ms(p99)} ms"
        marks.append(bar(area.left, y + 20, area.width * p50 / top, 12, "bar", tooltip))
        if p99 is not None:
            marks.append(line(area.x(p50 / top), y + 26, area.x(p99 / top), y + 26, "whisker"))
        marks.append(text_at(WIDTH - 2, y + 30, f"{text.ms(p50)} – {text.ms(p99)}", anchor="end"))
    return svg(area.top + area.height + 36, "Models side by side", marks)


def _nice(value: float) -> float:
    """Return a round number that is at least a value."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return float(
        next(step * unit for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * unit >= value)
    )


def _around(values: Sequence[float]) -> tuple[float, float]:
    """Return bounds around values, at least 4 apart, so that noise is not magnified."""
    middle = (min(values) + max(values)) / 2
    half = max(2.0, (max(values) - min(values)) * 0.6)
    return max(0.0, math.floor(middle - half)), math.ceil(middle + half)


def _time_axis(area: Area, top: float, name: str) -> list[Node]:
    bottom = area.top + area.height
    marks = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        marks.append(line(area.x(tick), area.top, area.x(tick), bottom, "grid"))
        marks.append(text_at(area.x(tick), bottom + 14, f"{tick * top:.3g}", anchor="middle"))
    return [*marks, text_at(area.x(0.5), bottom + 29, name, anchor="middle")]


def _value_axis(area: Area, high: float, name: str, low: float = 0.0) -> list[Node]:
    marks = []
    for tick in (0.0, 0.5, 1.0):
        value = low + tick * (high - low)
        marks.append(line(area.left, area.y(tick), area.x(1), area.y(tick), "grid"))
        marks.append(text_at(area.left - 6, area.y(tick) + 4, f"{value:.4g}", anchor="end"))
    return [*marks, text_at(area.left + 4, area.top + 11, name)]


def _seconds(area: Area, end_s: float) -> list[Node]:
    y = area.y(0) + 14
    marks = [
        text_at(area.x(tick), y, f"{tick * end_s:.3g}", anchor="middle") for tick in (0.0, 0.5, 1.0)
    ]
    return [*marks, text_at(area.x(0.5), y + 15, "seconds of the run", anchor="middle")]


def _log_ticks(area: Area, low: float, high: float) -> list[Node]:
    marks = []
    steps = (1, 2, 5) if high - low < 2.5 else (1,)
    for decade in range(math.floor(low), math.ceil(high) + 1):
        for step in steps:
            at = decade + math.log10(step)
            if low - 1e-9 <= at <= high + 1e-9:
                x = area.x((at - low) / (high - low))
                value = f"{step * 10.0**decade:g}"
                marks.append(line(x, area.y(0), x, area.y(0) + 4, "axis"))
                marks.append(text_at(x, area.y(0) + 16, value, anchor="middle"))
    return [*marks, text_at(area.x(1), area.y(0) + 29, "ms", anchor="end")]
