"""Live views on a terminal: one of a stream, one of files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from edge_ser.cli.view import palette
from edge_ser.cli.view.base import Output
from edge_ser.cli.view.lines import NOT_SURE, file_line, no_result
from edge_ser.cli.view.palette import BAD, QUIET
from edge_ser.cli.view.screen import arousal_bar, class_bars, draw
from edge_ser.cli.view.view_state import ViewState
from edge_ser.recognition.events import Clip, DeviceBack, DeviceLost, Event, Started, Window
from edge_ser.recognition.prediction import likeliest

_INTERVAL_S = 0.1
"""Minimum seconds between redraws; a redraw takes some milliseconds."""


class ClipView(Output):
    """Output for files. The bars of windows are replaced, those of a clip stay.

    Args:
        console: a terminal.
        utterances: whether to print a line for each utterance, too.
    """

    def __init__(self, console: Console, *, utterances: bool = False) -> None:
        super().__init__(live=False)
        self._console = console
        self._utterances = utterances
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._labels: tuple[str, ...] = ()
        self._drawn_at = float("-inf")

    def __enter__(self) -> ClipView:
        """Start the live display."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the live display."""
        self._live.stop()

    def show(self, event: Event) -> None:
        """Show an event."""
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
        """Print above the bars, or on stderr if that is not this terminal."""
        if sys.stderr.isatty():
            self._console.print(
                f"edge-ser: {text}", style=palette.BAD, highlight=False, markup=False
            )
        else:
            super().problem(text)


def clip_bars(event: Clip | Window, labels: tuple[str, ...], width: int) -> Group:
    """Return the bars of a clip or of one of its windows, below its source and time."""
    head = Text(event.source, style="bold")
    if isinstance(event, Clip):
        head.append(f"  whole clip, {event.duration_s:.1f} s", style=palette.QUIET)
        caveat = NOT_SURE if event.abstained else ""
        head.append(f"  {no_result(event) if event.likeliest is None else caveat}".rstrip())
    else:
        head.append(f"  {event.start_s:.1f}-{event.end_s:.1f} s", style=palette.QUIET)
        head.append("  silence" if event.label is None else "")
    colours = palette.colours(labels or tuple(event.probs))
    bars = class_bars(event.probs, likeliest(event.probs), colours, min(width, 80))
    if event.arousal is not None:
        bars.append(arousal_bar(event.arousal, colours, min(width, 80)))
    level = Text(f"  level {event.level_dbfs:.0f} dB", style=palette.QUIET)
    if event.clipped > 0:
        level.append(f"  clipped {event.clipped:.1%}", style=palette.BAD)
    return Group(head, *bars, level)


class LiveView(Output):
    """Output for a stream. It draws only when a method is called, so it needs no thread.

    Args:
        console: a terminal.
        clock: the monotonic clock of the events.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(live=True)
        self._console = console
        self._clock = clock
        self._state = ViewState()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._size = console.size
        self._drawn_at = float("-inf")
        self.n_redraws = 0

    def __enter__(self) -> LiveView:
        """Start the live display."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the live display."""
        self._live.stop()
        super().__exit__(kind, value, traceback)

    def show(self, event: Event) -> None:
        """Show an event; a device loss is shown at once."""
        self._state.event(event)
        self._redraw(at_once=isinstance(event, (DeviceLost, DeviceBack)))

    def level(self, dbfs: float, voice: float | None, at_s: float | None = None) -> None:
        """Update the level meter and the voice indicator."""
        self._state.level(dbfs, voice, self._clock(), at_s)
        self._redraw()

    def tick(self) -> None:
        """Advance the clocks."""
        self._state.tick(self._clock())
        self._redraw()

    def note(self, text: str) -> None:
        """Print above the view."""
        self._print(text, QUIET)

    def problem(self, text: str) -> None:
        """Print above the view."""
        self._print(f"edge-ser: {text}", BAD)

    def _print(self, text: str, style: str) -> None:
        if sys.stderr.isatty():
            self._console.print(text, style=style, highlight=False, markup=False)
        elif text.startswith("edge-ser: "):
            super().problem(text.removeprefix("edge-ser: "))
        else:
            super().note(text)

    def _redraw(self, at_once: bool = False) -> None:
        now = self._clock()
        if not at_once and now - self._drawn_at < _INTERVAL_S:
            return
        self._drawn_at = now
        self.n_redraws += 1
        size = self._console.size
        if size != self._size:
            # Lines that the terminal has wrapped would remain on the screen.
            self._size = size
            self._live.stop()
            self._console.clear()
            self._live.start()
        self._live.update(Group(*draw(self._state, size.width, size.height, now)), refresh=True)
