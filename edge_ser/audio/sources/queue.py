"""Where live audio waits for recognition: bounded, and a loss stands where it happened."""

from __future__ import annotations

import threading
import time
from collections import deque
from fractions import Fraction

from edge_ser.audio.io import AudioChunk, is_usable
from edge_ser.audio.sources.base import AudioLost, Idle, SourceItem
from edge_ser.errors import EdgeSerError

BACKLOG_S = 30.0
"""Audio that may wait for recognition; what comes on top is dropped and counted."""

TICK_S = 1.0
"""A listener hears something at least so often."""

REPEAT_S = 1.0
"""Losses that the device reports are told at most so often."""


class AudioQueue:
    """A queue of signals from the threads of a device to the one that listens.

    Whoever puts never waits. When the backlog is full, new audio is dropped until half of it was
    heard: one long gap spoils fewer windows than many short ones.
    """

    def __init__(self, backlog_s: float = BACKLOG_S) -> None:
        self.overruns = 0
        """How often the device said that it had lost audio."""
        self._backlog_s = backlog_s
        self._changed = threading.Condition()
        self._signals: deque[SourceItem] = deque()
        # Fractions, as a sum of 0.02 that goes on for weeks must not drift.
        self._waiting_s = Fraction(0)
        self._dropped_s = Fraction(0)
        self._untold_s = Fraction(0)
        self._drops = False
        self._device_lost = False
        self._told_s = -REPEAT_S
        self._ended = False
        self._error: EdgeSerError | None = None

    @property
    def dropped_s(self) -> float:
        """Seconds that were dropped because recognition lagged behind."""
        return float(self._dropped_s)

    def put_audio(self, chunk: AudioChunk, overrun: bool = False) -> None:
        """Take audio, or drop it.

        Args:
            chunk: what came; samples that are not finite count as lost.
            overrun: the device lost audio just before it.
        """
        with self._changed:
            sound = is_usable(chunk.samples)
            if overrun or not sound:
                self.overruns += 1
                self._device_lost = True
            seconds = Fraction(len(chunk.samples), chunk.sample_rate)
            self._drops = self._waiting_s + seconds > self._backlog_s or (
                self._drops and self._waiting_s > self._backlog_s / 2
            )
            if self._drops:
                self._dropped_s += seconds
                self._untold_s += seconds
                return
            self._tell_losses()
            if sound:
                self._signals.append(chunk)
                self._waiting_s += seconds
            self._changed.notify()

    def put(self, signal: SourceItem) -> None:
        """Take anything else; it is never dropped."""
        with self._changed:
            self._tell_losses(at_once=True)
            self._signals.append(signal)
            self._changed.notify()

    def end(self, error: EdgeSerError | None = None) -> None:
        """Say that nothing more comes, and why; what waits is still heard."""
        with self._changed:
            if not self._ended:
                self._tell_losses(at_once=True)
                self._ended, self._error = True, error
            self._changed.notify_all()

    def get(self) -> SourceItem | None:
        """Return the next signal, a `Idle` if there is none for TICK_S, None at the end.

        Raises:
            EdgeSerError: the error that it ended with.
        """
        with self._changed:
            if not self._signals:
                self._tell_losses()
            if not self._changed.wait_for(lambda: self._signals or self._ended, TICK_S):
                self._tell_losses()
            if self._signals:
                return self._take()
            if self._error is not None:
                raise self._error
            return None if self._ended else Idle()

    def _take(self) -> SourceItem:
        signal = self._signals.popleft()
        if isinstance(signal, AudioChunk):
            self._waiting_s -= Fraction(len(signal.samples), signal.sample_rate)
        return signal

    def _tell_losses(self, at_once: bool = False) -> None:
        """Put what is lost up to now before what comes next."""
        if self._untold_s:
            self._signals.append(AudioLost(float(self._untold_s), "backlog"))
            self._untold_s = Fraction(0)
        now = time.monotonic()
        if self._device_lost and (at_once or now - self._told_s >= REPEAT_S):
            self._signals.append(AudioLost(None, "device"))
            self._device_lost = False
            self._told_s = now
