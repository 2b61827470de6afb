"""Jetson board: release, module, power mode and clocks."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from edge_ser.machine.clocks import Clock, parse_jetson_clocks, read_gpu_clock
from edge_ser.machine.reading import ROOT, Run, commands_of, read_text


@dataclass(frozen=True)
class PowerMode:
    """Power mode of a board."""

    name: str
    """Name on the board: MAXN, MAXN_SUPER, 15W, MODE_15W_6CORE, …"""
    id: int | None
    """Number for `nvpmodel -m`."""

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Sort key by speed: MAXN has no power budget, other names contain their budget in watts."""
        name = self.name.upper()
        watts = re.search(r"(\d+)W", name)
        return "MAXN" in name, "SUPER" in name, int(watts.group(1)) if watts else 0


def parse_nvpmodel(text: str) -> PowerMode | None:
    """Return the mode that `nvpmodel -q` prints, with or without --verbose and warnings."""
    name = re.search(r"NV Power Mode:\s*(\S+)", text)
    if name is None:
        return None
    number = re.match(r"\s*(\d+)\s*$", text[name.end() :], re.MULTILINE)
    return PowerMode(name.group(1), int(number.group(1)) if number else None)


def parse_modes(text: str) -> dict[int, str]:
    """Return number and name of each mode of /etc/nvpmodel.conf."""
    found = re.findall(r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", text, re.MULTILINE)
    return {int(number): name for number, name in found}


def parse_status(text: str) -> int | None:
    """Return the number in nvpmodel's status file, such as `pmode:0002`."""
    found = re.search(r"pmode:(\d+)", text)
    return int(found.group(1)) if found else None


def read_modes(root: Path = ROOT) -> dict[int, str]:
    """Return number and name of each mode of the board; empty without modes."""
    return parse_modes(read_text(root / "etc/nvpmodel.conf") or "")


def read_fastest_mode(root: Path = ROOT) -> PowerMode | None:
    """Return the fastest mode of the board."""
    offered = (PowerMode(name, number) for number, name in read_modes(root).items())
    return max(offered, key=lambda mode: mode.rank, default=None)


def read_power_mode(root: Path = ROOT, run: Run | None = None) -> PowerMode | None:
    """Return the active mode, from nvpmodel or else from its status file."""
    mode = parse_nvpmodel((run or commands_of(root))("nvpmodel", "-q") or "")
    if mode is not None:
        return mode
    number = parse_status(read_text(root / "var/lib/nvpmodel/status") or "")
    name = read_modes(root).get(number) if number is not None else None
    return PowerMode(name, number) if name else None


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
"""JetPack of each Jetson Linux release, if the sources agree (see tests/recorded_machines/README.md).
For releases that are not listed, the version of the package `nvidia-jetpack` is used if installed."""

_RELEASE = re.compile(r"^#\s*R(\d+)\s*\(release\),\s*REVISION:\s*(\d+(?:\.\d+)?)", re.MULTILINE)


def parse_tegra_release(text: str) -> str | None:
    """Return the release in /etc/nv_tegra_release as three numbers, such as 36.4.3."""
    found = _RELEASE.search(text)
    return _three(".".join(found.groups())) if found else None


def parse_dpkg_status(text: str, package: str) -> str | None:
    """Return the version of an installed package in /var/lib/dpkg/status, else None.

    Args:
        text: content of the file.
        package: name of the package.
    """
    for found in re.finditer(rf"^Package: {re.escape(package)}\n", text, re.MULTILINE):
        end = text.find("\n\n", found.end())
        paragraph = text[found.start() : end if end >= 0 else None]
        version = re.search(r"^Version: (\S+)$", paragraph, re.MULTILINE)
        if version and re.search(r"^Status: .* installed$", paragraph, re.MULTILINE):
            return version.group(1)
    return None


def jetpack_of(l4t: str) -> str | None:
    """Return the JetPack version of a Jetson Linux release; None if it is not in the table."""
    return _JETPACK.get(l4t)


def read_l4t(root: Path = ROOT) -> tuple[str | None, str | None]:
    """Return Jetson Linux and JetPack, such as 36.4.3 and 6.2; None for unknown versions.

    The package `nvidia-jetpack` takes precedence, because a board may have been upgraded by apt.
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
    """Return a version padded with zeros to three numbers: REVISION 4.0 and 4 are equal."""
    return ".".join((*version.split("."), "0", "0")[:3])


@dataclass(frozen=True)
class Jetson:
    """Facts of a board; None for facts that it does not report."""

    module: str | None
    """Name in the device tree, such as `NVIDIA Jetson Orin Nano Developer Kit`."""
    l4t: str | None
    """Jetson Linux, such as 36.4.3."""
    jetpack: str | None
    """JetPack, such as 6.2."""
    power_mode: PowerMode | None
    fastest_mode: PowerMode | None
    """Fastest mode of the board."""
    gpu_clock: Clock | None
    memory_clock: Clock | None
    """Clock of the external memory controller (EMC); readable by root only."""


def read_jetson(root: Path = ROOT, run: Run | None = None) -> Jetson | None:
    """Read the facts of the board; None on other machines."""
    run = run or commands_of(root)
    model = read_text(root / "proc/device-tree/model")
    compatible = read_text(root / "proc/device-tree/compatible") or ""
    l4t, jetpack = read_l4t(root)
    if l4t is None and "nvidia,tegra" not in compatible:
        return None
    # For users other than root, jetson_clocks fails after about a second.
    shown = parse_jetson_clocks(run("jetson_clocks", "--show") or "") if os.geteuid() == 0 else ()
    by_name = {clock.name: clock for clock in shown}
    return Jetson(
        module=model or None,
        l4t=l4t,
        jetpack=jetpack,
        power_mode=read_power_mode(root, run),
        fastest_mode=read_fastest_mode(root),
        gpu_clock=read_gpu_clock(root) or by_name.get("gpu") or by_name.get("gpu-gpc-0"),
        memory_clock=by_name.get("emc"),
    )
