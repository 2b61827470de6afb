"""Base of the outputs of `run`: sinks that show events on stdout and messages on stderr."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING

import click

from edge_ser.audio.io import dbfs
from edge_ser.cli.view.summary import Summary
from edge_ser.errors import OutputError
from edge_ser.sinks.base import BaseSink

if TYPE_CHECKING:
    from edge_ser.audio.sources.base import Source, SourceItem
    from edge_ser.recognition.events import Event
    from edge_ser.recognition.streaming import StreamingRecognizer

_METER_S = 0.1
"""Seconds of audio between two levels."""


class Output(BaseSink):
    """Sink that shows events. Use it as a context manager, from one thread.

    Args:
        live: whether the source is a stream: then its end is summed up on stderr.
    """

    def __init__(self, live: bool) -> None:
        self._summary = Summary() if live else None
        self._metered_s = 0.0

    def __enter__(self) -> Output:
        """Start showing."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop showing, and say what a live session came to."""
        if self._summary is not None:
            for line in self._summary.lines():
                self.note(line)

    def start(self, source: Source) -> None:
        """Name a live source."""
        self._metered_s = 0.0
        if self._summary is not None:
            self.note(f"listening to {source.name}; Ctrl-C ends")

    def write(self, event: Event) -> None:
        """Take an event.

        Raises:
            click.exceptions.Exit: with code 0, when whoever read stdout has left.
            OutputError: stdout cannot be written.
        """
        if self._summary is not None:
            self._summary.add(event)
        self.show(event)

    def show(self, event: Event) -> None:
        """Show an event; subclasses override this."""

    def update(self, item: SourceItem, stream: StreamingRecognizer) -> None:
        """Pass on the level of live audio, some times a second, and the time while there is none."""
        if self._summary is None:
            return
        samples = getattr(item, "samples", None)
        if samples is None:
            self.tick()
        elif stream.at_s >= self._metered_s:
            self._metered_s = stream.at_s + _METER_S
            self.level(dbfs(samples), stream.voice, stream.at_s)

    def level(self, dbfs: float, voice: float | None, at_s: float | None = None) -> None:
        """Take the level of what is heard now; called some times a second.

        Args:
            dbfs: RMS level in dB of full scale.
            voice: probability of speech in [0, 1], None without a voice detector.
            at_s: stream time of what is heard now; None where the caller has none at hand.
        """

    def tick(self) -> None:
        """Let time pass while nothing comes, as when the microphone is away."""

    def note(self, text: str) -> None:
        """Say something that is no result."""
        _tell(text)

    def problem(self, text: str) -> None:
        """Say that something failed, and that it goes on."""
        _tell(f"edge-ser: {text}")


def write_line(line: str) -> None:
    """Write a line to stdout, flushed at once.

    Raises:
        click.exceptions.Exit: with code 0, when the reader has left, as `| head` does.
        OutputError: stdout cannot be written.
    """
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except OSError as error:
        _discard_stdout()
        if error.errno == errno.EPIPE:
            raise click.exceptions.Exit(0) from None
        raise OutputError(
            f"standard output cannot be written ({error.strerror}); make room, or write elsewhere"
        ) from None


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # whoever read stderr has left; the results go on
        click.echo(text, err=True)


def _discard_stdout() -> None:
    """Let what is still buffered go nowhere: Python would try to write it once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
