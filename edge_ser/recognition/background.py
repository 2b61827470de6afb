"""Listening beside the program: by callback from a thread, or in asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType

from edge_ser.recognition.events import Event

OnEvent = Callable[[Event], object]
OpenEvents = Callable[[Callable[[], bool]], Generator[Event, None, None]]
"""Returns the events of a source; the argument says, after each item of the source, whether to stop."""

_WAITING_EVENTS = 1_000
_PATIENCE_S = 0.2


class BackgroundListener:
    """Listening in a thread, which calls back with each event. Use it as a context manager, or `stop`.

    Args:
        open_events: returns the events, given a function that says whether to stop.
        on_event: gets each event, in the thread; an exception of its own ends the listening.
        on_start: is called first of all, in the thread.
        on_end: is called last of all, in the thread, whatever ended it.
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
    """Yield events in asyncio; audio and inference run in a thread of their own.

    The arguments are those of `BackgroundListener`.

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

    listening = BackgroundListener(open_events, put, on_start=on_start, on_end=lambda: put(None))
    try:
        while (event := await events.get()) is not None:
            yield event
        stopped.set()  # the thread waits for this loop no more, which waits for the thread now
        listening.wait()
    finally:
        stopped.set()
        listening.stop()
