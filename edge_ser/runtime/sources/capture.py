"""One open stream of PortAudio, and when its samples were captured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edge_ser.audio import Chunk, to_mono
from edge_ser.errors import AudioError
from edge_ser.runtime.sources.devices import (
    InputDevice,
    leave_behind,
    portaudio,
    stream_closed,
    stream_opened,
)
from edge_ser.runtime.sources.keep_open import Deliver

BLOCK_S = 0.02
"""Seconds that PortAudio hands over at once."""

CLOSE_S = 2.0
"""A stream that is not closed by then is left behind."""

LONGEST_LAG_S = 2.0
"""No sound card holds audio back for longer: time stamps that say so are wrong."""

_VIRTUAL_CHANNELS = 8
"""PipeWire, PulseAudio and ALSA's plug devices claim 32 and more channels; no microphone has them."""


class Capture:
    """An open device, which delivers mono chunks from PortAudio's thread until it is closed.

    Args:
        device: what to open, at its own rate and with its own channels.
        channel: the channel to take, None for the mean of all.
        deliver: where audio goes; must not wait.
        ended: called when the stream ends by itself.

    Raises:
        AudioError: it is busy, gone, refuses its own settings, or lacks the channel.
    """

    def __init__(
        self,
        device: InputDevice,
        channel: int | None,
        deliver: Deliver,
        ended: Callable[[str], None],
    ) -> None:
        self._device = device
        self._channel = channel
        self._deliver = deliver
        self._ended = ended
        self._is_closing = False
        native = device.n_channels if device.n_channels <= _VIRTUAL_CHANNELS else 2
        reasons = []
        with portaudio() as sd:
            for n_channels in dict.fromkeys((native, 2, 1)):
                try:
                    self._stream = self._start(sd, n_channels)
                    self.n_channels = n_channels
                    return
                except sd.PortAudioError as error:
                    reasons.append(f"{n_channels} channel(s): {error}")
        raise AudioError(
            f"the microphone {device.name!r} cannot be opened at {device.sample_rate} Hz "
            f"({'; '.join(reasons)}); close what else uses it, or choose another with --device"
        )

    def close(self) -> None:
        """Let the device go; errors of one that is gone do not matter.

        A stream that cannot be closed is left behind: libpulse, for one, may lock itself up for ever
        when its server crashes, and hangs as long as its server does. Another one can still be opened.
        """
        self._is_closing = True
        closing = threading.Thread(target=self._close_stream, daemon=True)
        with portaudio():
            closing.start()
            closing.join(CLOSE_S)
        if closing.is_alive():
            leave_behind()

    def _close_stream(self) -> None:
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)
        stream_closed()

    def _start(self, sd: Any, n_channels: int) -> Any:
        to_mono(np.empty((0, n_channels), np.float32), self._channel, self._device.name)
        stream = sd.InputStream(
            device=self._device.index,
            samplerate=self._device.sample_rate,
            channels=n_channels,
            dtype="float32",
            blocksize=int(BLOCK_S * self._device.sample_rate),
            callback=self._callback,
            finished_callback=self._finished,
        )
        try:
            stream.start()
        except BaseException:
            stream.close(ignore_errors=True)
            raise
        stream_opened()
        return stream

    def _finished(self) -> None:
        """Run in PortAudio's thread at the end of the stream."""
        if not self._is_closing:
            self._ended("the stream ended")

    def _callback(self, block: Any, frames: int, stamps: Any, status: Any) -> None:
        """Run in PortAudio's thread, which owns `block`: copy it, and never wait."""
        if self._is_closing:
            return
        now = time.monotonic()
        rate = self._device.sample_rate
        lag_s = held_back_s(stamps.inputBufferAdcTime, stamps.currentTime, frames / rate)
        samples = np.array(to_mono(block, self._channel, self._device.name))
        self._deliver(Chunk(samples, rate, now - lag_s), bool(status.input_overflow))


def held_back_s(first_sample_s: float, now_s: float, block_s: float) -> float:
    """Return how long ago a block's last sample was captured, in seconds.

    Only the difference of the two time stamps counts, as their clock differs by host API and may be
    the wall clock. Some host APIs leave them 0, and plug-ins may be off by the length of a buffer.

    Args:
        first_sample_s: when the first sample was captured; 0 if the host API does not know.
        now_s: when the callback was called, by the same clock.
        block_s: how long the block is.

    Returns:
        0 to LONGEST_LAG_S; 0 where the time stamps make no sense.
    """
    lag_s = now_s - first_sample_s - block_s
    return lag_s if first_sample_s > 0 and 0 <= lag_s <= LONGEST_LAG_S else 0.0
