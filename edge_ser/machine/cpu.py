"""CPU and memory, with the limits of a container or service."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_ser.machine.clocks import Clock, read_cpu_clocks
from edge_ser.machine.reading import ROOT, read_int, read_text

_ARM_PARTS = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd83"): "Neoverse-V3AE",
    ("0x4e", "0x003"): "NVIDIA Denver 2",
    ("0x4e", "0x004"): "NVIDIA Carmel",
}
"""Core names by implementer and part in /proc/cpuinfo: Jetson boards and Raspberry Pis."""

_NO_LIMIT = 1 << 60
"""Bytes. Version 1 control groups report a value above this if there is no limit."""


@dataclass(frozen=True)
class Cpu:
    """Processor."""

    model: str | None
    architecture: str
    """x86_64, aarch64, …"""
    n_cores: int
    """Number of online logical CPUs."""
    n_usable: int
    """Number of CPUs in the affinity mask of this process."""
    quota: float | None
    """CPU time limit of the container or service, in CPUs; None without a limit."""
    clocks: tuple[Clock, ...]
    """One clock per cpufreq policy; empty in most virtual machines."""
    load: float | None
    """Load average of the last minute."""

    @property
    def governors(self) -> tuple[str, ...]:
        """Frequency governors, without duplicates."""
        return tuple(dict.fromkeys(c.governor for c in self.clocks if c.governor))


@dataclass(frozen=True)
class Memory:
    """Main memory in bytes. On a Jetson the GPU shares it."""

    total: int | None
    available: int | None
    limit: int | None
    """Limit of the container or service; None without a limit."""


def parse_cpuinfo(text: str) -> str | None:
    """Return the name of the processor in /proc/cpuinfo; different core types are joined by +."""
    parts = re.findall(r"CPU implementer\s*: (\S+)\n(?:.+\n)*?CPU part\s*: (\S+)", text)
    names = [_ARM_PARTS.get((i.lower(), p.lower())) for i, p in dict.fromkeys(parts)]
    if names and all(names):
        return " + ".join(name for name in names if name)
    model = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return model.group(1).strip() if model else None


def parse_meminfo(text: str) -> tuple[int | None, int | None]:
    """Return total and available bytes in /proc/meminfo."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)
    found = {name: int(kib) * 1024 for name, kib in lines}
    return found.get("MemTotal"), found.get("MemAvailable")


def parse_cgroups(text: str) -> dict[str, str]:
    """Return the group of each controller in /proc/self/cgroup; the key of version 2 is ``""``."""
    groups = {}
    for controllers, path in re.findall(r"^\d+:([^:]*):(.*)$", text, re.MULTILINE):
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def parse_cpu_max(text: str) -> float | None:
    """Return the CPUs of a version 2 cpu.max, such as ``150000 100000``; None for ``max``."""
    quota, _, period = text.partition(" ")
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else None


def read_cpu(root: Path = ROOT) -> Cpu:
    """Read the processor facts of the kernel."""
    model = parse_cpuinfo(read_text(root / "proc/cpuinfo") or "")
    if model is None and (tree := read_text(root / "proc/device-tree/cpus/cpu@0/compatible")):
        model = tree.split()[0]
    n_cores = _count(read_text(root / "sys/devices/system/cpu/online") or "") or os.cpu_count() or 1
    load = (read_text(root / "proc/loadavg") or "").partition(" ")[0]
    return Cpu(
        model=model,
        architecture=platform.machine(),
        n_cores=n_cores,
        n_usable=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else n_cores,
        quota=_read_quota(root),
        clocks=read_cpu_clocks(root),
        load=float(load) if re.fullmatch(r"\d+\.\d+", load) else None,
    )


def read_memory(root: Path = ROOT) -> Memory:
    """Read the memory facts of the kernel."""
    total, available = parse_meminfo(read_text(root / "proc/meminfo") or "")
    limits = [
        read_int(group / name)
        for controller, name in (("", "memory.max"), ("memory", "memory.limit_in_bytes"))
        for group in _groups(root, controller)
    ]
    known = [limit for limit in limits if limit is not None and limit < _NO_LIMIT]
    return Memory(total, available, min(known, default=None))


def _read_quota(root: Path) -> float | None:
    quotas = [parse_cpu_max(read_text(g / "cpu.max") or "") for g in _groups(root, "")]
    for group in _groups(root, "cpu"):
        quota, period = (read_int(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        quotas.append(quota / period if quota and period and quota > 0 else None)
    return min((quota for quota in quotas if quota is not None), default=None)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and its parents, each of which may have a limit."""
    path = parse_cgroups(read_text(root / "proc/self/cgroup") or "").get(controller)
    if path is None:
        return
    mount = root / "sys/fs/cgroup" / controller
    group = mount / path.strip("/")
    yield group
    yield from (parent for parent in group.parents if parent.is_relative_to(mount))


def _count(ranges: str) -> int:
    """Return the number of CPUs in a list such as ``0-3,6``."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", ranges):
        return 0
    ends = [part.split("-") for part in ranges.split(",")]
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)
