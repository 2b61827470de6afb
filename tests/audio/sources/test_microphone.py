"""Microphones that overrun, stall, vanish and come back: on a fake PortAudio, step by step."""

from __future__ import annotations

import atexit
import sys
import threading
import time

import numpy as np
import pytest
from fake_sounddevice import Device, FakeSounddevice, FakeStream

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources import MicrophoneSource, microphone, reconnect
from edge_ser.audio.sources.base import AudioLost, Disconnected, Idle, Reconnected, SourceItem
from edge_ser.audio.sources.devices import list_devices
from edge_ser.audio.sources.microphone import LONGEST_LAG_S, held_back_s
from edge_ser.errors import AudioError

USB = "USB Audio: - (hw:1,0)"


@pytest.fixture
def sd(monkeypatch) -> FakeSounddevice:
    """A machine with a built-in input and a USB microphone."""
    fake = FakeSounddevice([Device("Built-in: ALC (hw:0,0)", 48_000, 2), Device(USB, 16_000)])
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(reconnect, "FIRST_DELAY_S", 0.01)
    return fake


def ramp(n_samples: int) -> np.ndarray:
    return np.linspace(0, 0.5, n_samples, dtype=np.float32)


def next_but_ticks(items) -> SourceItem:
    return next(item for item in items if item != Idle())


def lose(stream: FakeStream, items) -> Disconnected:
    stream.module.opened.clear()
    stream.end()
    return next_but_ticks(items)


@pytest.mark.parametrize(
    ("channel", "expected"), [(None, [0.0, 0.25]), (0, [0.0, 0.5]), (1, [0.0, 0.0])]
)
def test_the_default_device_at_its_own_rate_and_channels(sd, channel, expected):
    with MicrophoneSource(channel=channel) as source:
        sd.streams[0].deliver(np.array([[0, 0], [0.5, 0]]))
        chunk = next(iter(source))

        assert (source.name, source.live) == ("mic:Built-in: ALC (hw:0,0)", True)
        assert (source.device.sample_rate, source.n_channels) == (48_000, 2)
    assert (chunk.sample_rate, chunk.samples.dtype) == (48_000, np.float32)
    np.testing.assert_array_equal(chunk.samples, np.float32(expected))
    assert sd.streams[0].closed


def test_a_chunk_knows_when_it_was_captured(sd):
    with MicrophoneSource("USB") as source:
        earliest = time.monotonic()
        sd.streams[0].deliver(ramp(320), lag_s=0.25)
        latest = time.monotonic()
        chunk = next(iter(source))

    assert earliest - 0.25 <= chunk.captured_s + 1e-3
    assert chunk.captured_s - 1e-3 <= latest - 0.25


@pytest.mark.parametrize(
    ("first_s", "now_s", "lag_s"),
    [
        (100.00, 100.07, 0.05),
        (1.7e9, 1.7e9 + 0.07, 0.05),
        (100.00, 100.02, 0.0),
        (0.0, 100.0, 0.0),  # the host API does not know
        (0.0, 0.0, 0.0),
        (100.0, 100.01, 0.0),  # the last sample would be captured in the future
        (100.0, 99.0, 0.0),
        (100.0, 100.02 + LONGEST_LAG_S + 0.1, 0.0),  # absurdly old
        (float("nan"), 100.0, 0.0),
    ],
)
def test_time_stamps_that_make_no_sense_are_not_believed(first_s, now_s, lag_s):
    assert held_back_s(first_s, now_s, 0.02) == pytest.approx(lag_s, abs=1e-6)


def test_an_overrun_stands_before_what_follows_it(sd):
    with MicrophoneSource("USB") as source:
        (stream,) = sd.streams
        stream.deliver(ramp(320))
        stream.deliver(ramp(320), overflow=True)
        stream.deliver(ramp(320), overflow=True)
        items = iter(source)
        kinds = [type(next(items)) for _ in range(4)]
        assert next(items) == AudioLost(None, "device"), "the second, a second later"

    assert kinds == [AudioChunk, AudioLost, AudioChunk, AudioChunk]
    assert source.overruns == 2


def test_a_storm_of_callbacks_meets_a_listener_that_sleeps(sd):
    """Of twenty seconds one may wait: no callback waits, and each sample is accounted for."""
    with MicrophoneSource("USB", backlog_s=1.0) as source:
        (stream,) = sd.streams
        items = iter(source)
        blocks = np.arange(16_000 * 20, dtype=np.float32).reshape(-1, 320) / 2**20
        storm = threading.Thread(target=lambda: [stream.deliver(block) for block in blocks])
        storm.start()
        storm.join(20)
        assert not storm.is_alive()
        stream.deliver(ramp(320))
        received = [next(items) for _ in range(51)]

    assert [type(item) for item in received] == [AudioChunk] * 50 + [AudioLost]
    np.testing.assert_array_equal(
        np.concatenate([chunk.samples for chunk in received[:50]]), blocks[:50].ravel()
    )
    assert received[50] == AudioLost(19.02, "backlog")
    assert source.dropped_s == 19.02


