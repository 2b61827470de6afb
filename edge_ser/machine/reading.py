"""How facts are read: text files below a root, and commands that may be missing, slow or forbidden."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

Run = Callable[..., "str | None"]
"""Takes a command's words and returns what it prints, None where it cannot say."""

ROOT = Path("/")

_SECONDS = 2.0
"""A command that takes longer hangs: the audio server's, for one, when that server does."""


def read_text(path: Path) -> str | None:
    """Return a file's text without the NULs of device trees and the white space at its ends.

    None where it cannot be read: sysfs also refuses single files whose driver sleeps.
    """
    try:
        return path.read_bytes().decode(errors="replace").replace("\0", " ").strip()
    except OSError:
        return None


def read_int(path: Path) -> int | None:
    """Return the number that is all of a file, None where there is none."""
    try:
        return int(read_text(path) or "")
    except ValueError:
        return None


def below(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield what fits in a folder, numbers in their order: zone2 before zone10."""

    def order(path: Path) -> tuple[int, str]:
        return len(path.name), path.name

    try:
        yield from sorted(folder.glob(pattern), key=order)
    except OSError:
        return


def run_command(*words: str) -> str | None:
    """Run a command without a shell; None where it is missing, fails or hangs."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C", "PATH": path},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def commands_of(root: Path) -> Run:
    """Return how to run commands on the machine whose files are below `root`.

    Only this machine's commands can be run: below another root, none has an answer.
    """
    return run_command if root == ROOT else lambda *_: None
