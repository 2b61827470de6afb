"""Checks of microphones, audio servers and permissions."""

from __future__ import annotations

import os

import pytest
from machine_trees import Commands, write

from edge_ser.audio.sources.devices import InputDevice
from edge_ser.doctor import microphone
from edge_ser.doctor.check import (
    MISSING,
    OK,
    WARNING,
    parse_asound_cards,
    parse_pactl_info,
    read_audio,
)
from edge_ser.doctor.quiet import quiet
from edge_ser.errors import AudioError, MissingDependency
from edge_ser.vad.detectors import open_detector

PIPEWIRE = """\
Server String: /run/user/1000/pulse/native
Library Protocol Version: 34
Server Protocol Version: 34
Is Local: yes
Server Name: PulseAudio (on PipeWire 0.3.24)
Server Version: 14.0.0
Default Sample Specification: float32le 2ch 48000Hz
Default Channel Map: front-left,front-right
Default Sink: @DEFAULT_SINK@
"""
"""Recorded, a published log of `pactl info`."""

CARDS = """\
 0 [tegrahdaorinnx ]: tegra-hda - NVIDIA Jetson Orin NX HDA
                      NVIDIA Jetson Orin NX HDA at 0x3518000 irq 66
 1 [APE            ]: tegra-ape - NVIDIA Jetson Orin NX APE
                      Unknown-Unknown-Unknown
"""
"""Written after the kernel's format, with the names of an Orin NX."""

USB = InputDevice(24, "USB PnP Sound Device: Audio (hw:2,0)", "ALSA", 1, 44_100, is_default=False)
BOARD = InputDevice(4, "NVIDIA Jetson Orin NX APE: - (hw:1,0)", "ALSA", 16, 44_100, is_default=True)


@pytest.fixture
def devices(monkeypatch):
    """Return a function that decides what PortAudio offers."""

    def offer(*found: InputDevice) -> None:
        monkeypatch.setattr("edge_ser.audio.sources.devices.list_devices", lambda: found)

    return offer


def test_pipewire_as_recorded(make_here):
    assert parse_pactl_info(PIPEWIRE) == ("PulseAudio (on PipeWire 0.3.24)", 48_000)
    assert parse_pactl_info("Connection failure: Connection refused") == (None, None)
    check = microphone.audio_server(make_here(commands=Commands(pactl=PIPEWIRE)))
    assert (check.state, check.found) == (OK, "PulseAudio (on PipeWire 0.3.24), 48000 Hz")


@pytest.mark.parametrize(
    ("socket", "name"), [("pipewire-0", "PipeWire"), ("pulse/native", "PulseAudio")]
)
def test_servers_by_their_sockets_where_pactl_is_not_installed(tmp_path, monkeypatch, socket, name):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    write(tmp_path, {f"run/user/7/{socket}": ""})
    assert read_audio(tmp_path).server == name


def test_alsa_alone(make_here, tmp_path):
    assert parse_asound_cards(CARDS) == ("NVIDIA Jetson Orin NX HDA", "NVIDIA Jetson Orin NX APE")
    assert parse_asound_cards("--- no soundcards ---\n") == ()
    write(tmp_path, {"proc/asound/cards": CARDS})
    check = microphone.audio_server(make_here())
    assert check.state == OK
    assert check.found.startswith("none, ALSA alone: NVIDIA Jetson Orin NX HDA;")


def test_neither_server_nor_card(make_here):
    assert microphone.audio_server(make_here()).state == WARNING


def test_a_usb_microphone_is_named_with_its_rate(make_here, devices):
    devices(USB)
    check = microphone.inputs(make_here())
    assert (check.state, check.remedy) == (OK, "")
    assert check.found == "USB PnP Sound Device: Audio (hw:2,0) (1 ch, 44100 Hz) is taken"


def test_a_jetson_that_would_listen_to_its_unwired_pins(make_here, devices):
    devices(BOARD, USB)
    check = microphone.inputs(make_here())
    assert check.state == WARNING
    assert check.remedy.startswith("edge-ser run --mic --device 24 ")

    devices(BOARD)
    remedy = microphone.inputs(make_here()).remedy
    assert "USB" in remedy
    assert "--device" not in remedy


