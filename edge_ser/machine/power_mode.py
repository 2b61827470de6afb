"""The power mode of a Jetson: what nvpmodel chose for CPU, GPU and memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge_ser.machine.reading import ROOT, Run, commands_of, read_text


@dataclass(frozen=True)
class PowerMode:
    """One of the board's power modes."""

    name: str
    """MAXN, MAXN_SUPER, 15W, MODE_15W_6CORE, … as the board calls it."""
    id: int | None
    """What `nvpmodel -m` takes."""

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Orders a board's modes by speed: MAXN has no budget, the others are named by their watts."""
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
    """Return number and name of each mode that the board offers; empty where it has none."""
    return parse_modes(read_text(root / "etc/nvpmodel.conf") or "")


def read_fastest_mode(root: Path = ROOT) -> PowerMode | None:
    """Return the fastest mode that the board offers."""
    offered = (PowerMode(name, number) for number, name in read_modes(root).items())
    return max(offered, key=lambda mode: mode.rank, default=None)


def read_power_mode(root: Path = ROOT, run: Run | None = None) -> PowerMode | None:
    """Return the mode that is on: as nvpmodel says, else as it noted it down when it was set."""
    asked = parse_nvpmodel((run or commands_of(root))("nvpmodel", "-q") or "")
    if asked is not None:
        return asked
    number = parse_status(read_text(root / "var/lib/nvpmodel/status") or "")
    name = read_modes(root).get(number) if number is not None else None
    return PowerMode(name, number) if name else None
