"""Events as lines of JSON, for programs."""

from __future__ import annotations

from edge_ser.cli.view.base import Output, write_line
from edge_ser.recognition.events import Event
from edge_ser.sinks import jsonl


class JsonLines(Output):
    """One JSON object a line on stdout, flushed at once."""

    def __init__(self, live: bool) -> None:
        super().__init__(live)
        self._lines = jsonl.JsonLines(write_line)

    def show(self, event: Event) -> None:
        """Write an event."""
        self._lines.write(event)
