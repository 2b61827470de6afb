"""Checks of the requirements of `edge-ser run --mic`."""

from __future__ import annotations

import importlib
import os
import re
from typing import TYPE_CHECKING

from edge_ser.doctor.check import MISSING, WARNING, Check, Examine, Probes
from edge_ser.doctor.files import speed_text
from edge_ser.doctor.quiet import quiet
from edge_ser.errors import AudioError, EdgeSerError, MissingDependency, ModelError
from edge_ser.vad.detectors import open_detector

if TYPE_CHECKING:
    from edge_ser.audio.sources.devices import InputDevice

_SHOWN = 3
"""Number of inputs that are listed; `edge-ser run --list-devices` lists all."""

_BOARD_INPUT = re.compile(r"tegra|\bAPE\b|XBAR-ADMAIF", re.IGNORECASE)
"""Inputs of a Jetson's audio processor: twenty, whether or not anything is wired to its pins."""


def portaudio(here: Probes) -> Check:  # noqa: ARG001
    """PortAudio, the system library for microphones."""
    try:
        with quiet():
            sounddevice = importlib.import_module("sounddevice")
        version = sounddevice.get_portaudio_version()[1].split(",")[0]
    except OSError:
        return Check("PortAudio", "not found", MISSING, "sudo apt install libportaudio2")
    except ImportError as error:
        again = "python -m pip install --force-reinstall sounddevice"
        return Check("PortAudio", f"sounddevice does not load: {error}", MISSING, again)
    return Check("PortAudio", version.removeprefix("PortAudio "))


def inputs(here: Probes) -> Check:
    """Microphones, and the one that is used."""
    try:
        devices = here.inputs
    except MissingDependency:
        return Check("microphones", "cannot be listed", MISSING, "see PortAudio")
    except AudioError as error:
        return Check(
            "microphones", str(error), MISSING, "restart the audio server, or this machine"
        )
    if not devices:
        return Check("microphones", "none", MISSING, _how_to_get_one(here))
    used = next((d for d in devices if d.is_default), devices[0])
    others = [d for d in devices if d is not used]
    listed = [f"{_description(used)} is taken", *(_description(d) for d in others[: _SHOWN - 1])]
    more = [f"{len(others) - _SHOWN + 1} more"] if len(others) >= _SHOWN else []
    found = "; ".join(listed + more)
    if not _BOARD_INPUT.search(used.name):
        return Check("microphones", found)
    wired = [d for d in others if not _BOARD_INPUT.search(d.name)]
    how = (
        f"edge-ser run --mic --device {wired[0].index}   ({wired[0].name})"
        if wired
        else "plug in a USB microphone, unless one is wired to the board's own pins"
    )
    return Check(
        "microphones", f"{found}; the board's own input is usually not wired", WARNING, how
    )


def audio_server(here: Probes) -> Check:
    """Audio server: PulseAudio, PipeWire, or ALSA alone."""
    audio = here.audio
    if audio.server:
        rate = f", {audio.sample_rate} Hz" if audio.sample_rate else ""
        return Check("audio server", f"{audio.server}{rate}")
    if audio.cards:
        return Check("audio server", f"none, ALSA alone: {'; '.join(audio.cards[:_SHOWN])}")
    return Check("audio server", "none, and no sound card", WARNING, "see microphones")


def permissions(here: Probes) -> Check | None:
    """Whether this user may open sound cards."""
    folder = here.root / "dev/snd"
    captures = sorted(folder.glob("pcmC*c")) if folder.is_dir() else []
    if not captures:
        return None
    closed = [path.name for path in captures if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        return Check(
            "sound cards",
            f"{', '.join(closed[:_SHOWN])} in /dev/snd may not be opened by this user",
            WARNING,
            "sudo usermod -aG audio $USER, then log in again",
        )
    return Check("sound cards", f"{len(captures)} inputs in /dev/snd, open to this user")


def voice_detector(here: Probes) -> Check:  # noqa: ARG001
    """Whether the voice detector, which live sources use by default, can be opened."""
    try:
        return Check("voice detector", open_detector().name)
    except ModelError as error:
        again = "python -m pip install --force-reinstall --no-deps edge-ser"
        how = f"{again}; or run without it: edge-ser run --mic --no-vad"
        return Check("voice detector", str(error), MISSING, how)


def keeps_up(here: Probes) -> Check | None:
    """Whether processing keeps up with a live stream: RTF of at most 1."""
    if not here.with_self_test:
        return None
    try:
        rtf = here.self_test.rtf
    except EdgeSerError as error:
        return Check("keeps up", str(error), MISSING)
    if rtf <= 1:
        return Check("keeps up", f"with a live stream, {1 / rtf:.0f} times as fast")
    return Check(
        "keeps up",
        f"no: {speed_text(here)}",
        MISSING,
        "end other programs, raise the power mode, or recognise less often: edge-ser run --mic --hop 1",
    )


def _description(device: InputDevice) -> str:
    return f"{device.name} ({device.n_channels} ch, {device.sample_rate} Hz)"


def _how_to_get_one(here: Probes) -> str:
    if here.audio.server:
        return "plug one in; if `pactl list short sources` has one: sudo apt install libasound2-plugins"
    if here.facts.container:
        return "pass the sound cards to the container: docker run --device /dev/snd"
    return "plug one in and check it with: arecord -l"


CHECKS: tuple[Examine, ...] = (
    portaudio,
    inputs,
    audio_server,
    permissions,
    keeps_up,
    voice_detector,
)
