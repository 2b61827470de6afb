"""Loop over a source, with its events and sinks, also in a thread or in asyncio."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from types import TracebackType
from typing import Protocol

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources.base import Source, SourceItem
from edge_ser.recognition.events import Event
from edge_ser.recognition.prediction import Float32
from edge_ser.recognition.streaming import StreamingRecognizer

OnEvent = Callable[[Event], object]
OpenEvents = Callable[[Callable[[], bool]], Generator[Event, None, None]]
"""Callback that returns the events of a source; its argument returns whether to stop, and is called
after each item."""

_WAITING_EVENTS = 1_000
_PATIENCE_S = 0.2


class EventSink(Protocol):
    """Consumer of events; see `sinks.base.BaseSink` for each method, and to derive from."""

    def __enter__(self) -> EventSink:
        """Open the sink."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the sink."""

    def start(self, source: Source) -> None:
        """Note that a source is open."""

    def audio(self, samples: Float32, sample_rate: int, at_s: float) -> None:
        """Receive audio before it is recognised."""

    def write(self, event: Event) -> None:
        """Receive an event."""

    def update(self, item: SourceItem, stream: StreamingRecognizer) -> None:
        """Note that an item of the source has been handled."""

    def stop(self) -> None:
        """Note that the source ends."""


def listen(
    source: Source,
    open_stream: Callable[[Source], StreamingRecognizer],
    sinks: Sequence[EventSink] = (),
    *,
    limit_s: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Yield the events of a source until it ends; each sink receives an event before it is yielded.

    Args:
        source: opened here, and closed at the end or with the generator.
        open_stream: returns the stream of an open source.
        sinks: open sinks, called in this order.
        limit_s: seconds of stream time after which to stop; None for no limit.
        stopped: returns whether to stop; called after each item of the source, at least once a second
            for a live one.

    Raises:
        AudioError: the source cannot be opened or read, or a clip has nothing to recognise.
    """
    with source:
        for sink in sinks:
            sink.start(source)
        try:
            stream = open_stream(source)
            reason = yield from _push_all(source, stream, sinks, limit_s, stopped)
            yield from _written(stream.finish(reason), sinks)
        finally:
            for sink in sinks:
                sink.stop()


def ends(source: Source) -> bool:
    """Return whether a source ends by itself; without an attribute `ends`, whether it is not live."""
    return bool(getattr(source, "ends", not source.live))


def gets_clip(source: Source, *, with_detector: bool) -> bool:
    """Return whether the stream of a source ends with a `clip` event.

    Recordings do, and live sources that end by themselves, such as a pipe, unless a voice detector
    cuts them into utterances.
    """
    return not source.live or (ends(source) and not with_detector)


class BackgroundListener:
    """Recognition in a thread, with a callback for each event. Use it as a context manager.

    Args:
        open_events: returns the events, given a function that says whether to stop.
        on_event: called with each event in the thread; an exception ends the thread.
        on_start: called first in the thread.
        on_end: called last in the thread, also after an error.
    """

    def __init__(
        self,
        open_events: OpenEvents,
        on_event: OnEvent,
        *,
        on_start: Callable[[], object] = lambda: None,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        self._on_event = on_event
        self._on_start = on_start
        self._on_end = on_end
        self._stop = threading.Event()
        self._events = open_events(self._stop.is_set)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="edge-ser", daemon=True)
        self._thread.start()

    def __enter__(self) -> BackgroundListener:
        """Return itself: the thread is running already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the thread; raise its error, unless another exception is in progress."""
        self.stop()
        if kind is None:
            self.wait()

    def stop(self) -> None:
        """Request the end of the thread; it ends within a second, after the event `end`."""
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the thread; return whether it has ended.

        Raises:
            EdgeSerError: the error that ended it, or any exception of the callback.
        """
        self._thread.join(timeout_s)
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._on_start()
            for event in self._events:
                self._on_event(event)
        except BaseException as error:  # noqa: BLE001 (raised again in `wait`)
            self._error = error
        finally:
            # Closing the generator closes the source, also when the callback failed.
            self._events.close()
            self._on_end()


async def listen_async(
    open_events: OpenEvents, on_start: Callable[[], object] = lambda: None
) -> AsyncIterator[Event]:
    """Yield events in asyncio; audio and inference run in a thread.

    The arguments are those of `BackgroundListener`. Leaving the loop or cancelling the task stops the
    thread. Up to 1000 events wait for a slow consumer; then the thread blocks, and a live source counts
    the audio that it drops as overruns.
    """
    import asyncio
    import concurrent.futures

    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Event | None] = asyncio.Queue(_WAITING_EVENTS)
    stopped = threading.Event()

    def put(event: Event | None) -> None:
        waiting = events.put(event)
        try:
            if stopped.is_set():
                raise RuntimeError("the consumer has stopped")
            done = asyncio.run_coroutine_threadsafe(waiting, loop)
        except RuntimeError:  # the loop is closed, or will be
            waiting.close()
            return
        while not stopped.is_set():
            with contextlib.suppress(TimeoutError, concurrent.futures.TimeoutError):
                done.result(_PATIENCE_S)
                return
        done.cancel()

    listener = BackgroundListener(open_events, put, on_start=on_start, on_end=lambda: put(None))
    try:
        while (event := await events.get()) is not None:
            yield event
        stopped.set()  # from here on the loop waits for the thread, and not the reverse
        listener.wait()
    finally:
        stopped.set()
        listener.stop()


def _push_all(
    source: Source,
    stream: StreamingRecognizer,
    sinks: Sequence[EventSink],
    limit_s: float | None,
    stopped: Callable[[], bool],
) -> Generator[Event, None, str]:
    """Yield the events of all items; return the reason of the end for `StreamingRecognizer.finish`."""
    for item in source:
        if isinstance(item, AudioChunk):
            for sink in sinks:
                sink.audio(item.samples, item.sample_rate, stream.at_s)
        yield from _written(stream.push(item), sinks)
        for sink in sinks:
            sink.update(item, stream)
        if stopped() or (limit_s is not None and stream.at_s >= limit_s):
            return "asked"
    return "source"


def _written(events: Sequence[Event], sinks: Sequence[EventSink]) -> Generator[Event, None, None]:
    for event in events:
        for sink in sinks:
            sink.write(event)
        yield event
