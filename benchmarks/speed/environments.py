"""Fresh virtual environments, one for each contestant, and what they take on the disk."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

from speech import ROOT

OURS, NAIVE, WAKEWORD = "edge-ser", "librosa and PyTorch", "openWakeWord"
PACKAGES = {
    OURS: (str(ROOT),),
    NAIVE: ("librosa==0.11.0", "torch==2.13.0"),
    WAKEWORD: ("pyopen-wakeword==1.1.0",),
}


def make(name: str, folder: Path) -> Path:
    """Install a contestant and nothing else; return the environment's Python."""
    place = folder / name.replace(" ", "-")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--python", str(python), "install", *PACKAGES[name]]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return python


def sizes(python: Path) -> dict[str, int]:
    """Return the bytes of each installed package, compiled files too, the largest first."""
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    found = {_title(package): _size(package, site) for package in distributions(path=[str(site)])}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _title(package: Distribution) -> str:
    return f"{package.metadata['Name']} {package.version}"


def _size(package: Distribution, site: Path) -> int:
    paths = (site / str(file) for file in package.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())
