"""Live audio through PortAudio, at the device's own rate and channel count."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from edge_ser.audio import Chunk, to_mono
from edge_ser.errors import AudioError, MissingDependency

BLOCK_S = 0.02
"""Seconds that PortAudio hands over at once."""

STALL_S = 3.0
"""A device that delivers nothing for so long is gone."""

BACKLOG_S = 30.0
"""Audio that may wait for recognition; what comes on top is dropped and counted."""

_VIRTUAL_CHANNELS = 8
"""PipeWire, PulseAudio and ALSA's plug devices claim 32 and more channels; no microphone has them."""


@dataclass(frozen=True)
class InputDevice:
    """An input that PortAudio offers."""

    index: int
    name: str
    host_api: str
    n_channels: int
    sample_rate: int
    """Hz, the device's own rate."""
    is_default: bool


def _portaudio() -> Any:
    try:
        import sounddevice
    except OSError:
        raise MissingDependency(
            "the system library PortAudio", "run: sudo apt install libportaudio2"
        ) from None
    return sounddevice


def list_devices() -> tuple[InputDevice, ...]:
    """Return all inputs, in PortAudio's order.

    Raises:
        MissingDependency: PortAudio is not installed.
    """
    sd = _portaudio()
    # PortAudio lists devices once, when it starts: look again for what was plugged in since.
    sd._terminate()  # noqa: SLF001 (there is no public way)
    sd._initialize()  # noqa: SLF001
    default = sd.default.device[0]
    if default < 0 and sd.query_hostapis():
        default = sd.query_hostapis(0)["default_input_device"]
    return tuple(
        InputDevice(
            index=device["index"],
            name=device["name"],
            host_api=sd.query_hostapis(device["hostapi"])["name"],
            n_channels=device["max_input_channels"],
            sample_rate=round(device["default_samplerate"]),
            is_default=device["index"] == default,
        )
        for device in sd.query_devices()
        if device["max_input_channels"] > 0
    )


def find_device(wanted: str | None) -> InputDevice:
    """Return the input with this index or part of a name; None for the default one.

    Raises:
        AudioError: no inputs at all, none that fits, or several that do.
    """
    devices = list_devices()
    if not devices:
        raise AudioError(
            "this machine offers no microphone; plug one in, check `arecord -l`, or use --wav"
        )
    if wanted is None:
        return next((d for d in devices if d.is_default), devices[0])
    if wanted.isdecimal():
        found = [d for d in devices if d.index == int(wanted)]
    else:
        found = [d for d in devices if wanted.lower() in d.name.lower()]
        found = [d for d in found if d.name.lower() == wanted.lower()] or found
    if len(found) == 1:
        return found[0]
    which = "no input fits" if not found else f"{len(found)} inputs fit"
    names = "; ".join(f"{d.index} {d.name}" for d in found or devices)
    raise AudioError(f"{which} --device {wanted!r}; there are: {names}")


class Microphone:
    """An open input: iterate over it for `Chunk`s, use it as a context manager.

    `overruns` counts how often the system lost audio before it was fetched, `dropped_s` the seconds
    that were thrown away because recognition lagged behind by more than BACKLOG_S.
    """

    def __init__(self, device: InputDevice, channel: int | None = None) -> None:
        self.device = device
        self.overruns = 0
        self.dropped_s = 0.0
        self._channel = channel
        self._queue: queue.Queue[np.ndarray[Any, np.dtype[np.float32]] | None] = queue.Queue(
            maxsize=int(BACKLOG_S / BLOCK_S)
        )
        self._stream: Any = None

    @property
    def n_channels(self) -> int:
        """Channels that the device was opened with."""
        return int(self._stream.channels)

    def __enter__(self) -> Microphone:
        """Open the device.

        Raises:
            AudioError: it is busy, gone, or refuses its own settings.
        """
        sd = _portaudio()
        native = self.device.n_channels if self.device.n_channels <= _VIRTUAL_CHANNELS else 2
        reasons = []
        for n_channels in dict.fromkeys((native, 2, 1)):
            try:
                self._stream = sd.InputStream(
                    device=self.device.index,
                    samplerate=self.device.sample_rate,
                    channels=n_channels,
                    dtype="float32",
                    blocksize=int(BLOCK_S * self.device.sample_rate),
                    callback=self._callback,
                    finished_callback=self._finished,
                )
                self._stream.start()
                return self
            except sd.PortAudioError as error:
                reasons.append(f"{n_channels} channel(s): {error}")
        raise AudioError(
            f"the microphone {self.device.name!r} cannot be opened at {self.device.sample_rate} Hz "
            f"({'; '.join(reasons)}); close what else uses it, or choose another with --device"
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the device; one that is already gone is let go."""
        if self._stream is not None:
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)

    def __iter__(self) -> Iterator[Chunk]:
        """Yield mono chunks as they come.

        Raises:
            AudioError: the device disappeared, or the channel does not exist.
        """
        while True:
            try:
                block = self._queue.get(timeout=STALL_S)
            except queue.Empty:
                block = None
            if block is None:
                raise AudioError(
                    f"the microphone {self.device.name!r} stopped delivering audio; plug it in "
                    "again, check the audio server, and start anew"
                )
            yield Chunk(to_mono(block, self._channel, self.device.name), self.device.sample_rate)

    def _callback(self, block: Any, frames: int, _time: Any, status: Any) -> None:
        """Run in PortAudio's thread: copy, count, never wait."""
        if status.input_overflow:
            self.overruns += 1
        if not self._put(block.copy()):
            self.dropped_s += frames / self.device.sample_rate

    def _finished(self) -> None:
        """Run in PortAudio's thread when the stream has ended, by us or by itself."""
        self._put(None)

    def _put(self, block: Any) -> bool:
        try:
            self._queue.put_nowait(block)
        except queue.Full:
            return False
        return True
