"""Base class of the outputs of `run`: sinks that show events on stdout and messages on stderr."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections import Counter, deque
from types import TracebackType
from typing import TYPE_CHECKING

import click

from edge_ser.audio.io import dbfs
from edge_ser.errors import OutputError
from edge_ser.recognition.event_log import quantile
from edge_ser.recognition.events import Ended, Event, Window
from edge_ser.sinks.base import BaseSink

if TYPE_CHECKING:
    from edge_ser.audio.sources.base import Source, SourceItem
    from edge_ser.recognition.streaming import StreamingRecognizer

_METER_S = 0.1
"""Seconds of audio between two level updates."""


class Output(BaseSink):
    """Sink that shows events. Use it as a context manager, from one thread.

    Args:
        live: whether the source is a stream; a summary is then printed on stderr at its end.
    """

    def __init__(self, live: bool) -> None:
        self._summary = _Summary() if live else None
        self._metered_s = 0.0

    def __enter__(self) -> Output:
        """Open the output."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the output and print the summary of a live session."""
        if self._summary is not None:
            for line in self._summary.lines():
                self.note(line)

    def start(self, source: Source) -> None:
        """Print the name of a live source."""
        self._metered_s = 0.0
        if self._summary is not None:
            self.note(f"listening to {source.name}; Ctrl-C ends")

    def write(self, event: Event) -> None:
        """Write an event.

        Raises:
            click.exceptions.Exit: with code 0, if the reader of stdout has closed it.
            OutputError: stdout cannot be written.
        """
        if self._summary is not None:
            self._summary.add(event)
        self.show(event)

    def show(self, event: Event) -> None:
        """Show an event; subclasses override this."""

    def update(self, item: SourceItem, stream: StreamingRecognizer) -> None:
        """Report the level of live audio every 0.1 s; call `tick` for items without audio."""
        if self._summary is None:
            return
        samples = getattr(item, "samples", None)
        if samples is None:
            self.tick()
        elif stream.at_s >= self._metered_s:
            self._metered_s = stream.at_s + _METER_S
            self.level(dbfs(samples), stream.voice, stream.at_s)

    def level(self, dbfs: float, voice: float | None, at_s: float | None = None) -> None:
        """Show the current level; called every 0.1 s of audio.

        Args:
            dbfs: RMS level in dB of full scale.
            voice: probability of speech in [0, 1], None without a voice detector.
            at_s: current stream time in seconds; None if unknown.
        """

    def tick(self) -> None:
        """Advance the time while no audio arrives, as during a device loss."""

    def note(self, text: str) -> None:
        """Print a message that is not a result."""
        _print_message(text)

    def problem(self, text: str) -> None:
        """Print an error that does not end the run."""
        _print_message(f"edge-ser: {text}")


class _Summary:
    """Summary of a live session: counts of labels and recent latencies, in bounded memory."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._compute_ms: deque[float] = deque(maxlen=10_000)
        self._latency_ms: deque[float] = deque(maxlen=10_000)
        self._ended: Ended | None = None

    def add(self, event: Event) -> None:
        """Add an event."""
        if isinstance(event, Ended):
            self._ended = event
        if isinstance(event, Window):
            self._counts[event.label or "(silence)"] += 1
            if event.label is not None:
                self._compute_ms.append(event.compute_ms)
                self._latency_ms.append(event.latency_ms)

    def lines(self) -> tuple[str, ...]:
        """Return the lines of the summary; empty if the session has no end event."""
        end = self._ended
        if end is None:
            return ()
        labels = ", ".join(f"{label} {n}" for label, n in self._counts.most_common())
        windows = f"{end.n_windows} windows: {labels or 'none'}"
        lines = [f"audio received: {end.heard_s:.1f} s, {windows}; {end.n_utterances} utterances"]
        if self._compute_ms:
            lines.append(
                f"features and inference per window: {_quantiles(self._compute_ms)}; from capture "
                f"to decision: {_quantiles(self._latency_ms)}; over the last "
                f"{len(self._compute_ms)} windows that were not silent"
            )
        lines.append(f"lost: {end.n_overruns} overruns, {end.lost_s:.2f} s dropped")
        return tuple(lines)


def _quantiles(values: deque[float]) -> str:
    return f"p50 {quantile(values, 0.5):.2f} ms, p99 {quantile(values, 0.99):.2f} ms"


def write_line(line: str) -> None:
    """Write a line to stdout, flushed at once.

    Raises:
        click.exceptions.Exit: with code 0, if the reader has closed stdout, as `| head` does.
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
            f"standard output cannot be written ({error.strerror}); free space, or redirect it elsewhere"
        ) from None


def _print_message(text: str) -> None:
    with contextlib.suppress(OSError):  # stderr was closed by its reader; results go on
        click.echo(text, err=True)


def _discard_stdout() -> None:
    """Redirect stdout to /dev/null: Python would write the rest of the buffer at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
