"""Charts of an evaluation as SVG. Colours come from the classes of `page.css`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_ser.evaluation.distribution import Distribution
from edge_ser.evaluation.figures import Figures
from edge_ser.evaluation.report import Block
from edge_ser.reports import format as text
from edge_ser.reports.html import Node, node
from edge_ser.reports.svg import WIDTH, Area, bar, dot, line, svg, text_at

_RIGHT = 16.0
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_N_COLOURS = 6


def recall_chart(figures: Figures) -> Node:
    """Draw recall (filled) and precision (hollow) of each class as dots on their 95% intervals."""
    rows = [(c.label, figures.recall.get(c.label), c.precision) for c in figures.calls]
    rows = [row for row in rows if row[1] or row[2]]
    area = Area(84, 6, WIDTH - 84 - _RIGHT - 44, 34.0 * len(rows))
    marks = [*_x_axis(area, "recall (filled) and precision (hollow)")]
    for index, (label, recall, precision) in enumerate(rows):
        y = area.top + 34 * (index + 0.5)
        marks.append(text_at(area.left - 8, y + 4, label, anchor="end"))
        for name, figure, level, kind in (
            ("recall", recall, y - 7, "dot c0"),
            ("precision", precision, y + 7, "dot hollow"),
        ):
            if figure is None:
                continue
            tooltip = (
                f"{label}, {name}: {text.percent(figure.value)} ({text.percent_interval(figure)})"
            )
            if figure.interval:
                low, high = figure.interval
                whisker = "whisker" if name == "recall" else "whisker c1"
                marks.append(line(area.x(low), level, area.x(high), level, whisker))
            marks.append(dot(area.x(figure.value), level, kind, tooltip))
            marks.append(text_at(WIDTH - 2, level + 4, text.percent(figure.value), anchor="end"))
    return svg(area.top + area.height + 36, "Recall and precision of each class", marks)


def reliability_chart(figures: Figures) -> Node:
    """Draw accuracy over confidence, as one bar for each bin, and below it the clips of each bin."""
    area = Area(44, 8, WIDTH - 44 - _RIGHT, 220)
    below = Area(area.left, 268, area.width, 40)
    most = max((b.n_clips for b in figures.reliability), default=1)
    marks = [*_y_axis(area, "accuracy")]
    for b in figures.reliability:
        tooltip = (
            f"probability {text.percent(b.low)} to {text.percent(b.high)}: {b.n_clips} clips, mean "
            f"{text.percent(b.confidence)}, right {text.percent(b.accuracy)}"
        )
        x, width = area.x(b.low) + 1, (b.high - b.low) * area.width - 2
        marks.append(bar(x, area.y(b.accuracy), width, area.height * b.accuracy, "bar", tooltip))
        marks.append(line(x, area.y(b.confidence), x + width, area.y(b.confidence), "mean"))
        height = below.height * b.n_clips / most
        marks.append(bar(x, below.y(0) - height, width, height, "bar quiet", tooltip))
    marks.append(line(area.x(0), area.y(0), area.x(1), area.y(1), "ideal"))
    marks.append(text_at(area.x(1), area.y(0) + 18, "probability of the answer", anchor="end"))
    marks.append(text_at(area.x(0), below.top - 8, f"clips (highest bar: {most})"))
    marks += [line(area.x(0), below.y(0), area.x(1), below.y(0), "axis")]
    marks += [
        text_at(area.x(tick), below.y(0) + 15, f"{100 * tick:g}%", anchor="middle")
        for tick in _TICKS
    ]
    return svg(below.y(0) + 22, "Reliability: accuracy over probability", marks)


def speakers_chart(block: Block, trained: frozenset[str]) -> Node:
    """Draw the accuracy of each speaker as a dot, one row for each corpus.

    Args:
        block: a block with a known speaker in at least one corpus.
        trained: speakers of the training, drawn hollow.
    """
    rows = [f for f in block.corpora if f.speakers]
    stacks = [_stacked([speaker.wa for speaker in f.speakers]) for f in rows]
    heights = [24.0 + 9 * max(stack, default=0) for stack in stacks]
    area = Area(84, 6, WIDTH - 84 - _RIGHT, sum(heights))
    marks, base = [*_x_axis(area, "accuracy (WA) of a speaker")], area.top
    for f, stack, height in zip(rows, stacks, heights, strict=True):
        base += height
        marks.append(text_at(area.left - 8, base - 8, f.of, anchor="end"))
        mean = area.x(f.wa.value)
        marks.append(line(mean, base - height + 2, mean, base - 2, "mean"))
        for speaker, level in zip(f.speakers, stack, strict=True):
            tooltip = f"{speaker.speaker}: {text.percent(speaker.wa)} of {speaker.n_clips} clips"
            kind = "dot hollow" if speaker.speaker in trained else "dot c0"
            marks.append(dot(area.x(speaker.wa), base - 12 - 9 * level, kind, tooltip))
    return svg(area.top + area.height + 36, "Accuracy of each speaker", marks)


def distribution_chart(distributions: Sequence[Distribution]) -> Node:
    """Draw the answers to each corpus as a stacked bar of shares that add up to 1."""
    area = Area(8, 8, WIDTH - 8 - _RIGHT, 44.0 * len(distributions))
    marks = []
    for index, d in enumerate(distributions):
        top = area.top + 44 * index
        marks.append(text_at(area.left, top + 10, f"{d.of} ({d.kind}), {d.n_clips} clips"))
        at = 0.0
        for name, n, kind in _parts(d):
            tooltip = f"{name}: {n} of {d.n_clips} clips ({text.share(n, d.n_clips)})"
            width = n / d.n_clips
            if n:
                marks.append(bar(area.x(at), top + 16, width * area.width, 16, kind, tooltip))
            at += width
    height = area.top + area.height + 6
    x = area.left
    for kind, name in (("hit", "expected"), ("quiet", "abstained"), ("none", "no answer"),
                       ("miss", "something else")):  # fmt: skip
        marks.append(bar(x, height - 6, 10, 10, f"bar {kind}", name))
        marks.append(text_at(x + 14, height + 3, name))
        x += 26 + 6.2 * len(name)
    return svg(height + 12, "How plain speech is answered", marks)


def _parts(d: Distribution) -> list[tuple[str, int, str]]:
    others = sorted(((n, x) for x, n in d.called.items() if x != d.expected), reverse=True)
    return [
        (d.expected, d.called.get(d.expected, 0), "bar hit"),
        ("abstained", d.n_abstained, "bar quiet"),
        ("no answer", sum(d.no_answer.values()), "bar none"),
        *((label, n, "bar miss") for n, label in others),
    ]


def noise_chart(block: Block, n_labels: int) -> Node:
    """Draw UAR over the signal-to-noise ratio: a line for each set of clips, with its intervals."""
    levels = ["no noise", *(text.decibels(level.snr_db) for level in block.noisy)]
    conditions = [block.figures, *(level.figures for level in block.noisy)]
    area = Area(44, 8, WIDTH - 44 - _RIGHT, 200)
    marks = [*_y_axis(area, "UAR")]

    def x(index: int) -> float:
        return area.x((index + 0.5) / len(levels))

    marks += [
        text_at(x(index), area.y(0) + 16, level, anchor="middle")
        for index, level in enumerate(levels)
    ]
    chance = 1 / n_labels
    marks.append(line(area.x(0), area.y(chance), area.x(1), area.y(chance), "ideal"))
    marks.append(text_at(area.x(1), area.y(chance) - 4, "chance", anchor="end"))
    marks += _noise_lines(conditions, x, area.y)
    height = area.y(0) + 28
    for index, f in enumerate(block.figures):
        marks.append(dot(area.left + 6, height + 4, f"dot c{index % _N_COLOURS}", f.of))
        marks.append(text_at(area.left + 16, height + 8, f.of))
        height += 18
    return svg(height, "UAR over the signal-to-noise ratio", marks)


def _noise_lines(
    conditions: Sequence[Sequence[Figures]],
    x: Callable[[int], float],
    y: Callable[[float], float],
) -> list[Node]:
    """Return lines and dots; the last set, which covers all clips, is on top."""
    marks = []
    for index in range(len(conditions[0])):
        figures = [sets[index].uar for sets in conditions]
        colour = f"c{index % _N_COLOURS}"
        shift = 7.0 * (index - (len(conditions[0]) - 1) / 2)
        points = " ".join(f"{x(i) + shift:.1f},{y(f.value):.1f}" for i, f in enumerate(figures))
        marks.append(node("polyline", points=points, class_=f"curve {colour}"))
        for i, f in enumerate(figures):
            name = conditions[i][index].of
            if f.interval:
                low, high = (y(bound) for bound in f.interval)
                marks.append(line(x(i) + shift, low, x(i) + shift, high, f"whisker {colour}"))
            tooltip = f"{name}: {text.percent(f.value)} ({text.percent_interval(f)})"
            marks.append(dot(x(i) + shift, y(f.value), f"dot {colour}", tooltip))
    return marks


def _stacked(values: Sequence[float]) -> list[int]:
    """Return the level of each dot such that close dots do not overlap."""
    taken: dict[int, int] = {}
    levels = []
    for value in values:
        column = round(value * 30)
        levels.append(taken.get(column, 0))
        taken[column] = levels[-1] + 1
    return levels


def _x_axis(area: Area, name: str) -> list[Node]:
    bottom = area.top + area.height
    marks = []
    for tick in _TICKS:
        marks.append(line(area.x(tick), area.top, area.x(tick), bottom, "grid"))
        marks.append(text_at(area.x(tick), bottom + 14, f"{100 * tick:g}%", anchor="middle"))
    return [*marks, text_at(area.x(0.5), bottom + 29, name, anchor="middle")]


def _y_axis(area: Area, name: str) -> list[Node]:
    marks = []
    for tick in _TICKS:
        marks.append(line(area.left, area.y(tick), area.x(1), area.y(tick), "grid"))
        marks.append(text_at(area.left - 6, area.y(tick) + 4, f"{100 * tick:g}%", anchor="end"))
    return [*marks, text_at(area.left + 4, area.top + 10, name)]
