"""Sink that writes events as lines of JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_ser.recognition.events import to_json
from edge_ser.sinks.base import BaseSink

if TYPE_CHECKING:
    from edge_ser.recognition.events import Event


class JsonLines(BaseSink):
    """Write one JSON object per event.

    Args:
        write_line: called with each object as text without a line break.
    """

    def __init__(self, write_line: Callable[[str], object]) -> None:
        self._write_line = write_line

    def write(self, event: Event) -> None:
        """Write an event."""
        self._write_line(to_json(event))
