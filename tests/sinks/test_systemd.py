"""Telling a service manager, on real datagram sockets."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources.base import AudioLost, Disconnected, Idle, Reconnected, SourceItem
from edge_ser.errors import ConfigError
from edge_ser.sinks.systemd import Liveness, Notifier, SystemdSink, watchdog_interval_s

CHUNK = AudioChunk(np.zeros(160, np.float32), 16000)


class Manager:
    """Stand-in for systemd: a datagram socket with the received messages."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(30)

    def receive(self) -> list[str]:
        return self._socket.recv(65536).decode().split("\n")

    def received_nothing(self) -> bool:
        self._socket.settimeout(0)
        try:
            self._socket.recv(65536)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(30)
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path: Path) -> Iterator[Manager]:
    abstract = f"@edge-ser/test/{os.getpid()}/{tmp_path.name}"
    address = str(tmp_path / "notify") if request.param == "path" else abstract
    with closing(Manager(address)) as listening:
        yield listening


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_sink_reports_a_source_from_its_start_to_its_end(manager):
    source = SimpleNamespace(name="pcm", live=True, ends=True)
    with SystemdSink(Notifier(manager.address)) as sink:
        sink.start(source)
        sink.update(CHUNK, SimpleNamespace(n_windows=3))
        sink.stop()

    assert manager.receive() == ["READY=1", "STATUS=listening to pcm"]
    assert manager.receive() == ["WATCHDOG=1", "STATUS=listening to pcm, 3 windows"]
    assert manager.receive() == ["STOPPING=1"]


def test_a_life_as_a_service(manager):
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": manager.address})

    notifier.ready("listening to mic:USB")
    notifier.alive("listening to mic:USB, 3 windows")
    notifier.stopping()

    assert manager.receive() == ["READY=1", "STATUS=listening to mic:USB"]
    assert manager.receive() == ["WATCHDOG=1", "STATUS=listening to mic:USB, 3 windows"]
    assert manager.receive() == ["STOPPING=1"]
    assert manager.received_nothing()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_a_manager_nothing_happens(environ):
    notifier = Notifier.from_environment(environ)

    notifier.ready("up")
    notifier.alive("well")
    notifier.stopping()

    assert notifier == Notifier(None)


@pytest.mark.parametrize("address", ["notify", "/", "@", "vsock:2:1234", "/a\0b"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ConfigError, match=r"\bNOTIFY_SOCKET\b.*@name\b.* got '"):
        Notifier.from_environment({"NOTIFY_SOCKET": address})


@pytest.mark.parametrize("address", ["/dev/null/notify", "@nobody/edge-ser", "/" + 200 * "n"])
def test_a_manager_that_cannot_be_reached_at_the_start_is_an_error(address):
    notifier = Notifier(address)

    with pytest.raises(ConfigError, match=re.escape(f"NOTIFY_SOCKET={address} (")):
        notifier.ready("up")


def test_a_manager_that_goes_away_later_does_not_end_recognition(tmp_path):
    manager = Manager(str(tmp_path / "notify"))
    notifier = Notifier(manager.address)
    notifier.ready("up")
    manager.close()

    notifier.alive("still here")
    notifier.stopping()

    with pytest.raises(ConfigError):
        notifier.ready("up again")


@given(name=st.text(st.characters(codec=None), max_size=400))
def test_no_name_of_a_device_can_say_more_than_a_status(name):
    with closing(Manager(f"@edge-ser/status/{os.getpid()}")) as manager:
        Notifier(manager.address).alive(f"listening to {name}\nMAINPID=1")

        first, second = manager.receive()
        assert first == "WATCHDOG=1"
        assert second.startswith("STATUS=listening to")
        assert len(second) <= len("STATUS=") + 200


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ""}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_time_that_the_watchdog_gives(environ, seconds):
    assert watchdog_interval_s(environ) == seconds