def test_a_stalled_device_is_gone_and_comes_back(sd):
    with MicrophoneSource("USB", stall_s=0.3) as source:
        items = iter(source)
        first = sd.next_stream()
        first.deliver(ramp(320))
        received = next(items)
        gone = next_but_ticks(items)
        second = sd.next_stream()
        second.deliver(ramp(320))
        back, chunk = next_but_ticks(items), next(items)

    assert isinstance(gone, Disconnected)
    assert gone.device == USB
    assert "0.3 s" in gone.reason
    assert first.closed, "it must be let go before it can be opened again"
    assert back == Reconnected(USB, pytest.approx(chunk.captured_s - 0.02 - received.captured_s))
    assert back.away_s >= 0.28


def test_a_device_that_ends_is_reported_once_however_often_opening_fails(sd):
    usb = sd.devices[1]
    with MicrophoneSource("USB") as source:
        items = iter(source)
        stream = sd.next_stream()
        usb.refuses = "Device or resource busy"
        gone = lose(stream, items)
        waited = [next(items), next(items)]
        usb.refuses = ""
        sd.next_stream().deliver(ramp(320))
        back = next_but_ticks(items)

    assert isinstance(gone, Disconnected)
    assert gone.device == USB
    assert "ended" in gone.reason
    assert waited == [Idle(), Idle()], "the listener can say that it is alive"
    assert isinstance(back, Reconnected)


def test_it_is_found_again_by_its_name(sd):
    """Another device took its number, and ALSA gave its card another one."""
    with MicrophoneSource("1") as source:
        items = iter(source)
        stream = sd.next_stream()
        sd.devices[:] = [
            sd.devices[0],
            Device("HDMI: 0 (hw:1,3)"),
            Device("Headset: - (hw:2,0)"),
            Device("USB Audio: - (hw:3,0)", 44_100),
        ]
        lose(stream, items)
        again = sd.next_stream()
        again.deliver(ramp(320))
        back, chunk = next_but_ticks(items), next(items)

    assert again.device.name == "USB Audio: - (hw:3,0)"
    assert back.device == source.device.name == "USB Audio: - (hw:3,0)"
    assert (source.device.index, chunk.sample_rate) == (3, 44_100), "chunks carry the new rate"


def test_a_twin_is_not_taken_for_it(sd):
    """Of two equal microphones one is unplugged; the other two have other card numbers."""
    with MicrophoneSource("USB") as source:
        items = iter(source)
        stream = sd.next_stream()
        sd.devices[:] = [Device("USB Audio: - (hw:2,0)"), Device("USB Audio: - (hw:3,0)")]
        lose(stream, items)
        assert next(items) == Idle()
        sd.devices.append(Device(USB))
        sd.next_stream().deliver(ramp(320))
        assert next_but_ticks(items).device == USB


def test_without_reopening_it_ends_in_an_error_after_the_queued_audio(sd):
    with MicrophoneSource("USB", reopen=False) as source:
        (stream,) = sd.streams
        stream.deliver(ramp(320))
        stream.end()
        items = iter(source)
        assert isinstance(next(items), AudioChunk)
        with pytest.raises(AudioError, match=r"^USB Audio.*\bended\b"):
            next(items)
    assert len(sd.streams) == 1


@pytest.mark.parametrize(
    ("query", "channel", "refuses", "error"),
    [
        ("Röhre", None, "", r"--device 'Röhre'.*\bUSB Audio\b"),
        ("hw", None, "", r"^2 inputs\b.*--device 'hw'"),
        ("USB", 1, "", r"\bhas 1 channel.*\bchannel 1\b"),
        ("USB", None, "Device or resource busy", r"\b16000 Hz .*resource busy"),
    ],
)
def test_a_device_that_cannot_be_opened_at_first_is_an_error_at_once(
    sd, query, channel, refuses, error
):
    sd.devices[1].refuses = refuses
    with pytest.raises(AudioError, match=error), MicrophoneSource(query, channel):
        pass
    assert all(stream.closed for stream in sd.streams)


def test_a_service_may_wait_for_a_busy_device(sd):
    sd.devices[1].refuses = "Device or resource busy"
    with MicrophoneSource("USB", wait_for_device=True) as source:
        items = iter(source)
        gone = next(items)
        sd.devices[1].refuses = ""
        sd.next_stream().deliver(ramp(320))
        back = next_but_ticks(items)

    assert gone.device == USB
    assert "resource busy" in gone.reason
    assert back.device == USB


