"""The CPU and the memory, and how much of them a container may use."""

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
"""Implementer and part of /proc/cpuinfo on 64-bit ARM: what Jetson boards and Raspberry Pis have."""

_NO_LIMIT = 1 << 60
"""Bytes. Version 1 control groups write about this where there is no limit."""


@dataclass(frozen=True)
class Cpu:
    """The processor."""

    model: str | None
    architecture: str
    """x86_64, aarch64, …"""
    n_cores: int
    """Logical CPUs that are online."""
    n_usable: int
    """Those that this process may run on."""
    quota: float | None
    """CPUs' worth of time that a container or service may use; None where there is no limit."""
    clocks: tuple[Clock, ...]
    """One for each group of CPUs; empty in most virtual machines."""
    load: float | None
    """Processes that ran or waited to run in the last minute, on average."""

    @property
    def governors(self) -> tuple[str, ...]:
        """What chooses the clocks, each once."""
        return tuple(dict.fromkeys(c.governor for c in self.clocks if c.governor))


@dataclass(frozen=True)
class Memory:
    """Main memory, in bytes. On a Jetson the GPU uses the same."""

    total: int | None
    available: int | None
    limit: int | None
    """What a container or service may use; None where there is no limit."""


def parse_cpuinfo(text: str) -> str | None:
    """Return the processor's name out of /proc/cpuinfo; several kinds of core with a + between."""
    parts = re.findall(r"CPU implementer\s*: (\S+)\n(?:.+\n)*?CPU part\s*: (\S+)", text)
    names = [_ARM_PARTS.get((i.lower(), p.lower())) for i, p in dict.fromkeys(parts)]
    if names and all(names):
        return " + ".join(name for name in names if name)
    model = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return model.group(1).strip() if model else None


def parse_meminfo(text: str) -> tuple[int | None, int | None]:
    """Return total and available bytes out of /proc/meminfo."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)
    found = {name: int(kib) * 1024 for name, kib in lines}
    return found.get("MemTotal"), found.get("MemAvailable")


def parse_cgroups(text: str) -> dict[str, str]:
    """Return this process's group by controller out of /proc/self/cgroup; version 2's is ``""``."""
    groups = {}
    for controllers, path in re.findall(r"^\d+:([^:]*):(.*)$", text, re.MULTILINE):
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def parse_cpu_max(text: str) -> float | None:
    """Return CPUs out of a version 2 group's cpu.max, such as ``150000 100000``; None for ``max``."""
    quota, _, period = text.partition(" ")
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else None


def read_cpu(root: Path = ROOT) -> Cpu:
    """Read what the kernel tells of the processor."""
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
    """Read what the kernel tells of the memory."""
    total, available = parse_meminfo(read_text(root / "proc/meminfo") or "")
    limits = [
        read_int(group / name)
        for controller, name in (("", "memory.max"), ("memory", "memory.limit_in_bytes"))
        for group in _own_groups(root, controller)
    ]
    known = [limit for limit in limits if limit is not None and limit < _NO_LIMIT]
    return Memory(total, available, min(known, default=None))


def _read_quota(root: Path) -> float | None:
    quotas = [parse_cpu_max(read_text(g / "cpu.max") or "") for g in _own_groups(root, "")]
    for group in _own_groups(root, "cpu"):
        quota, period = (read_int(group / f"cpu.cfs_{what}_us") for what in ("quota", "period"))
        quotas.append(quota / period if quota and period and quota > 0 else None)
    return min((quota for quota in quotas if quota is not None), default=None)


def _own_groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and those above it: each may have a limit."""
    own = parse_cgroups(read_text(root / "proc/self/cgroup") or "").get(controller)
    if own is None:
        return
    mount = root / "sys/fs/cgroup" / controller
    group = mount / own.strip("/")
    yield group
    yield from (parent for parent in group.parents if parent.is_relative_to(mount))


def _count(ranges: str) -> int:
    """Return how many CPUs a list such as ``0-3,6`` names."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", ranges):
        return 0
    ends = [part.split("-") for part in ranges.split(",")]
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)
