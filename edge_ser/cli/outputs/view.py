"""Draws the live view: pure, from a state and a size to lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from edge_ser.cli.outputs import palette
from edge_ser.cli.outputs.big_text import big
from edge_ser.cli.outputs.plain_lines import NOT_SURE
from edge_ser.cli.outputs.summary import quantile
from edge_ser.cli.outputs.timeline import CELL_S, SPAN_S
from edge_ser.cli.outputs.view_state import ViewState

WIDE = 120
"""Columns from which figures stand beside the bars and half seconds fit into the timeline."""
_ROOMY = 28
"""Rows from which letters may be five rows high."""
_FLOOR_DBFS, _LOUD_DBFS = -60.0, -6.0

Lines = list[Text]


def draw(state: ViewState, width: int, height: int, now_s: float) -> Lines:
    """Return the view as lines of at most `width` columns, and of `height` rows where that can be.

    Args:
        state: what to show.
        width: columns; made for 60 and more.
        height: rows; where there are few, empty lines go first, then the big letters, then the legend.
        now_s: the monotonic clock.
    """
    wide = width >= WIDE
    colours = palette.colours(state.labels)
    head = _head(state, wide)
    bars = class_bars(state.probs, _label(state), colours, width // 2 if wide else width)
    bars += [Text(), *_meters(state, width // 2 if wide else width, now_s)]
    figures = _figures(state)
    body = _beside(bars, figures, width // 2) if wide else bars
    strip, legend = _strip(state, colours, width), _legend(state, colours)
    alarm = _alarm(state, now_s)
    empty = [Text()]
    tail = [] if wide else [Text("  ", style=palette.QUIET).join(figures)]
    for enlarged, spaced, explained in ((True, True, True), (True, False, True), (False, False, True),
                                        (False, False, False)):  # fmt: skip
        gap = empty if spaced else []
        title = _title(state, colours, width, enlarged, wide and height >= _ROOMY)
        lines = [*head, *gap, *title, *gap, *(body if spaced else [x for x in body if x])]
        lines += [*gap, *strip, *(legend if explained else []), *gap, *tail, *alarm]
        if len(lines) < height:
            break
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
    return lines


def class_bars(
    probs: Mapping[str, float], top: str | None, colours: Mapping[str, str], width: int
) -> Lines:
    """Return a bar for each class; the `top` one is marked."""
    name_width = max((len(label) for label in colours), default=0)
    room = min(64, width - name_width - 9)
    lines = []
    for label, colour in colours.items():
        p = probs.get(label, 0.0)
        chosen = label == top
        full = bar(p, room)
        line = Text(
            f"{'>' if chosen else ' '} {label:>{name_width}} ", style="bold" if chosen else ""
        )
        line.append(full, style=colour)
        line.append("·" * (room - len(full)), style=palette.QUIET)
        line.append(f" {p:4.0%}")
        lines.append(line)
    return lines


def bar(share: float, room: int) -> str:
    """Return a bar in eighths of a character."""
    full, part = divmod(round(min(1.0, max(0.0, share)) * room * 8), 8)
    return "█" * full + ("▏▎▍▌▋▊▉"[part - 1] if part else "")


def _label(state: ViewState) -> str | None:
    return None if state.emotion is None else state.emotion.label


def _head(state: ViewState, wide: bool) -> Lines:
    first = Text.assemble((state.source or "starting", "bold"), "  heard ", _clock(state.heard_s))
    said = state.started
    if said is None:
        return [first]
    facts = (
        f"model {said.model}  runner {said.runner}  voice {said.vad}  "
        f"window {said.window_s:g} s every {said.hop_s:g} s"
    )
    if wide:
        return [first.append("  ").append(facts, style=palette.QUIET)]
    return [first, Text(facts, style=palette.QUIET)]


def _title(
    state: ViewState, colours: Mapping[str, str], width: int, enlarged: bool, twice: bool
) -> Lines:
    """Return what is heard now, in one word and as large as there is room."""
    text, style = _now(state, colours)
    if enlarged:
        for size in (True, False) if twice else (False,):
            if drawn := big(text, width - 2, size):
                return [Text(f"  {line}", style=style) for line in drawn]
    return [Text(f"  {text.upper()}", style=f"{style} bold")]


def _now(state: ViewState, colours: Mapping[str, str]) -> tuple[str, str]:
    if state.lost is not None:
        return "no device", palette.BAD
    if not state.speaking:
        return "silence", palette.QUIET
    if state.emotion is None:
        return "speech", ""
    label = state.emotion.label
    if label is None:
        return NOT_SURE, palette.QUIET
    return f"{label} {state.probs[label]:.0%}", colours[label]


def _meters(state: ViewState, width: int, now_s: float) -> Lines:
    room = min(64, width - 36)
    level, peak = (_share(db) for db in (state.level_dbfs, state.peak_dbfs(now_s)))
    full = bar(level, room)
    line = Text("  level ")
    line.append(full, style=palette.BAD if state.level_dbfs > _LOUD_DBFS else palette.GOOD)
    line.append("·" * (room - len(full)), style=palette.QUIET)
    if (place := min(room - 1, round(peak * room))) >= len(full) and peak > 0:
        line.plain = line.plain[: 8 + place] + "┃" + line.plain[9 + place :]
    line.append(f" {state.level_dbfs:4.0f} dB, peak {state.peak_dbfs(now_s):4.0f}")
    if state.clipped(now_s):
        line.append(" CLIPPED", style=f"bold {palette.BAD}")
    lamp = Text("  voice ")
    if state.speaking:
        lamp.append("● speech ", style=f"bold {palette.GOOD}")
    else:
        lamp.append("○ silence", style=palette.QUIET)
    if state.voice is not None:
        lamp.append(f" {state.voice:4.0%}")
    return [line, lamp]


def _share(dbfs: float) -> float:
    return 1 - min(1.0, max(0.0, dbfs / _FLOOR_DBFS))


def _strip(state: ViewState, colours: Mapping[str, str], width: int) -> Lines:
    """Return the last minute and its axis; on a narrow terminal the last part of the minute."""
    per_cell = 1 if width >= SPAN_S / CELL_S + 2 else 2
    n_cells = min(int(SPAN_S / CELL_S) // per_cell, width - 2)
    by_letter = {state.letters[label]: colour for label, colour in colours.items()}
    strip = Text("  ")
    for mark in state.timeline.strip(n_cells, per_cell):
        strip.append(mark, style=_mark_style(mark, by_letter))
    a_second = 1 / (CELL_S * per_cell)
    axis = [" "] * n_cells
    for before_s in range(60, 0, -15):
        place = n_cells - round(before_s * a_second)
        if place >= 0:
            axis[place : place + 5] = f"-{before_s} s"
    axis[-3:] = "now"
    return [strip, Text("  " + "".join(axis), style=palette.QUIET)]


def _mark_style(mark: str, by_letter: Mapping[str, str]) -> str:
    if mark in by_letter:
        return f"{palette.ON_COLOUR} on {by_letter[mark]}"
    return f"bold {palette.BAD}" if mark in "!x" else palette.QUIET


def _legend(state: ViewState, colours: Mapping[str, str]) -> Lines:
    emotions = Text("  ")
    for label, colour in colours.items():
        emotions.append(state.letters[label], style=f"{palette.ON_COLOUR} on {colour}")
        emotions.append(f" {label}  ")
    others = Text("  ")
    for mark, meaning in palette.MARKS.items():
        others.append(mark, style=_mark_style(mark, {}))
        others.append(f" {meaning}  ")
    return [emotions, others]


def _figures(state: ViewState) -> Lines:
    latency = "latency not known yet"
    if state.latency_ms:
        p50, p99 = (quantile(state.latency_ms, q) for q in (0.5, 0.99))
        latency = f"latency p50 {p50:.0f} ms, p99 {p99:.0f} ms"
    lost = f"lost {state.lost_s:.1f} s in {state.n_overruns} overruns"
    return [
        Text(f"  {latency}"),
        Text(lost, style=f"bold {palette.BAD}" if state.n_overruns else ""),
        Text(f"{state.n_utterances} utterances"),
    ]


def _alarm(state: ViewState, now_s: float) -> Lines:
    if state.lost is None:
        return []
    away = f"no device since {state.lost_since()} ({state.away_s(now_s):.0f} s)"
    return [Text(f"  {away}: {state.lost.reason}; waiting for it", style=f"bold {palette.BAD}")]


def _beside(left: Sequence[Text], right: Sequence[Text], place: int) -> Lines:
    lines = []
    for i, own in enumerate(left):
        line = own.copy()
        if i < len(right):
            line.append(" " * (place - line.cell_len)).append(right[i])
        lines.append(line)
    return lines


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
