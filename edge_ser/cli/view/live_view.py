"""Live view of a stream: current state and last minute, redrawn in place."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live

from edge_ser.cli.view.base import Output
from edge_ser.cli.view.palette import BAD, QUIET
from edge_ser.cli.view.screen import draw
from edge_ser.cli.view.view_state import ViewState
from edge_ser.recognition.events import DeviceBack, DeviceLost, Event

_INTERVAL_S = 0.1
"""Minimum seconds between redraws; a redraw takes some milliseconds."""


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