def test_a_service_may_wait_for_a_device_that_is_not_there(sd):
    usb = sd.devices.pop()
    with MicrophoneSource("USB", wait_for_device=True) as source:
        items = iter(source)
        assert source.name == "mic:USB"
        assert next(items).device == "USB"
        sd.devices.append(usb)
        sd.next_stream().deliver(ramp(320))
        assert next_but_ticks(items).device == USB
        assert source.name == f"mic:{USB}"


def test_waiting_for_a_device_that_is_not_opened_again_makes_no_sense(sd):
    sd.devices[1].refuses = "Device or resource busy"
    with (
        pytest.raises(AudioError, match="resource busy"),
        MicrophoneSource("USB", wait_for_device=True, reopen=False),
    ):
        pass


def test_listing_devices_leaves_an_open_stream_alone(sd):
    with MicrophoneSource("USB"):
        assert len(list_devices()) == 2
        sd.devices.append(Device("new"))
        assert len(list_devices()) == 2
    assert len(list_devices()) == 3


@pytest.fixture
def unregistered(monkeypatch) -> list[object]:
    """Exit handlers that were unregistered."""
    found: list[object] = []
    monkeypatch.setattr(atexit, "unregister", found.append)
    return found


def test_a_stream_that_cannot_be_closed_is_left_behind(sd, monkeypatch, unregistered):
    """Libpulse locks itself up when its server crashes: the next stream takes over all the same."""
    monkeypatch.setattr(microphone, "CLOSE_S", 0.1)
    with MicrophoneSource("USB") as source:
        items = iter(source)
        first = sd.next_stream()
        first.hangs.clear()
        gone = lose(first, items)
        second = sd.next_stream()
        first.deliver(ramp(320))
        assert next(items) == Idle(), "audio of the first stream is ignored"
        second.deliver(ramp(320))
        back, chunk = next_but_ticks(items), next(items)
        first.hangs.set()
        assert next(items) == Idle(), "the end of the first stream is not reported"

    assert isinstance(gone, Disconnected)
    assert isinstance(back, Reconnected)
    assert isinstance(chunk, AudioChunk)
    assert unregistered == [sd._exit_handler], (
        "PortAudio would wait for it at the end of the process"
    )
    assert first.closed
    assert len(list_devices()) == 2, "and PortAudio may be started anew"


def test_opening_that_hangs_keeps_nobody(sd, monkeypatch, unregistered):
    """The audio server does not answer: neither the listener nor the end of the process may wait."""
    monkeypatch.setattr(reconnect, "_CLOSE_S", 0.1)
    answers = threading.Event()

    def refuse_late(**_: object) -> None:
        answers.wait()
        raise sd.PortAudioError("Connection terminated")

    with MicrophoneSource("USB") as source:
        items = iter(source)
        stream = sd.next_stream()
        monkeypatch.setattr(sd, "InputStream", refuse_late)
        lose(stream, items)
        assert [next(items), next(items)] == [Idle(), Idle()]
    assert unregistered == [sd._exit_handler]
    answers.set()
    source._input._thread.join(20)
    assert not source._input._thread.is_alive()


def test_delays_double_and_begin_anew_after_audio(sd, monkeypatch):
    delays = []
    monkeypatch.setattr(reconnect, "FIRST_DELAY_S", 0.25)
    monkeypatch.setattr(reconnect, "LONGEST_DELAY_S", 5.0)
    source = MicrophoneSource("USB")
    closed = source._input._closed

    def wait(delay_s: float) -> bool:
        delays.append(delay_s)
        if len(delays) == 7:
            sd.devices[1].refuses = ""
        return closed.is_set()

    monkeypatch.setattr(closed, "wait", wait)
    with source:
        items = iter(source)
        stream = sd.next_stream()
        sd.devices[1].refuses = "busy"
        lose(stream, items)
        again = sd.next_stream()
        again.deliver(ramp(320))
        source._input._received_s += 6.0  # as after six seconds of audio
        again.end()
        sd.next_stream()

    assert delays[:8] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 0.25]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_reaches_the_listener(sd, monkeypatch):
    with MicrophoneSource("USB") as source:
        items = iter(source)
        stream = sd.next_stream()
        monkeypatch.setattr(FakeSounddevice, "query_devices", lambda _: 1 / 0)
        lose(stream, items)
        with pytest.raises(AudioError, match="ZeroDivisionError"):
            next_but_ticks(items)


def test_a_source_on_which_nothing_comes_does_no_work(sd):
    with MicrophoneSource("USB") as source:
        items = iter(source)
        worked_s = time.process_time()
        assert [next(items) for _ in range(2)] == [Idle(), Idle()]
        assert time.process_time() - worked_s < 0.1


def test_closing_from_elsewhere_ends_the_iteration(sd):
    with MicrophoneSource("USB") as source:
        closer = threading.Timer(0.1, source.__exit__)
        closer.start()
        assert list(source) == []
        closer.join()
