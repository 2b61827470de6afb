"""Keep a live input open: notice when it is gone, open it again, and tell the listener."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources.base import Disconnected, Reconnected, SourceItem
from edge_ser.audio.sources.queue import BACKLOG_S, AudioQueue
from edge_ser.errors import AudioError, EdgeSerError

FIRST_DELAY_S, LONGEST_DELAY_S = 0.25, 5.0
"""Seconds between attempts to open it again: the first, and what doubling ends at."""

_CLOSE_S = 5.0
"""A driver that has not let go of a device by then is left behind."""


class Deliver(Protocol):
    """Where audio goes: from any thread, without waiting."""

    def __call__(self, chunk: AudioChunk, overrun: bool = False) -> None:
        """Take audio, and whether the device lost some just before it.

        What lacks `captured_s` counts as captured now.
        """


class InputStream(Protocol):
    """An input that is open: it calls `deliver` from a thread of its own."""

    def close(self) -> None:
        """Stop delivering, let the device go; also when it went by itself."""


OpenFeed = Callable[[Deliver, Callable[[str], None]], InputStream]
"""Opens the input, to be called with where audio goes, and what to call with a reason if it ends.

Raises:
    AudioError: it is not there, is busy, or refuses its own settings.
"""


class ReconnectingInput:
    """A live input, opened again whenever it goes away.

    A thread of its own opens and closes: drivers may hang in either, and the listener must not.

    Args:
        open_feed: opens the input.
        device: what to call it.
        stall_s: without audio for so long it is taken for gone.
        reopen: False to end with an `AudioError` instead.
        backlog_s: seconds of audio that may wait for the listener.
    """

    def __init__(
        self,
        open_feed: OpenFeed,
        *,
        device: Callable[[], str],
        stall_s: float,
        reopen: bool = True,
        backlog_s: float = BACKLOG_S,
    ) -> None:
        self.inbox = AudioQueue(backlog_s)
        self._open_feed = open_feed
        self._device = device
        self._stall_s = stall_s
        self._reopen = reopen
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._wake = threading.Event()
        self._reason = ""
        self._is_gone = False
        self._accepts = False
        self._opened_s = self._heard_s = self._away_from_s = 0.0

    def start(self, wait: bool = False) -> None:
        """Open it.

        Args:
            wait: start with `Disconnected` where it cannot be opened now, and try again; no effect
                without `reopen`.

        Raises:
            EdgeSerError: it cannot be opened, and is not waited for.
        """
        self._away_from_s = time.monotonic()
        feed: InputStream | None = None
        try:
            feed = self._open()
        except AudioError as error:
            if not (wait and self._reopen):
                raise
            self._tell_gone(str(error))
        self._thread = threading.Thread(target=self._run, args=(feed,), daemon=True)
        self._thread.start()

    def close(self) -> bool:
        """Close it and end the iteration, and return whether it let go within a few seconds."""
        self._closed.set()
        self._wake.set()
        self.inbox.end()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)
        return self._thread is None or not self._thread.is_alive()

    def signals(self) -> Iterator[SourceItem]:
        """Yield what comes until it is closed.

        Raises:
            EdgeSerError: it is gone and must not be opened again, or was never opened.
        """
        if self._thread is None:
            raise AudioError(f"{self._device()} is not open; use its source as a context manager")
        while not self._closed.is_set():
            signal = self.inbox.get()
            if signal is None:
                return
            yield signal

    def _run(self, feed: InputStream | None) -> None:
        try:
            self._keep(feed)
        except EdgeSerError as error:
            self.inbox.end(error)
        except BaseException as error:
            self.inbox.end(AudioError(f"{self._device()}: {error!r}; please report this"))
            raise

    def _keep(self, feed: InputStream | None) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            if feed is not None:
                reason = self._watch()
                if not self._closed.is_set():
                    self._tell_gone(reason)
                feed.close()
                if not self._reopen:
                    return
                if self._heard_s - self._opened_s > LONGEST_DELAY_S:
                    delay_s = FIRST_DELAY_S
            if self._closed.wait(delay_s):
                return
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)
            try:
                feed = self._open()
            except AudioError:
                feed = None

    def _open(self) -> InputStream:
        self._wake.clear()
        if self._closed.is_set():
            self._wake.set()
        self._opened_s = self._heard_s = time.monotonic()
        self._accepts = True
        return self._open_feed(self._deliver, self._ended)

    def _watch(self) -> str:
        """Wait until it ends, stalls or is closed, and return why."""
        while True:
            left_s = self._heard_s + self._stall_s - time.monotonic()
            if left_s <= 0:
                return f"no audio for {self._stall_s:g} s"
            if self._wake.wait(left_s):
                return self._reason

    def _tell_gone(self, reason: str) -> None:
        self._accepts = False
        if not self._reopen:
            self.inbox.end(
                AudioError(
                    f"{self._device()} stopped delivering audio ({reason}); plug it in again, "
                    "check the audio server or the network, and start anew"
                )
            )
        elif not self._is_gone:
            self._is_gone = True
            self.inbox.put(Disconnected(self._device(), reason))

    def _ended(self, reason: str) -> None:
        self._reason = reason
        self._wake.set()

    def _deliver(self, chunk: AudioChunk, overrun: bool = False) -> None:
        """Run in a thread of the device."""
        if not self._accepts:
            return
        now = time.monotonic()
        captured_s = now if chunk.captured_s is None else chunk.captured_s
        chunk = replace(chunk, captured_s=captured_s)
        if self._is_gone:
            began_s = captured_s - len(chunk.samples) / chunk.sample_rate
            self._is_gone = False
            self.inbox.put(Reconnected(self._device(), max(0.0, began_s - self._away_from_s)))
        self._away_from_s = captured_s
        self._heard_s = now
        self.inbox.put_audio(chunk, overrun)
