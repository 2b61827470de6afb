"""Events as lines of JSON, for programs."""

from __future__ import annotations

from edge_ser.cli.outputs.base import Output, write_line
from edge_ser.runtime.events import Event, to_json


class JsonLines(Output):
    """One JSON object a line on stdout, flushed at once."""

    def show(self, event: Event) -> None:
        """Write an event."""
        write_line(to_json(event))
