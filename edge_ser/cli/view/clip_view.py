"""Files on a terminal: bars for each clip, and for the window that is heard meanwhile."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from edge_ser.cli.view import palette
from edge_ser.cli.view.base import Output
from edge_ser.cli.view.plain_lines import NOT_SURE, file_line, nothing
from edge_ser.cli.view.screen import arousal_bar, class_bars
from edge_ser.recognition.events import Clip, Event, Started, Window
from edge_ser.recognition.prediction import likeliest

_INTERVAL_S = 0.1


class ClipView(Output):
    """Shows files. Bars of windows come and go, those of a clip stay.

    Args:
        console: a terminal.
        utterances: whether a line of each utterance stays, too.
    """

    def __init__(self, console: Console, *, utterances: bool = False) -> None:
        super().__init__(live=False)
        self._console = console
        self._utterances = utterances
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._labels: tuple[str, ...] = ()
        self._drawn_at = float("-inf")

    def __enter__(self) -> ClipView:
        """Take over the lower part of the terminal."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the terminal back."""
        self._live.stop()

    def show(self, event: Event) -> None:
        """Take an event."""
        now = time.monotonic()
        if isinstance(event, Started):
            self._labels = event.labels
        elif isinstance(event, Clip):
            self._live.update("", refresh=True)
            self._console.print(clip_bars(event, self._labels, self._console.width))
        elif (line := file_line(event, self._utterances)) is not None:
            self._console.print(line, highlight=False, markup=False)
        elif isinstance(event, Window) and now - self._drawn_at >= _INTERVAL_S:
            self._drawn_at = now
            self._live.update(clip_bars(event, self._labels, self._console.width), refresh=True)

    def note(self, text: str) -> None:
        """Print above the bars."""
        self._console.print(text, style=palette.QUIET, highlight=False, markup=False)

    def problem(self, text: str) -> None:
        """Print above the bars, on stderr when that is not this terminal."""
        if sys.stderr.isatty():
            self._console.print(
                f"edge-ser: {text}", style=palette.BAD, highlight=False, markup=False
            )
        else:
            super().problem(text)


def clip_bars(heard: Clip | Window, labels: tuple[str, ...], width: int) -> Group:
    """Return the bars of a clip or of one of its windows, with where it is from."""
    head = Text(heard.source, style="bold")
    if isinstance(heard, Clip):
        head.append(f"  whole clip, {heard.duration_s:.1f} s", style=palette.QUIET)
        doubt = NOT_SURE if heard.abstained else ""
        head.append(f"  {nothing(heard) if heard.likeliest is None else doubt}".rstrip())
    else:
        head.append(f"  {heard.start_s:.1f}-{heard.end_s:.1f} s", style=palette.QUIET)
        head.append("  silence" if heard.label is None else "")
    colours = palette.colours(labels or tuple(heard.probs))
    bars = class_bars(heard.probs, likeliest(heard.probs), colours, min(width, 80))
    if heard.arousal is not None:
        bars.append(arousal_bar(heard.arousal, colours, min(width, 80)))
    level = Text(f"  level {heard.level_dbfs:.0f} dB", style=palette.QUIET)
    if heard.clipped > 0:
        level.append(f"  clipped {heard.clipped:.1%}", style=palette.BAD)
    return Group(head, *bars, level)
