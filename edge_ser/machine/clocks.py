"""Clock rates of the processors: cpufreq, the GPU's devfreq, and `jetson_clocks --show`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_ser.machine.reading import ROOT, below, read_int, read_text

_GPU = re.compile(r"gpu|gp10b|gv11b|ga10b")
"""The GPU among all devfreq devices: 57000000.gpu on Nano, 17000000.gp10b on TX2, 17000000.gv11b on
Xavier, 17000000.ga10b and 17000000.gpu on Orin, gpu-gpc-0 (and gpu-nvd-0, its video part) on Thor."""

_GPU_FOLDERS = (
    "sys/class/devfreq/*",
    "sys/devices/gpu.0/devfreq/*",
    "sys/devices/platform/gpu.0/devfreq/*",
    "sys/devices/platform/*/devfreq_dev",
)

_SHOWN = re.compile(
    r"^\s*(?P<name>cpu\d+|GPU|gpu-\S+|EMC):?\s(?P<rest>.*MinFreq=(?P<low>\d+) MaxFreq=(?P<high>\d+) "
    r"CurrentFreq=(?P<now>\d+).*)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Clock:
    """Clock and its range."""

    name: str
    """cpu0, gpu, gpu-gpc-0, emc, …"""
    min_hz: int
    max_hz: int
    current_hz: int | None
    governor: str | None = None
    """Frequency governor, such as schedutil or performance."""
    held: bool = False
    """Whether the rate is fixed regardless of its limits, as for EMC after jetson_clocks."""

    @property
    def is_locked(self) -> bool:
        """Whether the rate cannot change with the load."""
        return self.held or self.min_hz == self.max_hz


def all_locked(clocks: Iterable[Clock]) -> bool | None:
    """Return whether no clock changes with the load; None without a known clock."""
    known = list(clocks)
    return all(clock.is_locked for clock in known) if known else None


def parse_jetson_clocks(text: str) -> tuple[Clock, ...]:
    """Return the clocks of `jetson_clocks --show`: online CPUs, GPU and memory (EMC).

    CPU rates are in kHz there, all others in Hz. The formats of JetPack 4 to 7 are supported.
    """
    clocks = []
    for line in _SHOWN.finditer(text):
        name, rest = line["name"].lower(), line["rest"]
        if "Online=0" in rest:
            continue
        scale = 1000 if name.startswith("cpu") else 1
        governor = re.search(r"Gon?vernor=(\S+)", rest)
        clocks.append(
            Clock(
                name,
                int(line["low"]) * scale,
                int(line["high"]) * scale,
                int(line["now"]) * scale,
                governor.group(1) if governor else None,
                "FreqOverride=1" in rest,
            )
        )
    return tuple(clocks)


def read_cpu_clocks(root: Path = ROOT) -> tuple[Clock, ...]:
    """Return the clock of each cpufreq policy; empty if the kernel reports none."""
    clocks = []
    for policy in below(root / "sys/devices/system/cpu/cpufreq", "policy*"):
        if (read_text(policy / "affected_cpus") or "offline") == "offline":
            continue
        clock = _read(
            f"cpu{policy.name.removeprefix('policy')}",
            policy,
            ("scaling_min_freq", "scaling_max_freq", "scaling_cur_freq", "scaling_governor"),
            1000,
        )
        clocks += [clock] if clock else []
    return tuple(clocks)


def read_gpu_clock(root: Path = ROOT) -> Clock | None:
    """Return the clock of a Jetson's GPU; None if the kernel reports none, as on other machines."""
    for pattern in _GPU_FOLDERS:
        for folder in below(root, pattern):
            name = folder.parent.name if folder.name == "devfreq_dev" else folder.name
            if not _GPU.search(name):
                continue
            clock = _read(name, folder, ("min_freq", "max_freq", "cur_freq", "governor"), 1)
            if clock is not None:
                return clock
    return None


def _read(name: str, folder: Path, files: tuple[str, str, str, str], scale: int) -> Clock | None:
    low, high, now = (read_int(folder / file) for file in files[:3])
    if low is None or high is None:
        return None
    governor = read_text(folder / files[3])
    return Clock(name, low * scale, high * scale, None if now is None else now * scale, governor)
