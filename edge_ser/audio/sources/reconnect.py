"""Live input that is reopened after a disconnection."""

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
"""Seconds between attempts to reopen an input: the first delay, and the limit of doubling."""

_CLOSE_S = 5.0
"""Seconds after which a driver that does not release its device is abandoned."""


class Deliver(Protocol):
    """Callback that takes audio: callable from any thread, never blocks."""

    def __call__(self, chunk: AudioChunk, overrun: bool = False) -> None:
        """Take audio; `overrun` states that the device lost some just before it.

        A chunk without `captured_s` counts as captured now.
        """


class InputStream(Protocol):
    """Open input, which calls `deliver` from its own thread."""

    def close(self) -> None:
        """Stop delivering and release the device, also after it has failed."""


OpenInput = Callable[[Deliver, Callable[[str], None]], InputStream]
"""Callback that opens the input, given a `Deliver` and a callback for the reason when the input ends.

Raises:
    AudioError: the input is missing, busy, or rejects its own settings.
"""


class ReconnectingInput:
    """Live input, reopened after each disconnection.

    A separate thread opens and closes it: drivers may hang in both, and the reader must not.

    Args:
        open_input: opens the input.
        device: returns the name in items and errors.
        stall_s: seconds without audio after which the input counts as disconnected.
        reopen: False to end with an `AudioError` on a disconnection.
        backlog_s: seconds of audio that may wait for recognition.
    """

    def __init__(
        self,
        open_input: OpenInput,
        *,
        device: Callable[[], str],
        stall_s: float,
        reopen: bool = True,
        backlog_s: float = BACKLOG_S,
    ) -> None:
        self.queue = AudioQueue(backlog_s)
        self._open_input = open_input
        self._device = device
        self._stall_s = stall_s
        self._reopen = reopen
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._wake = threading.Event()
        self._reason = ""
        self._is_disconnected = False
        self._accepts = False
        self._opened_s = self._received_s = self._away_from_s = 0.0

    def start(self, wait: bool = False) -> None:
        """Open the input.

        Args:
            wait: if it cannot be opened, start with `Disconnected` and keep trying; no effect without
                `reopen`.

        Raises:
            EdgeSerError: it cannot be opened, and `wait` does not apply.
        """
        self._away_from_s = time.monotonic()
        stream: InputStream | None = None
        try:
            stream = self._open()
        except AudioError as error:
            if not (wait and self._reopen):
                raise
            self._report_disconnected(str(error))
        self._thread = threading.Thread(target=self._run, args=(stream,), daemon=True)
        self._thread.start()

    def close(self) -> bool:
        """Close the input, end the iteration, and return whether the driver released it in time."""
        self._closed.set()
        self._wake.set()
        self.queue.end()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)
        return self._thread is None or not self._thread.is_alive()

    def items(self) -> Iterator[SourceItem]:
        """Yield items until the input is closed.

        Raises:
            EdgeSerError: it was never opened, or was disconnected without `reopen`.
        """
        if self._thread is None:
            raise AudioError(f"{self._device()} is not open; use its source as a context manager")
        while not self._closed.is_set():
            item = self.queue.get()
            if item is None:
                return
            yield item

    def _run(self, stream: InputStream | None) -> None:
        try:
            self._keep_open(stream)
        except EdgeSerError as error:
            self.queue.end(error)
        except BaseException as error:
            self.queue.end(AudioError(f"{self._device()}: {error!r}; please report this"))
            raise

    def _keep_open(self, stream: InputStream | None) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            if stream is not None:
                reason = self._watch()
                if not self._closed.is_set():
                    self._report_disconnected(reason)
                stream.close()
                if not self._reopen:
                    return
                if self._received_s - self._opened_s > LONGEST_DELAY_S:
                    delay_s = FIRST_DELAY_S
            if self._closed.wait(delay_s):
                return
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)
            try:
                stream = self._open()
            except AudioError:
                stream = None

    def _open(self) -> InputStream:
        self._wake.clear()
        if self._closed.is_set():
            self._wake.set()
        self._opened_s = self._received_s = time.monotonic()
        self._accepts = True
        return self._open_input(self._deliver, self._ended)

    def _watch(self) -> str:
        """Wait until the input ends, stalls or is closed, and return the reason."""
        while True:
            left_s = self._received_s + self._stall_s - time.monotonic()
            if left_s <= 0:
                return f"no audio for {self._stall_s:g} s"
            if self._wake.wait(left_s):
                return self._reason

    def _report_disconnected(self, reason: str) -> None:
        self._accepts = False
        if not self._reopen:
            self.queue.end(
                AudioError(
                    f"{self._device()} stopped delivering audio ({reason}); plug it in again, "
                    "check the audio server or the network, and start again"
                )
            )
        elif not self._is_disconnected:
            self._is_disconnected = True
            self.queue.put(Disconnected(self._device(), reason))

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
        if self._is_disconnected:
            began_s = captured_s - len(chunk.samples) / chunk.sample_rate
            self._is_disconnected = False
            self.queue.put(Reconnected(self._device(), max(0.0, began_s - self._away_from_s)))
        self._away_from_s = captured_s
        self._received_s = now
        self.queue.put_audio(chunk, overrun)
