"""Sink that reports to a service manager (systemd): ready, alive with a status, stopping.

The protocol is one datagram of `NAME=value` lines to the socket named by NOTIFY_SOCKET; see
sd_notify(3). Without that variable nothing is sent.
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
"""Seconds of `Idle` items only after which a source that should deliver counts as dead."""

_PATIENCE_S = 1.0
"""Longest wait for a full socket, in seconds; after it a notification is dropped."""
_STATUS_LENGTH = 200
"""Longest status, in characters; datagrams above 4096 bytes would be rejected."""
_STATUS_EVERY_S = 10.0
"""Seconds between status reports without a watchdog."""


@dataclass(frozen=True)
class Notifier:
    """Connection to the service manager that started this process.

    Raises:
        ConfigError: the address is neither a path nor an abstract name.
    """

    address: str | None
    """Socket of the manager: a path, or `@name` in Linux's abstract namespace; None to send nothing."""
    watchdog_s: float | None = None
    """Watchdog timeout of the manager, in seconds; None without a watchdog."""

    def __post_init__(self) -> None:
        if self.address is None:
            return
        if self.address[:1] not in {"/", "@"} or len(self.address) < 2 or "\0" in self.address:
            raise ConfigError(
                f"expected NOTIFY_SOCKET to be a path or @name, got {self.address!r}; it is set by "
                "the service manager: unset it to run without one"
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """Return the notifier for the manager that the environment names, if any.

        Raises:
            ConfigError: NOTIFY_SOCKET, WATCHDOG_USEC or WATCHDOG_PID is invalid.
        """
        return cls(environ.get("NOTIFY_SOCKET") or None, watchdog_interval_s(environ))

    def ready(self, status: str) -> None:
        """Report that the process has started; a service of `Type=notify` is active from here.

        Raises:
            ConfigError: the manager cannot be reached; it would end the process as not started.
        """
        try:
            self._send("READY=1", _status(status))
        except OSError as error:
            raise ConfigError(
                f"the service manager cannot be reached at NOTIFY_SOCKET={self.address} ({error}); "
                "unset it to run without one"
            ) from None

    def alive(self, status: str) -> None:
        """Report that the process is alive, with a status. Use `Liveness`, which checks that it is."""
        self._try("WATCHDOG=1", _status(status))

    def stopping(self) -> None:
        """Report that the process is about to end."""
        self._try("STOPPING=1")

    def _try(self, *assignments: str) -> None:
        # If the manager misses the following ones too, its watchdog acts.
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
    """Feed the watchdog while items are processed.

    There is no thread: if recognition hangs or the source yields nothing, the reports end, and the
    service manager restarts the process.
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
            notifier: receives the reports.
            starved_after_s: seconds of `Idle` items only after which a source counts as dead, unless it
                yielded `Disconnected`. None for sources that may pause, such as a pipe.
            clock: monotonic seconds.
        """
        self._notifier = notifier
        self._starved_after_s = starved_after_s
        self._clock = clock
        # A third of the timeout: one late or lost report does no harm.
        self._every_s = (
            notifier.watchdog_s / 3 if notifier.watchdog_s is not None else _STATUS_EVERY_S
        )
        self._sent_s: float | None = None
        self._received_s = clock()
        self._away = False

    def alive(self, item: SourceItem, status: str) -> None:
        """Report that an item was processed, at most once per third of the watchdog timeout.

        Args:
            item: the item of the source, already processed.
            status: a line of text, e.g. `listening to mic:USB Audio, 1234 windows`.
        """
        now = self._clock()
        if not isinstance(item, Idle):
            self._received_s = now
            self._away = isinstance(item, Disconnected)
        if self._starved(now) or (self._sent_s is not None and now - self._sent_s < self._every_s):
            return
        self._notifier.alive(status)
        self._sent_s = now

    def _starved(self, now: float) -> bool:
        if self._starved_after_s is None or self._away:
            return False
        return now - self._received_s > self._starved_after_s


class SystemdSink(BaseSink):
    """Report readiness, liveness and the end of a source to the service manager.

    Args:
        notifier: connection to the manager; None for that of the environment.

    Raises:
        ConfigError: the environment is invalid; see `Notifier.from_environment`.
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
        # A microphone delivers or reports a disconnection; a pipe may pause for hours.
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
    """Return the watchdog timeout for this process in seconds; None without one.

    Raises:
        ConfigError: WATCHDOG_USEC or WATCHDOG_PID is not a positive integer.
    """
    microseconds = environ.get("WATCHDOG_USEC")
    if not microseconds:
        return None
    pid = environ.get("WATCHDOG_PID") or str(os.getpid())
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", pid)):
        if not (value.isascii() and value.isdigit() and int(value) > 0):
            raise ConfigError(
                f"expected {name} to be a positive integer, got {value!r}; it is set by the service "
                "manager: unset it to run without a watchdog"
            )
    return int(microseconds) / 1e6 if int(pid) == os.getpid() else None


def _status(text: str) -> str:
    # A line break would begin another assignment; device names are external input.
    return "STATUS=" + " ".join(text.split())[:_STATUS_LENGTH]
