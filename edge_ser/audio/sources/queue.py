"""Bounded queue of live audio; losses keep their position in the stream."""

from __future__ import annotations

import threading
import time
from collections import deque
from fractions import Fraction

from edge_ser.audio.io import AudioChunk, is_usable
from edge_ser.audio.sources.base import AudioLost, Idle, SourceItem
from edge_ser.errors import EdgeSerError

BACKLOG_S = 30.0
"""Seconds of audio that may wait for recognition; more is dropped and counted."""

TICK_S = 1.0
"""Longest time in seconds without an item; `Idle` is returned then."""

REPEAT_S = 1.0
"""Shortest time in seconds between two reports of losses by the device."""


class AudioQueue:
    """Queue of items from the threads of a device to the thread that recognizes.

    Putting never blocks. When the backlog is full, new audio is dropped until half of the backlog has
    been read: one long gap affects fewer windows than many short ones.
    """

    def __init__(self, backlog_s: float = BACKLOG_S) -> None:
        self.overruns = 0
        """Number of losses that the device reported."""
        self._backlog_s = backlog_s
        self._changed = threading.Condition()
        self._items: deque[SourceItem] = deque()
        # Fractions: a sum of 0.02 over weeks must not drift.
        self._waiting_s = Fraction(0)
        self._dropped_s = Fraction(0)
        self._unreported_s = Fraction(0)
        self._drops = False
        self._device_lost = False
        self._reported_s = -REPEAT_S
        self._ended = False
        self._error: EdgeSerError | None = None

    @property
    def dropped_s(self) -> float:
        """Seconds dropped because recognition lagged behind."""
        return float(self._dropped_s)

    def put_audio(self, chunk: AudioChunk, overrun: bool = False) -> None:
        """Add audio, or drop it if the backlog is full.

        Args:
            chunk: the audio; samples that are not finite count as lost.
            overrun: the device lost audio just before it.
        """
        with self._changed:
            usable = is_usable(chunk.samples)
            if overrun or not usable:
                self.overruns += 1
                self._device_lost = True
            seconds = Fraction(len(chunk.samples), chunk.sample_rate)
            self._drops = self._waiting_s + seconds > self._backlog_s or (
                self._drops and self._waiting_s > self._backlog_s / 2
            )
            if self._drops:
                self._dropped_s += seconds
                self._unreported_s += seconds
                return
            self._report_losses()
            if usable:
                self._items.append(chunk)
                self._waiting_s += seconds
            self._changed.notify()

    def put(self, item: SourceItem) -> None:
        """Add an item other than audio; it is never dropped."""
        with self._changed:
            self._report_losses(at_once=True)
            self._items.append(item)
            self._changed.notify()

    def end(self, error: EdgeSerError | None = None) -> None:
        """End the queue, with an error or without; waiting items can still be read."""
        with self._changed:
            if not self._ended:
                self._report_losses(at_once=True)
                self._ended, self._error = True, error
            self._changed.notify_all()

    def get(self) -> SourceItem | None:
        """Return the next item, `Idle` if none arrives within TICK_S, or None at the end.

        Raises:
            EdgeSerError: the error passed to `end`.
        """
        with self._changed:
            if not self._items:
                self._report_losses()
            if not self._changed.wait_for(lambda: self._items or self._ended, TICK_S):
                self._report_losses()
            if self._items:
                return self._take()
            if self._error is not None:
                raise self._error
            return None if self._ended else Idle()

    def _take(self) -> SourceItem:
        item = self._items.popleft()
        if isinstance(item, AudioChunk):
            self._waiting_s -= Fraction(len(item.samples), item.sample_rate)
        return item

    def _report_losses(self, at_once: bool = False) -> None:
        """Queue the losses so far, before the next item."""
        if self._unreported_s:
            self._items.append(AudioLost(float(self._unreported_s), "backlog"))
            self._unreported_s = Fraction(0)
        now = time.monotonic()
        if self._device_lost and (at_once or now - self._reported_s >= REPEAT_S):
            self._items.append(AudioLost(None, "device"))
            self._device_lost = False
            self._reported_s = now
