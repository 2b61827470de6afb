"""Layout of the live view: lines of text from a state and a terminal size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest

from rich.text import Text

from edge_ser.cli.view import palette
from edge_ser.cli.view.lines import NOT_SURE
from edge_ser.cli.view.timeline import CELL_S, SPAN_S
from edge_ser.cli.view.view_state import ViewState
from edge_ser.recognition.event_log import quantile

_GLYPHS = {
    "A": "010 101 111 101 101",
    "B": "110 101 110 101 110",
    "C": "011 100 100 100 011",
    "D": "110 101 101 101 110",
    "E": "111 100 110 100 111",
    "F": "111 100 110 100 100",
    "G": "0111 1000 1011 1001 0111",
    "H": "101 101 111 101 101",
    "I": "1 1 1 1 1",
    "J": "001 001 001 101 010",
    "K": "1001 1010 1100 1010 1001",
    "L": "100 100 100 100 111",
    "M": "10001 11011 10101 10001 10001",
    "N": "1001 1101 1011 1001 1001",
    "O": "0110 1001 1001 1001 0110",
    "P": "110 101 110 100 100",
    "Q": "0110 1001 1001 1011 0111",
    "R": "110 101 110 101 101",
    "S": "011 100 010 001 110",
    "T": "111 010 010 010 010",
    "U": "101 101 101 101 111",
    "V": "101 101 101 101 010",
    "W": "10001 10001 10101 11011 10001",
    "X": "101 101 010 101 101",
    "Y": "101 101 010 010 010",
    "Z": "111 001 010 100 111",
    "0": "111 101 101 101 111",
    "1": "01 11 01 01 01",
    "2": "111 001 111 100 111",
    "3": "111 001 111 001 111",
    "4": "101 101 111 001 001",
    "5": "111 100 111 001 111",
    "6": "111 100 111 101 111",
    "7": "111 001 001 010 010",
    "8": "111 101 111 101 111",
    "9": "111 101 111 001 111",
    "%": "11001 11010 00100 01011 10011",
    " ": "0 0 0 0 0",
}

_HALVES = {("0", "0"): " ", ("1", "0"): "▀", ("0", "1"): "▄", ("1", "1"): "█"}


def big(text: str, width: int, twice: bool) -> list[str] | None:
    """Return the lines of a text in large letters: 3 with half blocks, or 5 if `twice` as large.

    None if a character is unknown or the text is wider than `width`.
    """
    if not set(text.upper()) <= _GLYPHS.keys():
        return None
    rows = ["0".join(row) for row in zip(*(_GLYPHS[c].split() for c in text.upper()), strict=True)]
    if twice:
        lines = ["".join("██" if pixel == "1" else "  " for pixel in row) for row in rows]
    else:
        padded = [*rows, "0" * len(rows[0])]
        pairs = zip(padded[::2], padded[1::2], strict=True)
        lines = ["".join(_HALVES[pair] for pair in zip(*two, strict=True)) for two in pairs]
    return None if len(lines[0]) > width else lines


WIDE = 120
"""Minimum columns for figures beside the bars and a timeline of half seconds."""
_ROOMY = 28
"""Minimum rows for letters of five rows."""
_FLOOR_DBFS, _LOUD_DBFS = -60.0, -6.0

_LAYOUTS = (
    (True, True, True),
    (True, False, True),
    (False, False, True),
    (False, False, False),
)
"""Large letters, empty lines and legend: whether each is shown, in the order of fewer rows."""

Lines = list[Text]


def draw(state: ViewState, width: int, height: int, now_s: float) -> Lines:
    """Return the view as lines of at most `width` columns, and of `height` rows if possible.

    Args:
        state: state to show.
        width: columns; designed for 60 or more.
        height: rows; if too few, empty lines are dropped first, then large letters, then the legend.
        now_s: monotonic clock in seconds.
    """
    wide = width >= WIDE
    half = width // 2 if wide else width
    colours = palette.colours(state.labels)
    bars = class_bars(state.probs, _label(state), colours, half)
    if state.has_arousal:
        bars.append(arousal_bar(state.arousal, state.labels, half))
    bars.append(Text())
    bars += _meters(state, half, now_s)
    figures, facts = _figures(state), _facts(state)
    body = _beside(bars, [*figures, Text(), *facts], half + 2) if wide else bars
    head = [_first_line(state, width), *([] if wide else _joined(facts))]
    tail = [] if wide else _joined([Text(), *figures])
    strip, legend = _strip(state, colours, width), _legend(state, colours, wide)
    alarm = _alarm(state, now_s)
    for enlarged, spaced, explained in _LAYOUTS:
        gap = [Text()] if spaced else []
        title = _title(state, colours, width, enlarged, wide and height >= _ROOMY)
        lines = [*head, *gap, *title, *alarm, *gap, *(body if spaced else [x for x in body if x])]
        lines += [*gap, *strip, *(legend if explained else []), *gap, *tail]
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
        style = "bold" if chosen else ""
        full = bar(p, room)
        line = Text().append(f"{'>' if chosen else ' '} {label:>{name_width}} ", style=style)
        line.append(full, style=colour)
        line.append("·" * (room - len(full)), style=palette.QUIET)
        line.append(f" {p:4.0%}", style=style)
        lines.append(line)
    return lines


def arousal_bar(arousal: float | None, labels: Iterable[str], width: int) -> Text:
    """Return a bar of the arousal, aligned with those of the classes; empty for None."""
    name_width = max((len(label) for label in labels), default=0)
    room = min(64, width - name_width - 9)
    full = bar(arousal or 0.0, room)
    line = Text(f"  {'arousal':>{name_width}} ", style=palette.QUIET)
    line.append(full).append("·" * (room - len(full)))
    return line.append("    -" if arousal is None else f" {arousal:.2f}")


def bar(share: float, room: int) -> str:
    """Return a bar in eighths of a character."""
    full, part = divmod(round(min(1.0, max(0.0, share)) * room * 8), 8)
    return "█" * full + ("▏▎▍▌▋▊▉"[part - 1] if part else "")


def _label(state: ViewState) -> str | None:
    return None if state.emotion is None else state.emotion.label


def _first_line(state: ViewState, width: int) -> Text:
    source = Text(state.source or "starting", style="bold")
    source.truncate(width - 20, overflow="ellipsis")
    return Text().append(source).append(f"  audio {_clock(state.received_s)}")


def _facts(state: ViewState) -> Lines:
    started = state.started
    if started is None:
        return []
    voice = started.vad.split(" (", maxsplit=1)[0]
    facts = (
        f"model {started.model}",
        f"runner {started.runner}",
        f"voice {voice}",
        f"window {started.window_s:g}/{started.hop_s:g} s",
    )
    return [Text(fact, style=palette.QUIET) for fact in facts]


def _joined(parts: Lines) -> Lines:
    return [Text("  ").join(parts)] if parts else []


def _title(
    state: ViewState, colours: Mapping[str, str], width: int, enlarged: bool, twice: bool
) -> Lines:
    """Return the current state in one word, as large as the width allows."""
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
    name_width = max(5, *(len(label) for label in state.labels)) if state.labels else 5
    room = min(64, width - name_width - 9) - 21
    peak_dbfs = state.peak_dbfs(now_s)
    full = bar(_share(state.level_dbfs), room)
    rest = "·" * (room - len(full))
    peak = min(room - 1, round(_share(peak_dbfs) * room)) - len(full)
    line = Text(f"  {'level':>{name_width}} ")
    line.append(full, style=palette.BAD if state.level_dbfs > _LOUD_DBFS else palette.GOOD)
    if peak >= 0 and _share(peak_dbfs) > 0:
        line.append(rest[:peak], style=palette.QUIET)
        line.append("┃").append(rest[peak + 1 :], style=palette.QUIET)
    else:
        line.append(rest, style=palette.QUIET)
    line.append(f" {state.level_dbfs:4.0f} dB, peak {peak_dbfs:4.0f}")
    if state.clipped(now_s):
        line.append(" CLIPPED", style=f"bold {palette.BAD}")
    indicator = Text(f"  {'voice':>{name_width}} ")
    if state.speaking:
        indicator.append("● speech ", style=f"bold {palette.GOOD}")
    else:
        indicator.append("○ silence", style=palette.QUIET)
    if state.voice is not None:
        indicator.append(f" {state.voice:4.0%}")
    return [line, indicator]


def _share(dbfs: float) -> float:
    return 1 - min(1.0, max(0.0, dbfs / _FLOOR_DBFS))


def _strip(state: ViewState, colours: Mapping[str, str], width: int) -> Lines:
    """Return the timeline of the last minute, or its last part on a narrow terminal, and its axis."""
    per_cell = 1 if width >= SPAN_S / CELL_S + 2 else 2
    n_cells = min(int(SPAN_S / CELL_S) // per_cell, width - 2)
    by_letter = {state.letters[label]: colour for label, colour in colours.items()}
    strip = Text("  ")
    for mark in state.timeline.strip(n_cells, per_cell):
        strip.append(mark, style=_mark_style(mark, by_letter))
    a_second = 1 / (CELL_S * per_cell)
    axis = [" "] * n_cells
    for before_s in range(60, 0, -15):
        column = n_cells - round(before_s * a_second)
        if column >= 0:
            axis[column : column + 5] = f"-{before_s} s"
    axis[-3:] = "now"
    return [strip, Text("  " + "".join(axis), style=palette.QUIET)]


def _mark_style(mark: str, by_letter: Mapping[str, str]) -> str:
    if mark in by_letter:
        return f"{palette.ON_COLOUR} on {by_letter[mark]}"
    return f"bold {palette.BAD}" if mark in "!x" else palette.QUIET


def _legend(state: ViewState, colours: Mapping[str, str], wide: bool) -> Lines:
    emotions, others = Text("  "), Text("  ")
    for label, colour in colours.items():
        emotions.append(state.letters[label], style=f"{palette.ON_COLOUR} on {colour}")
        emotions.append(f" {label}  ")
    for mark, meaning in palette.MARKS.items():
        others.append(mark, style=_mark_style(mark, {}))
        others.append(f" {meaning}  ")
    return [emotions.append(others[2:])] if wide else [emotions, others]


def _figures(state: ViewState) -> Lines:
    latency = "no latency yet"
    if state.latency_ms:
        p50, p99 = (quantile(state.latency_ms, q) for q in (0.5, 0.99))
        latency = f"latency p50 {p50:.0f}, p99 {p99:.0f} ms"
    lost = f"lost {state.lost_s:.1f} s (overruns {state.n_overruns})"
    return [
        Text(latency),
        Text(lost, style=f"bold {palette.BAD}" if state.n_overruns else ""),
        Text(f"utterances {state.n_utterances}"),
    ]


def _alarm(state: ViewState, now_s: float) -> Lines:
    if state.lost is None:
        return []
    away = f"  no device since {state.lost_since()} ({state.away_s(now_s):.0f} s), waiting for it"
    style = f"bold {palette.BAD}"
    return [Text(away, style=style), Text(f"  {state.lost.reason}", style=style)]


def _beside(left: Lines, right: Lines, column: int) -> Lines:
    lines = []
    for one, other in zip_longest(left, right, fillvalue=Text()):
        line = one.copy()
        if other:
            line.append(" " * (column - line.cell_len)).append(other)
        lines.append(line)
    return lines


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
