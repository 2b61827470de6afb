"""The command line as a user runs it: a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run `edge-ser` with arguments; checks that no traceback ever reaches the user."""

    def run(
        *arguments: object, stdin: bytes = b"", **options: object
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [sys.executable, "-m", "edge_ser", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            **{"cwd": tmp_path, **options},
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return done

    return run
