"""Process that prints lines continuously, of which the newest is read."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from types import TracebackType

_STOP_S = 2.0


class LineProcess:
    """Running program; use it as a context manager, or close it."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start the program.

        Raises:
            OSError: the program is missing or cannot be run.
        """
        self._name = command[0]
        self._newest: tuple[float, str] | None = None
        self._arrived = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name=f"{self._name} reader", daemon=True)
        self._reader.start()

    def newest(self, max_age_s: float, wait_s: float = 0.0) -> str:
        """Return the newest line.

        Args:
            max_age_s: a line older than this is stale.
            wait_s: longest time to wait for the first line, in s.

        Raises:
            OSError: no line yet, a stale line, or the program ended.
        """
        with self._arrived:
            self._arrived.wait_for(lambda: self._newest is not None or self._ended, wait_s)
            if self._ended:
                raise OSError(f"{self._name} ended")
            if self._newest is None:
                raise OSError(f"{self._name} has printed nothing in {wait_s:.1f} s")
            when, line = self._newest
        if (age := time.monotonic() - when) > max_age_s:
            raise OSError(f"{self._name} has printed nothing for {age:.1f} s")
        return line

    def close(self) -> None:
        """End the program."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> LineProcess:
        """Return the running program."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the program."""
        self.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            if line.strip():
                with self._arrived:
                    self._newest = (time.monotonic(), line.strip())
                    self._arrived.notify_all()
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()
