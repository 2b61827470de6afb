"""Microphone as a source: PortAudio at the device's own rate and channel count."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edge_ser.audio.io import AudioChunk, to_mono
from edge_ser.audio.sources.base import SourceItem
from edge_ser.audio.sources.devices import (
    InputDevice,
    find_again,
    find_device,
    leave_behind,
    portaudio,
    stream_closed,
    stream_opened,
)
from edge_ser.audio.sources.queue import BACKLOG_S
from edge_ser.audio.sources.reconnect import Deliver, ReconnectingInput
from edge_ser.errors import AudioError

BLOCK_S = 0.02
"""Seconds per block of PortAudio."""

CLOSE_S = 2.0
"""Seconds after which a stream that does not close is abandoned."""

LONGEST_LAG_S = 2.0
"""Longest plausible delay of a sound card, in seconds; larger ones are errors of its time stamps."""

_VIRTUAL_CHANNELS = 8
"""Device channels above which the count is not real: PipeWire, PulseAudio and ALSA's plug devices report
32 and more."""


class Capture:
    """Open device, which delivers mono chunks from PortAudio's thread until it is closed.

    Args:
        device: the device, opened at its own rate and channel count.
        channel: index of the channel; None for the mean of all.
        deliver: takes audio; must not block.
        ended: called when the stream ends by itself.

    Raises:
        AudioError: the device is busy, gone, rejects its own settings, or lacks the channel.
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
        errors = []
        with portaudio() as sd:
            for n_channels in dict.fromkeys((native, 2, 1)):
                try:
                    self._stream = self._start(sd, n_channels)
                    self.n_channels = n_channels
                    return
                except sd.PortAudioError as error:
                    errors.append(f"{n_channels} channel(s): {error}")
        raise AudioError(
            f"the microphone {device.name!r} cannot be opened at {device.sample_rate} Hz "
            f"({'; '.join(errors)}); close other programs that use it, or choose another with --device"
        )

    def close(self) -> None:
        """Release the device; errors of a disconnected one are ignored.

        A stream that cannot be closed is abandoned: libpulse, for example, may deadlock when its server
        crashes, and hangs while its server hangs. Another stream can still be opened.
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
        """Run in PortAudio's thread, which owns `block`: copy it, and never block."""
        if self._is_closing:
            return
        now = time.monotonic()
        rate = self._device.sample_rate
        lag_s = held_back_s(stamps.inputBufferAdcTime, stamps.currentTime, frames / rate)
        samples = np.array(to_mono(block, self._channel, self._device.name))
        self._deliver(AudioChunk(samples, rate, now - lag_s), bool(status.input_overflow))


def held_back_s(first_sample_s: float, now_s: float, block_s: float) -> float:
    """Return how long ago a block's last sample was captured, in seconds.

    Only the difference of the two time stamps is used: their clock depends on the host API and may be
    the wall clock. Some host APIs leave them 0, and plug-ins may be off by one buffer.

    Args:
        first_sample_s: capture time of the first sample; 0 if the host API does not report it.
        now_s: time of the callback, by the same clock.
        block_s: length of the block.

    Returns:
        0 to LONGEST_LAG_S; 0 if the time stamps are implausible.
    """
    lag_s = now_s - first_sample_s - block_s
    return lag_s if first_sample_s > 0 and 0 <= lag_s <= LONGEST_LAG_S else 0.0


STALL_S = 3.0
"""Seconds without audio after which a device counts as disconnected."""


class MicrophoneSource:
    """Microphone as a `Source`, reopened after a disconnection.

    Args:
        wanted: index of the device, or part of its name; None for the default one.
        channel: index of the channel; None for the mean of all.
        reopen: False to end with an `AudioError` on a disconnection.
        wait_for_device: start with `Disconnected` if the device is missing or busy, for a service that
            starts before the audio server. By default this is an error, so that a wrong name does not
            wait forever.
        stall_s: seconds without audio after which it counts as disconnected.
        backlog_s: seconds of audio that may wait for recognition.
    """

    def __init__(
        self,
        wanted: str | None = None,
        channel: int | None = None,
        *,
        reopen: bool = True,
        wait_for_device: bool = False,
        stall_s: float = STALL_S,
        backlog_s: float = BACKLOG_S,
    ) -> None:
        self._wanted = wanted
        self._channel = channel
        self._wait = wait_for_device
        self._device: InputDevice | None = None
        self._n_channels = 0
        self._input = ReconnectingInput(
            self._open,
            device=lambda: self._device.name if self._device else wanted or "default",
            stall_s=stall_s,
            reopen=reopen,
            backlog_s=backlog_s,
        )

    @property
    def name(self) -> str:
        """`mic:` and the device's name; before it is first opened, the requested name."""
        return f"mic:{self._device.name if self._device else self._wanted or 'default'}"

    @property
    def live(self) -> bool:
        """Return True."""
        return True

    @property
    def ends(self) -> bool:
        """Return False."""
        return False

    @property
    def device(self) -> InputDevice | None:
        """Device as last opened; None if never opened."""
        return self._device

    @property
    def n_channels(self) -> int:
        """Channel count as last opened; 0 if never opened."""
        return self._n_channels

    @property
    def overruns(self) -> int:
        """Number of times that the system lost audio before it was read."""
        return self._input.queue.overruns

    @property
    def dropped_s(self) -> float:
        """Seconds dropped because recognition lagged behind."""
        return self._input.queue.dropped_s

    def __enter__(self) -> MicrophoneSource:
        """Open the device.

        Raises:
            AudioError: it does not exist, is busy, or rejects its own settings.
            MissingDependency: PortAudio is not installed.
        """
        self._input.start(self._wait)
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the device; one that is disconnected is released."""
        if not self._input.close():
            leave_behind()

    def __iter__(self) -> Iterator[SourceItem]:
        """Yield mono chunks as they arrive, losses and disconnections.

        Raises:
            AudioError: the device was disconnected, and `reopen` is False.
        """
        return self._input.items()

    def _open(self, deliver: Deliver, ended: Callable[[str], None]) -> Capture:
        """Open the previous device by name: indices shift when a device is plugged in."""
        self._device = find_again(self._device) if self._device else find_device(self._wanted)
        capture = Capture(self._device, self._channel, deliver, ended)
        self._n_channels = capture.n_channels
        return capture
