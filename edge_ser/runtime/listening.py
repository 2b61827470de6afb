"""Listening from a program: as an iterator, by callback from a thread, or in asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path
from types import TracebackType

from edge_ser.runtime.events import Event
from edge_ser.runtime.recognizer import Recognizer
from edge_ser.runtime.signals import Source
from edge_ser.runtime.sources import open_source
from edge_ser.runtime.streaming import StreamSettings
from edge_ser.runtime.vad import open_detector

OnEvent = Callable[[Event], object]

_WAITING_EVENTS = 1_000
_PATIENCE_S = 0.2


def listen(
    recognizer: Recognizer,
    source: Source | str | Path | None = None,
    *,
    vad: bool | None = None,
    settings: StreamSettings | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Yield the events of a source until it ends; see `Recognizer.listen`.

    `stopped` is asked after each signal of the source, which a live one sends at least once a second.
    """
    source = open_source(source)
    with source:
        cut = vad is None or vad
        stream = recognizer.open_stream(
            source.name,
            detector=open_detector() if cut else None,
            settings=settings or recognizer.stream_settings(live=source.live),
            clip=not source.live,
        )
        reason = "source"
        for signal in source:
            yield from stream.push(signal)
            if stopped():
                reason = "asked"
                break
    yield from stream.finish(reason)


class Listening:
    """Listening in a thread, which calls back with each event. Use it as a context manager, or `stop`.

    Args:
        recognizer: belongs to the thread until it has stopped.
        on_event: gets each event, in the thread; an exception of its own ends the listening.
        source, vad, settings: as for `Recognizer.listen`.
        on_end: is called last of all, in the thread, whatever ended it.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        on_event: OnEvent,
        source: Source | str | Path | None = None,
        *,
        vad: bool | None = None,
        settings: StreamSettings | None = None,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        self._recognizer = recognizer
        self._on_event = on_event
        self._on_end = on_end
        self._events = listen(
            recognizer, source, vad=vad, settings=settings, stopped=self._asked_to_stop
        )
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="edge-ser", daemon=True)
        self._thread.start()

    def __enter__(self) -> Listening:
        """Listen already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening; what went wrong in the thread is raised here, unless something else is."""
        self.stop()
        if kind is None:
            self.wait()

    def stop(self) -> None:
        """Ask the thread to end; it does within a second, and calls back with `end` first."""
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the thread has ended; return whether it has.

        Raises:
            EdgeSerError: what ended it, if that was an error; or whatever the callback raised.
        """
        self._thread.join(timeout_s)
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return not self._thread.is_alive()

    def _asked_to_stop(self) -> bool:
        return self._stop.is_set()

    def _run(self) -> None:
        try:
            self._recognizer.runner.take_over()
            for event in self._events:
                self._on_event(event)
        except BaseException as error:  # noqa: BLE001 (raised again in `wait`)
            self._error = error
        finally:
            # Closing the generator closes the source, also when the callback failed.
            self._events.close()
            self._on_end()


async def listen_async(
    recognizer: Recognizer,
    source: Source | str | Path | None = None,
    *,
    vad: bool | None = None,
    settings: StreamSettings | None = None,
) -> AsyncIterator[Event]:
    """Yield the events of a source in asyncio; audio and inference run in a thread of their own.

    Leaving the loop or cancelling the task stops the thread. Up to 1000 events wait for a slow
    consumer; then the thread waits too, and a live source counts what it loses as overruns.
    """
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Event | None] = asyncio.Queue(_WAITING_EVENTS)
    stopped = threading.Event()

    def put(event: Event | None) -> None:
        waiting = events.put(event)
        try:
            if stopped.is_set():
                raise RuntimeError("nobody listens any more")
            done = asyncio.run_coroutine_threadsafe(waiting, loop)
        except RuntimeError:  # the loop is closed, or will be
            waiting.close()
            return
        while not stopped.is_set():
            with contextlib.suppress(TimeoutError, concurrent.futures.TimeoutError):
                done.result(_PATIENCE_S)
                return
        done.cancel()

    listening = Listening(
        recognizer, put, source, vad=vad, settings=settings, on_end=lambda: put(None)
    )
    try:
        while (event := await events.get()) is not None:
            yield event
        stopped.set()  # the thread waits for this loop no more, which waits for the thread now
        listening.wait()
    finally:
        stopped.set()
        listening.stop()
