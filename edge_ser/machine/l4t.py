"""Which Jetson Linux (L4T) and JetPack a board has."""

from __future__ import annotations

import re
from pathlib import Path

from edge_ser.machine.reading import ROOT, read_text

_JETPACK = {
    "32.4.3": "4.4",
    "32.4.4": "4.4.1",
    "32.5.0": "4.5",
    "32.5.1": "4.5.1",
    "32.6.1": "4.6",
    "32.7.1": "4.6.1",
    "32.7.2": "4.6.2",
    "32.7.3": "4.6.3",
    "32.7.4": "4.6.4",
    "32.7.5": "4.6.5",
    "32.7.6": "4.6.6",
    "34.1.0": "5.0 DP",
    "34.1.1": "5.0.1 DP",
    "35.1.0": "5.0.2",
    "35.2.1": "5.1",
    "35.3.1": "5.1.1",
    "35.4.1": "5.1.2",
    "35.5.0": "5.1.3",
    "35.6.0": "5.1.4",
    "35.6.1": "5.1.5",
    "35.6.2": "5.1.5",
    "36.2.0": "6.0 DP",
    "36.3.0": "6.0",
    "36.4.0": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.4.7": "6.2.1",
    "36.5.0": "6.2.2",
    "38.2.0": "7.0",
    "38.2.1": "7.0",
    "38.4.0": "7.1",
    "39.2.0": "7.2",
    "39.2.1": "7.2.1",
}
"""JetPack of each Jetson Linux, where sources agree (tests/recorded_machines/README.md names them).
What is not here stays unknown: JetPack's packages, where they are installed, say it themselves."""

_RELEASE = re.compile(r"^#\s*R(\d+)\s*\(release\),\s*REVISION:\s*(\d+(?:\.\d+)?)", re.MULTILINE)


def parse_tegra_release(text: str) -> str | None:
    """Return the release in /etc/nv_tegra_release as three numbers, such as 36.4.3."""
    found = _RELEASE.search(text)
    return _three(".".join(found.groups())) if found else None


def parse_dpkg_status(text: str, package: str) -> str | None:
    """Return the version of an installed package out of /var/lib/dpkg/status, else None.

    Args:
        text: the whole file.
        package: its name.
    """
    for found in re.finditer(rf"^Package: {re.escape(package)}\n", text, re.MULTILINE):
        end = text.find("\n\n", found.end())
        paragraph = text[found.start() : end if end >= 0 else None]
        version = re.search(r"^Version: (\S+)$", paragraph, re.MULTILINE)
        if version and re.search(r"^Status: .* installed$", paragraph, re.MULTILINE):
            return version.group(1)
    return None


def jetpack_of(l4t: str) -> str | None:
    """Return the JetPack that a Jetson Linux belongs to, None for one that is not in the table."""
    return _JETPACK.get(l4t)


def read_l4t(root: Path = ROOT) -> tuple[str | None, str | None]:
    """Return Jetson Linux and JetPack, such as 36.4.3 and 6.2; None for what is not known.

    The package `nvidia-jetpack` is asked first: a board may have been upgraded by apt.
    """
    l4t = parse_tegra_release(read_text(root / "etc/nv_tegra_release") or "")
    packages = read_text(root / "var/lib/dpkg/status") or ""
    if l4t is None and (core := parse_dpkg_status(packages, "nvidia-l4t-core")):
        l4t = _three(core.partition("-")[0])
    if l4t is None:
        return None, None
    package = parse_dpkg_status(packages, "nvidia-jetpack")
    return l4t, re.split(r"[+-]", package)[0] if package else jetpack_of(l4t)


def _three(version: str) -> str:
    """Return a version with zeros up to its third number: REVISION 4.0 and 4 are the same."""
    return ".".join((*version.split("."), "0", "0")[:3])