@pytest.mark.parametrize("value", ["0", "-3", "30s", "1e6", " 3", "²"])
@pytest.mark.parametrize("name", ["WATCHDOG_USEC", "WATCHDOG_PID"])
def test_a_watchdog_that_makes_no_sense_is_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        watchdog_interval_s({"WATCHDOG_USEC": "30000000", name: value})


@dataclass
class Service:
    """Handles items at times that the test chooses, and counts the signs of life that came out."""

    liveness: Liveness
    manager: Manager
    clock: Clock

    def signs(self, item: SourceItem, *, times: int, every_s: float) -> int:
        count = 0
        for _ in range(times):
            self.clock.now_s += every_s
            self.liveness.alive(item, "listening")
            # Read at once: a socket holds ten datagrams, and systemd reads them as they come.
            count += not self.manager.received_nothing()
        return count


@pytest.fixture
def service(manager):
    """One whose source always delivers or says that it is away, under a watchdog of 30 s."""
    clock = Clock()
    notifier = Notifier(manager.address, watchdog_s=30)
    return Service(Liveness(notifier, starved_after_s=10, clock=clock), manager, clock)


def test_signs_of_life_come_with_items_and_at_most_every_third(service):
    assert service.signs(CHUNK, times=1000, every_s=0.1) == 10


def test_a_loop_that_hangs_gives_no_sign(service):
    assert service.signs(CHUNK, times=1, every_s=1) == 1

    service.clock.now_s += 3600

    assert service.manager.received_nothing()


def test_without_a_watchdog_the_status_is_reported_now_and_then(manager):
    clock = Clock()
    service = Service(Liveness(Notifier(manager.address), clock=clock), manager, clock)

    assert service.signs(CHUNK, times=60, every_s=1) == 6


def test_a_device_that_is_away_is_alive_for_as_long_as_it_takes(service):
    assert service.signs(Disconnected("USB", "unplugged"), times=1, every_s=1) == 1
    assert service.signs(Idle(), times=100, every_s=10) == 100


def test_a_device_that_is_back_has_to_deliver(service):
    service.signs(Disconnected("USB", "unplugged"), times=1, every_s=1)
    assert service.signs(Reconnected("USB", 1000.0), times=1, every_s=10) == 1

    assert service.signs(Idle(), times=100, every_s=10.5) == 0


def test_a_source_that_only_ticks_is_dead_if_it_should_deliver(service):
    service.signs(AudioLost(0.1, "device"), times=1, every_s=1)
    service.signs(Idle(), times=10, every_s=1)
    assert service.signs(Idle(), times=100, every_s=1) == 0

    assert service.signs(CHUNK, times=1, every_s=1) == 1


def test_a_pipe_may_pause(manager):
    clock = Clock()
    liveness = Liveness(Notifier(manager.address, watchdog_s=30), clock=clock)

    assert Service(liveness, manager, clock).signs(Idle(), times=100, every_s=10) == 100


SERVICE = """
import itertools
from edge_ser.sinks.systemd import Liveness, Notifier
from edge_ser.audio.sources.base import Idle

notifier = Notifier.from_environment()
liveness = Liveness(notifier)
notifier.ready("up")
for count in itertools.count(1):
    liveness.alive(Idle(), f"{count} items")
    if input() == "end":
        break
notifier.stopping()
"""


def test_a_real_process_under_a_manager(manager):
    environment = {**os.environ, "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "3"}
    environment.pop("WATCHDOG_PID", None)
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE], env=environment, stdin=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert manager.receive() == ["READY=1", "STATUS=up"]
        assert manager.receive() == ["WATCHDOG=1", "STATUS=1 items"]
        # It hangs now, waiting for us, as a recognition might.
        assert manager.received_nothing()

        process.stdin.write("on\n")
        process.stdin.flush()
        assert manager.receive() == ["WATCHDOG=1", "STATUS=2 items"]

        process.stdin.write("end\n")
        process.stdin.flush()
        assert manager.receive() == ["STOPPING=1"]
    assert process.returncode == 0
