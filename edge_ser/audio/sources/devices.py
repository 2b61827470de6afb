"""The inputs that PortAudio offers, and how one is found again after it was away."""

from __future__ import annotations

import atexit
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edge_ser.errors import AudioError, MissingDependency

_ALSA_NUMBER = re.compile(r"\s*\((?:plug)?hw:\d+(,\d+)\)$")
"""ALSA's number of a card, which is another one when it is plugged in again."""

_lock = threading.RLock()
_n_streams = 0


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


@contextmanager
def portaudio() -> Iterator[Any]:
    """Hand out the module `sounddevice`, to one thread at a time: opening and closing is not safe.

    Raises:
        MissingDependency: PortAudio is not installed.
    """
    try:
        import sounddevice
    except OSError:
        raise MissingDependency(
            "the system library PortAudio", "run: sudo apt install libportaudio2"
        ) from None
    with _lock:
        yield sounddevice


def stream_opened() -> None:
    """Count an open stream: while there is one, PortAudio must not be started anew."""
    global _n_streams  # noqa: PLW0603 (PortAudio is one for the whole process)
    _n_streams += 1


def stream_closed() -> None:
    """Count a stream less."""
    global _n_streams  # noqa: PLW0603
    _n_streams -= 1


def leave_behind() -> None:
    """Let the process end although a stream cannot be closed: the audio server hangs."""
    import sounddevice

    # It would close all streams when the process ends, and wait for the server for ever.
    atexit.unregister(sounddevice._exit_handler)  # noqa: SLF001 (there is no public way)


def list_devices() -> tuple[InputDevice, ...]:
    """Return all inputs, in PortAudio's order.

    Raises:
        AudioError: PortAudio cannot list them.
        MissingDependency: PortAudio is not installed.
    """
    with portaudio() as sd:
        try:
            return _list(sd)
        except sd.PortAudioError as error:
            raise AudioError(
                f"PortAudio cannot list the microphones ({error}); check the audio server"
            ) from None


def _list(sd: Any) -> tuple[InputDevice, ...]:
    # PortAudio lists devices once, when it starts: look again for what was plugged in since. That
    # ends every open stream, so while there is one the list is as old as that stream.
    if _n_streams == 0:
        if sd._initialized:  # noqa: SLF001
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


def find_again(known: InputDevice) -> InputDevice:
    """Return the same input by its name, whatever its number has become.

    Raises:
        AudioError: it is not there, or several could be it.
    """
    devices = [d for d in list_devices() if d.host_api == known.host_api]
    found = [d for d in devices if d.name == known.name]
    if not found:
        lasting = _ALSA_NUMBER.sub(r"\1", known.name)
        found = [d for d in devices if _ALSA_NUMBER.sub(r"\1", d.name) == lasting]
    if len(found) != 1:
        raise AudioError(
            f"{len(found)} inputs are called {known.name!r}, one was wanted; plug it in again"
        )
    return found[0]