def test_many_inputs_are_counted(make_here, devices):
    more = [InputDevice(i, f"mic {i}", "ALSA", 2, 48_000, is_default=False) for i in range(5)]
    devices(USB, *more)
    assert microphone.inputs(make_here()).found.endswith("; mic 1 (2 ch, 48000 Hz); 3 more")


@pytest.mark.parametrize(
    ("pactl", "container", "remedy"),
    [
        (PIPEWIRE, None, "libasound2-plugins"),
        ("", "docker", "docker run --device /dev/snd"),
        ("", None, "arecord -l"),
    ],
)
def test_no_microphone_and_what_to_do(make_here, devices, pactl, container, remedy):
    devices()
    check = microphone.inputs(make_here(commands=Commands(pactl=pactl), container=container))
    assert (check.state, check.found) == (MISSING, "none")
    assert remedy in check.remedy


def test_without_portaudio(make_here, monkeypatch):
    def fails(name):
        raise OSError("PortAudio library not found")

    with monkeypatch.context() as patch:
        patch.setattr(microphone.importlib, "import_module", fails)
        check = microphone.portaudio(make_here())
    assert (check.state, check.remedy.split()[-1]) == (MISSING, "libportaudio2")

    def lists():
        raise MissingDependency(
            "the system library PortAudio", "run: sudo apt install libportaudio2"
        )

    monkeypatch.setattr("edge_ser.audio.sources.devices.list_devices", lists)
    assert microphone.inputs(make_here()).state == MISSING


def test_the_real_portaudio(make_here):
    pytest.importorskip("sounddevice", exc_type=OSError)
    check = microphone.portaudio(make_here())
    assert check.state == OK
    assert check.found.startswith("V19")


def test_permissions_of_sound_cards(make_here, tmp_path, monkeypatch):
    here = make_here()
    assert microphone.permissions(here) is None
    write(tmp_path, {"dev/snd/pcmC1D0c": "", "dev/snd/pcmC1D0p": "", "dev/snd/controlC1": ""})
    monkeypatch.setattr(microphone.os, "access", lambda *_: True)
    assert microphone.permissions(here).state == OK
    monkeypatch.setattr(microphone.os, "access", lambda *_: False)
    check = microphone.permissions(here)
    assert (check.state, "usermod -aG audio" in check.remedy) == (WARNING, True)
    assert check.found.startswith("pcmC1D0c in /dev/snd")


def test_the_voice_detector_that_live_sources_take(make_here):
    check = microphone.voice_detector(make_here())
    assert check.state == OK
    assert check.found == open_detector().name


def test_no_voice_detector_and_what_to_do(make_here, monkeypatch):
    monkeypatch.setattr("edge_ser.vad.detectors.NETWORK", "gone.onnx")
    check = microphone.voice_detector(make_here())
    assert (check.state, "gone.onnx" in check.found) == (MISSING, True)
    assert "pip install --force-reinstall" in check.remedy
    assert check.remedy.endswith("--no-vad")


def test_an_audio_server_that_hangs_is_reported(make_here, monkeypatch):
    def lists():
        raise AudioError("PortAudio cannot list the microphones (timed out)")

    monkeypatch.setattr("edge_ser.audio.sources.devices.list_devices", lists)
    check = microphone.inputs(make_here())
    assert (check.state, "timed out" in check.found) == (MISSING, True)


@pytest.mark.parametrize(("rtf", "state"), [(0.02, OK), (0.99, OK), (1.5, MISSING)])
def test_only_slower_than_time_itself_is_too_slow(make_here, with_result, rtf, state):
    with_result(rtf=rtf)
    check = microphone.keeps_up(make_here())
    assert check.state == state
    assert bool(check.remedy) == (state == MISSING)


def test_libraries_cannot_write_into_the_report(capfd):
    with quiet():
        os.write(2, b"ALSA lib confmisc.c:855:(parse_card) cannot find card '0'\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_stderr_comes_back_after_an_error(capfd):
    with pytest.raises(KeyError), quiet():
        raise KeyError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
