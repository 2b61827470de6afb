"""A stand-in for the package sounddevice: devices come and go, and audio comes when a test says so.

It keeps PortAudio's rules: the list of devices is as old as the last initialisation, and terminating
while a stream is open is an error here, as it would pull the stream away from under its callback.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np


class PortAudioError(Exception):
    """What sounddevice raises."""


@dataclass
class Device:
    """An input as the test wants it."""

    name: str
    rate: int = 16_000
    channels: int = 1
    refuses: str = ""
    """Why it cannot be opened, if so."""


@dataclass
class FakeSounddevice:
    """What `import sounddevice` gives; put it into `sys.modules`."""

    devices: list[Device]
    PortAudioError: type[Exception] = PortAudioError
    streams: list[FakeStream] = field(default_factory=list)
    """All that were ever opened."""
    opened: threading.Event = field(default_factory=threading.Event)
    _initialized: int = 0

    def __post_init__(self) -> None:
        self.default = SimpleNamespace(device=(-1, -1))
        self._initialize()

    def _initialize(self) -> None:
        self._initialized += 1
        self._listed = list(self.devices)

    def _terminate(self) -> None:
        assert all(stream.closed for stream in self.streams), "a stream is open"
        self._initialized -= 1

    def _exit_handler(self) -> None:
        raise AssertionError("it waits for ever")

    def query_hostapis(self, index: int | None = None) -> object:
        api = {"name": "ALSA", "default_input_device": 0 if self._listed else -1}
        return (api,) if index is None else api

    def query_devices(self) -> list[dict[str, object]]:
        return [
            {
                "index": index,
                "name": device.name,
                "hostapi": 0,
                "max_input_channels": device.channels,
                "default_samplerate": float(device.rate),
            }
            for index, device in enumerate(self._listed)
        ]

    def InputStream(self, *, device: int, **options: object) -> FakeStream:  # noqa: N802
        found = self._listed[device]
        if found not in self.devices:
            raise PortAudioError("Device unavailable")
        if found.refuses:
            raise PortAudioError(found.refuses)
        return FakeStream(self, found, **options)

    def next_stream(self) -> FakeStream:
        """Wait for the next stream that is opened."""
        assert self.opened.wait(20), "nothing was opened"
        self.opened.clear()
        return self.streams[-1]


class FakeStream:
    """An open stream."""

    def __init__(self, module: FakeSounddevice, device: Device, **options: object) -> None:
        self.device = device
        self.module = module
        self.channels = options["channels"]
        self.rate = options["samplerate"]
        self.closed = False
        self.hangs = threading.Event()
        self.hangs.set()
        self._callback = options["callback"]
        self._finished = options["finished_callback"]

    def start(self) -> None:
        self.module.streams.append(self)
        self.module.opened.set()

    def abort(self, ignore_errors: bool) -> None:  # noqa: ARG002 (as sounddevice has it)
        self.hangs.wait()
        self._finished()

    def close(self, ignore_errors: bool) -> None:  # noqa: ARG002
        self.closed = True

    def end(self) -> None:
        """End by itself, as when a device is unplugged."""
        self._finished()

    def deliver(
        self,
        samples: np.ndarray,
        overflow: bool = False,
        lag_s: float = 0.0,
    ) -> None:
        """Call the callback with [n_samples] or [n_samples, n_channels], captured `lag_s` ago."""
        assert not self.closed
        block = np.asarray(samples, dtype=np.float32).reshape(len(samples), -1)
        block = np.broadcast_to(block, (len(block), self.channels)).copy()
        now = time.time()
        stamps = SimpleNamespace(
            currentTime=now, inputBufferAdcTime=now - lag_s - len(block) / self.rate
        )
        self._callback(block, len(block), stamps, SimpleNamespace(input_overflow=overflow))
        block[:] = np.nan  # PortAudio uses its buffer again
