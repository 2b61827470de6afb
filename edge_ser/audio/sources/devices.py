"""Input devices of PortAudio, and how one is found again after it was disconnected."""

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
"""ALSA's card number, which changes when a device is plugged in again."""

_lock = threading.RLock()
_n_streams = 0


@dataclass(frozen=True)
class InputDevice:
    """Input device of PortAudio."""

    index: int
    name: str
    host_api: str
    n_channels: int
    sample_rate: int
    """Default sample rate of the device, in Hz."""
    is_default: bool


@contextmanager
def portaudio() -> Iterator[Any]:
    """Yield the module `sounddevice` to one thread at a time: opening and closing is not thread-safe.

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
    """Count an open stream; PortAudio must not be restarted while one is open."""
    global _n_streams  # noqa: PLW0603 (PortAudio is one for the whole process)
    _n_streams += 1


def stream_closed() -> None:
    """Count a closed stream."""
    global _n_streams  # noqa: PLW0603
    _n_streams -= 1


def leave_behind() -> None:
    """Let the process end although a stream cannot be closed because the audio server hangs."""
    import sounddevice

    # The handler closes all streams at exit, and would wait for the server forever.
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
    # PortAudio lists devices once, at initialization: restart it to find new ones. A restart ends
    # every open stream, so the list is not refreshed while one is open.
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


def find_device(query: str | None) -> InputDevice:
    """Return the input with this index or partial name; None for the default one.

    Raises:
        AudioError: there is no input, or not exactly one matches.
    """
    devices = list_devices()
    if not devices:
        raise AudioError(
            "this machine has no microphone; plug one in, check `arecord -l`, or use --wav"
        )
    if query is None:
        return next((d for d in devices if d.is_default), devices[0])
    if query.isdecimal():
        matches = [d for d in devices if d.index == int(query)]
    else:
        matches = [d for d in devices if query.lower() in d.name.lower()]
        matches = [d for d in matches if d.name.lower() == query.lower()] or matches
    if len(matches) == 1:
        return matches[0]
    actual = "no input matches" if not matches else f"{len(matches)} inputs match"
    names = "; ".join(f"{d.index} {d.name}" for d in matches or devices)
    raise AudioError(f"{actual} --device {query!r}; choose one of: {names}")


def find_again(known: InputDevice) -> InputDevice:
    """Return the same input by its name; its index may have changed.

    Raises:
        AudioError: not exactly one input has this name.
    """
    devices = [d for d in list_devices() if d.host_api == known.host_api]
    matches = [d for d in devices if d.name == known.name]
    if not matches:
        stable_name = _ALSA_NUMBER.sub(r"\1", known.name)
        matches = [d for d in devices if _ALSA_NUMBER.sub(r"\1", d.name) == stable_name]
    if len(matches) != 1:
        raise AudioError(
            f"expected one input named {known.name!r}, got {len(matches)}; plug it in again"
        )
    return matches[0]
