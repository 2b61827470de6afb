"""Real sources: PortAudio and ffmpeg on an audio server that crashes, hangs and comes back."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from studio import Studio
from support import skip_or_fail

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources import FfmpegSource
from edge_ser.audio.sources.base import Disconnected, Idle, Reconnected

pytestmark = pytest.mark.microphone

LISTENER = """
import json, sys, time
import numpy as np
from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources import MicrophoneSource
with MicrophoneSource(wait_for_device="wait" in sys.argv) as source:
    for item in source:
        row = {"kind": type(item).__name__, "cpu_s": time.process_time()}
        if isinstance(item, AudioChunk):
            row["peak"] = float(np.abs(item.samples).max())
            row["seconds"] = len(item.samples) / item.sample_rate
            row["lag_s"] = time.monotonic() - item.captured_s
        else:
            row.update(vars(item))
        try:
            print(json.dumps(row), flush=True)
        except BrokenPipeError:
            break
"""
"""A separate process, because ALSA reads its settings once per process."""

Item = dict[str, Any]


class Listener:
    """Microphone in a separate process, and the items that it prints."""

    def __init__(self, studio: Studio, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LISTENER, *arguments],
            env=studio.environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    def until(self, found: Callable[[Item], bool], within_s: float = 60.0) -> list[Item]:
        """Return the items up to the one that is looked for."""
        assert self.process.stdout
        received: list[Item] = []
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            ready, _, _ = select.select([self.process.stdout], [], [], 10)
            assert ready, f"it is silent, without even an Idle, after {received[-3:]}"
            line = self.process.stdout.readline()
            assert line, f"it ended after {received[-3:]}"
            received.append(json.loads(line))
            if found(received[-1]):
                return received
        raise AssertionError(f"not within {within_s} s: {received[-3:]}")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture
def listen(studio: Studio) -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def start(*arguments: str) -> Listener:
        listeners.append(Listener(studio, *arguments))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.end()


def kind(name: str) -> Callable[[Item], bool]:
    return lambda item: item["kind"] == name


def loud(item: Item) -> bool:
    return bool(item.get("peak", 0) > 0.05)


def test_an_audio_server_that_crashes_and_is_back_after_five_seconds(studio, listen, example_clips):
    listener = listen()
    before = listener.until(kind("AudioChunk"))
    studio.kill()
    gone = listener.until(kind("Disconnected"))[-1]
    time.sleep(5)
    studio.start()
    away = listener.until(kind("Reconnected"))
    player = subprocess.Popen(["paplay", str(example_clips[0])], env=studio.environment)
    after = listener.until(loud)
    player.wait()

    assert before[-1]["seconds"] == pytest.approx(0.02)
    assert gone["device"] == away[-1]["device"] == "default"
    assert {item["kind"] for item in away[:-1]} == {"Idle"}, "Disconnected is reported once"
    assert len(away) >= 5, "the listener can say that it is alive"
    assert 5 < away[-1]["away_s"] < 60
    assert {item["kind"] for item in after} <= {"AudioChunk", "Idle"}
    assert all(0 <= item["lag_s"] < 3 for item in after if item["kind"] == "AudioChunk")


def test_an_audio_server_that_hangs_stops_neither_the_ticks_nor_the_end(studio, listen):
    """In PortAudio, closing a stream waits for the server for ever; so does the end of a process."""
    listener = listen()
    listener.until(kind("AudioChunk"))
    studio.server.send_signal(signal.SIGSTOP)
    try:
        gone = listener.until(kind("Disconnected"))[-1]
        listener.until(kind("Idle"))
        listener.until(kind("Idle"))
        assert listener.process.stdout
        listener.process.stdout.close()
        assert listener.process.wait(30) == 0
    finally:
        studio.server.send_signal(signal.SIGCONT)
    assert "3 s" in gone["reason"]


def test_a_hanging_server_that_resumes_delivers_again(studio, listen):
    listener = listen()
    listener.until(kind("AudioChunk"))
    studio.server.send_signal(signal.SIGSTOP)
    listener.until(kind("Disconnected"))
    studio.server.send_signal(signal.SIGCONT)
    listener.until(kind("Reconnected"))
    listener.until(kind("AudioChunk"))


def test_a_service_that_starts_before_the_audio_server(studio, listen):
    studio.kill()
    listener = listen("wait")
    ticks = [listener.until(kind("Disconnected"))[-1], *listener.until(kind("Idle"))]
    studio.start()
    listener.until(kind("Reconnected"))
    listener.until(kind("AudioChunk"))

    assert "no microphone" in ticks[0]["reason"]


def test_waiting_is_no_work(studio, listen):
    """Without a server, a service looks for it every 5 s and otherwise sleeps."""
    studio.kill()
    listener = listen("wait")
    ticks = [listener.until(kind("Idle"))[-1] for _ in range(11)]

    assert ticks[-1]["cpu_s"] - ticks[0]["cpu_s"] < 1.0, "of ten seconds"


def test_ffmpeg_on_a_sound_device(studio, example_clips, monkeypatch):
    if shutil.which("ffmpeg") is None:
        skip_or_fail("ffmpeg is not installed: apt install ffmpeg")
    for name in ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_SERVER"):
        monkeypatch.setenv(name, studio.environment[name])
    with FfmpegSource("speaker.monitor", "pulse") as source:
        assert source.live
        items = iter(source)
        player = subprocess.Popen(["paplay", str(example_clips[0])], env=os.environ)
        received = next(
            s for s in items if isinstance(s, AudioChunk) and np.abs(s.samples).max() > 0.05
        )
        player.wait()
        studio.kill()
        gone = next(s for s in items if not isinstance(s, (AudioChunk, Idle)))
        studio.start()
        back = next(s for s in items if s != Idle())
        again = next(items)

    assert received.sample_rate == 48_000
    assert isinstance(gone, Disconnected)
    assert isinstance(back, Reconnected)
    assert isinstance(again, AudioChunk)
