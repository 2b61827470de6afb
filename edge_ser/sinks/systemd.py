"""State of the process for a service manager (systemd): ready, alive with a status, stopping.

The protocol is one datagram of `NAME=value` lines to the socket named by NOTIFY_SOCKET; see
sd_notify(3). Without that variable nobody listens, and nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_ser.audio.sources.base import Disconnected, Idle, Source, SourceItem
from edge_ser.errors import ConfigError
from edge_ser.recognition.listen import ends
from edge_ser.sinks.base import BaseSink

if TYPE_CHECKING:
    from edge_ser.recognition.streaming import StreamingRecognizer

STARVED_S = 10.0
"""Seconds of nothing but ticks after which a source that should deliver is held to be dead."""

_PATIENCE_S = 1.0
"""How long a full socket may hold us up; a manager that is busy for longer is not told."""
_STATUS_LENGTH = 200
"""Characters of a status; a datagram of more than 4096 bytes would be refused whole."""
_STATUS_EVERY_S = 10.0
"""How often the status is told where no watchdog asks for more."""


@dataclass(frozen=True)
class Notifier:
    """Tells the service manager that started this process how it goes.

    Raises:
        ConfigError: the address is neither a path nor an abstract name.
    """

    address: str | None
    """The manager's socket: a path, or `@name` in Linux's abstract namespace; None tells nobody."""
    watchdog_s: float | None = None
    """Seconds within which the manager wants a sign of life; None if it wants none."""

    def __post_init__(self) -> None:
        if self.address is None:
            return
        if self.address[:1] not in {"/", "@"} or len(self.address) < 2 or "\0" in self.address:
            raise ConfigError(
                f"NOTIFY_SOCKET is {self.address!r}, which is neither a path nor @name; it is set by "
                "the service manager: unset it to run without one"
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """Return the one for the manager that the environment names, or one that tells nobody.

        Raises:
            ConfigError: NOTIFY_SOCKET, WATCHDOG_USEC or WATCHDOG_PID make no sense.
        """
        return cls(environ.get("NOTIFY_SOCKET") or None, watchdog_interval_s(environ))

    def ready(self, status: str) -> None:
        """Say that it has started; a service of `Type=notify` is up from here.

        Raises:
            ConfigError: the manager cannot be told, and would end us as one that never started.
        """
        try:
            self._send("READY=1", _status(status))
        except OSError as error:
            raise ConfigError(
                f"the service manager cannot be told at NOTIFY_SOCKET={self.address} ({error}); "
                "unset it to run without one"
            ) from None

    def alive(self, status: str) -> None:
        """Say that it is alive and what it does. Use `Liveness`, which says so only when it is true."""
        self._try("WATCHDOG=1", _status(status))

    def stopping(self) -> None:
        """Say that it is about to end."""
        self._try("STOPPING=1")

    def _try(self, *assignments: str) -> None:
        # A manager that misses this misses the next as well, and then its watchdog acts.
        with suppress(OSError):
            self._send(*assignments)

    def _send(self, *assignments: str) -> None:
        if self.address is None:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(_PATIENCE_S)
            datagrams.sendto("\n".join(assignments).encode(errors="replace"), address)


class Liveness:
    """Feeds the watchdog while signals are handled, and only then.

    There is no thread: a recognition that hangs, or a source that yields nothing, ends the signs of
    life, and the service manager starts the process again.
    """

    def __init__(
        self,
        notifier: Notifier,
        *,
        starved_after_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start counting from now.

        Args:
            notifier: who is told.
            starved_after_s: seconds of nothing but `Idle` after which a source is held to be dead,
                unless it yielded `Disconnected`: a microphone delivers, or reports that it is away. None
                for sources that may pause, such as a pipe.
            clock: seconds, monotonic.
        """
        self._notifier = notifier
        self._starved_after_s = starved_after_s
        self._clock = clock
        # A third of what is asked for: one sign that comes late or is lost does no harm.
        self._every_s = (
            notifier.watchdog_s / 3 if notifier.watchdog_s is not None else _STATUS_EVERY_S
        )
        self._told: float | None = None
        self._fed = clock()
        self._away = False

    def alive(self, signal: SourceItem, status: str) -> None:
        """Say that a signal was handled; it is passed on at most every third of the watchdog's time.

        Args:
            signal: what the source yielded, after it was handled.
            status: a line for people, e.g. `listening to mic:USB Audio, 1234 windows`.
        """
        now = self._clock()
        if not isinstance(signal, Idle):
            self._fed = now
            self._away = isinstance(signal, Disconnected)
        if self._starved(now) or (self._told is not None and now - self._told < self._every_s):
            return
        self._notifier.alive(status)
        self._told = now

    def _starved(self, now: float) -> bool:
        if self._starved_after_s is None or self._away:
            return False
        return now - self._fed > self._starved_after_s


class SystemdSink(BaseSink):
    """Report readiness, liveness and the end of a source to the service manager.

    Args:
        notifier: the manager; None for the one that the environment names.

    Raises:
        ConfigError: the environment makes no sense; see `Notifier.from_environment`.
    """

    def __init__(self, notifier: Notifier | None = None) -> None:
        self._notifier = Notifier.from_environment() if notifier is None else notifier
        self._name = ""
        self._liveness: Liveness | None = None

    def start(self, source: Source) -> None:
        """Report readiness.

        Raises:
            ConfigError: the manager cannot be reached.
        """
        self._name = source.name
        self._notifier.ready(f"listening to {self._name}")
        # A microphone always delivers, or says that it is away; a pipe may pause for hours.
        starved_after_s = None if ends(source) else STARVED_S
        self._liveness = Liveness(self._notifier, starved_after_s=starved_after_s)

    def update(self, item: SourceItem, stream: StreamingRecognizer) -> None:
        """Report that the process is alive."""
        if self._liveness is not None:
            self._liveness.alive(item, f"listening to {self._name}, {stream.n_windows} windows")

    def stop(self) -> None:
        """Report that the process is about to end."""
        self._notifier.stopping()


def watchdog_interval_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Return the seconds within which the manager wants a sign of life; None if it wants none of us.

    Raises:
        ConfigError: WATCHDOG_USEC is no positive whole number, or WATCHDOG_PID no number.
    """
    microseconds = environ.get("WATCHDOG_USEC")
    if not microseconds:
        return None
    pid = environ.get("WATCHDOG_PID") or str(os.getpid())
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", pid)):
        if not (value.isascii() and value.isdigit() and int(value) > 0):
            raise ConfigError(
                f"{name} is {value!r}, not a positive whole number; it is set by the service manager: "
                "unset it to run without a watchdog"
            )
    return int(microseconds) / 1e6 if int(pid) == os.getpid() else None


def _status(text: str) -> str:
    # A line break would begin another assignment, and names of devices come from outside.
    return "STATUS=" + " ".join(text.split())[:_STATUS_LENGTH]
