"""Versions of the code and of the packages that a figure was computed with."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

from edge_ser import __version__
from edge_ser.machine.packages import installed

_PACKAGE = Path(__file__).resolve().parent.parent


def revision() -> str:
    """Return the git revision of the code, with the suffix "-dirty" if the package has changes.

    Code that was installed without its repository gives the version of the release.
    """
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return f"release {__version__}"
    head = _git("rev-parse", "HEAD") or "no commit"
    return head + ("-dirty" if _git("status", "--porcelain", "--", ".") else "")


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python, edge-ser and those of `packages` that are installed."""
    return {
        "python": platform.python_version(),
        "edge-ser": __version__,
        **installed(packages),
    }


def _git(*arguments: str) -> str | None:
    """Return the output of git; None if it fails or is missing."""
    command = ["git", "-C", str(_PACKAGE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
