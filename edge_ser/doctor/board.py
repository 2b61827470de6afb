"""Checks of the machine: its hardware, and causes of high or unsteady latency."""

from __future__ import annotations

import shutil
from pathlib import Path

from edge_ser.doctor.check import OK, UNKNOWN, WARNING, Check, Examine, Probes
from edge_ser.machine.clocks import Clock, all_locked

_LOW_DISK = 1 << 30
_LOW_MEMORY = 512 << 20


def system(here: Probes) -> Check:
    """Operating system, kernel, and whether this is a container."""
    facts = here.facts
    inside = f", in a container ({facts.container})" if facts.container else ""
    return Check("system", f"{facts.os}, kernel {facts.kernel}{inside}")


def jetson_linux(here: Probes) -> Check | None:
    """JetPack and Jetson Linux, on a Jetson."""
    jetson = here.facts.jetson
    if jetson is None:
        return None
    if jetson.l4t is None:
        return Check(
            "JetPack",
            "unknown: neither /etc/nv_tegra_release nor the package nvidia-l4t-core was found",
            UNKNOWN,
            "in a container: docker run -v /etc/nv_tegra_release:/etc/nv_tegra_release:ro",
        )
    known = f"JetPack {jetson.jetpack}" if jetson.jetpack else "JetPack unknown"
    return Check("JetPack", f"{known}, Jetson Linux {jetson.l4t}")


def module(here: Probes) -> Check | None:
    """Name of the board."""
    jetson = here.facts.jetson
    if jetson is None:
        return None
    return Check("module", jetson.module or "unknown", OK if jetson.module else UNKNOWN)


def cpu(here: Probes) -> Check:
    """Processor, and the CPUs that may be used."""
    cpu = here.facts.cpu
    cores = f"{cpu.n_cores} cores" if cpu.n_cores > 1 else "1 core"
    usable = f", {cpu.n_usable} for this process" if cpu.n_usable < cpu.n_cores else ""
    found = f"{cpu.model or cpu.architecture}, {cores}{usable}"
    if cpu.quota is not None and cpu.quota < 1:
        return Check(
            "CPU",
            f"{found}; limited to {cpu.quota:g} of one",
            WARNING,
            "give the container or service at least one CPU: docker run --cpus 1, or CPUQuota=100%",
        )
    return Check("CPU", found + (f"; limited to {cpu.quota:g}" if cpu.quota else ""))


def memory(here: Probes) -> Check:
    """Free memory, within a container's limit."""
    memory = here.facts.memory
    if memory.total is None or memory.available is None:
        return Check("memory", "unknown", UNKNOWN)
    limit = f"; limited to {_size(memory.limit)}" if memory.limit else ""
    found = f"{_size(memory.available)} free of {_size(memory.total)}{limit}"
    free = min(memory.available, memory.limit or memory.available)
    if free < _LOW_MEMORY:
        return Check(
            "memory", found, WARNING, f"end other programs: {_size(_LOW_MEMORY)} are needed"
        )
    return Check("memory", found)


def disk(here: Probes) -> Check:  # noqa: ARG001
    """Free space for outputs and caches."""
    folders = (Path.cwd(), Path.home())
    free, folder = min((shutil.disk_usage(p).free, p) for p in folders if p.exists())
    found = f"{_size(free)} free in {folder}"
    if free < _LOW_DISK:
        return Check(
            "disk", found, WARNING, f"free some space: models and engines need {_size(_LOW_DISK)}"
        )
    return Check("disk", found)


def power_mode(here: Probes) -> Check | None:
    """Whether a Jetson is in its fastest power mode."""
    jetson = here.facts.jetson
    if jetson is None:
        return None
    mode, fastest = jetson.power_mode, jetson.fastest_mode
    if mode is None:
        return Check("power mode", "unknown", UNKNOWN, "query the board: sudo nvpmodel -q")
    if "MAXN" in mode.name.upper() or (fastest and mode.rank >= fastest.rank):
        return Check("power mode", f"{mode.name}, the fastest")
    if fastest is None:
        how = "find MAXN in /etc/nvpmodel.conf and set it: sudo nvpmodel -m NUMBER"
    else:
        how = f"sudo nvpmodel -m {fastest.id}   ({fastest.name})"
    return Check("power mode", f"{mode.name}: clocks are capped to save power", WARNING, how)


def clocks(here: Probes) -> Check | None:
    """Whether a Jetson's clocks change with the load."""
    jetson = here.facts.jetson
    if jetson is None:
        return None
    known = [*here.facts.cpu.clocks, *filter(None, (jetson.gpu_clock, jetson.memory_clock))]
    locked = all_locked(known)
    if locked is None:
        return Check("clocks", "unknown", UNKNOWN, "query the board: sudo jetson_clocks --show")
    cpu = [c for c in known if c.name.startswith("cpu")]
    found = "; ".join(
        f"{name} {_range(clocks)}"
        for name, clocks in (("CPU", cpu), ("GPU", [c for c in (jetson.gpu_clock,) if c]))
        if clocks
    )
    if locked:
        return Check("clocks", f"locked: {found}")
    return Check(
        "clocks",
        f"change with the load: {found}",
        WARNING,
        "for steady latency, after each start: sudo jetson_clocks",
    )


def governor(here: Probes) -> Check | None:
    """Governor of the CPU clock; on a Jetson the check `clocks` covers it."""
    cpu = here.facts.cpu
    if here.facts.jetson is not None or not cpu.clocks:
        return None
    found = f"{', '.join(cpu.governors) or 'unknown'}: {_range(list(cpu.clocks))}"
    if set(cpu.governors) <= {"performance"} or all_locked(cpu.clocks):
        return Check("CPU clock", found)
    return Check(
        "CPU clock",
        found,
        WARNING,
        "windows after a pause take longer; for measuring: sudo cpupower frequency-set -g performance",
    )


def heat(here: Probes) -> Check | None:
    """Temperature, and throttling because of heat or current."""
    thermal, warmest = here.facts.thermal, here.facts.thermal.warmest
    gpu = here.facts.gpu.state if here.facts.gpu else None
    slowed = [*thermal.slowed_by, *(f"GPU: {why}" for why in (gpu.slowed_by if gpu else ()))]
    if warmest is None and not slowed and thermal.over_current_events is None:
        return None
    parts = [f"{warmest.celsius:.0f} °C ({warmest.name})"] if warmest else []
    if slowed:
        return Check(
            "heat",
            ", ".join([*parts, f"slowed down by {', '.join(slowed)}"]),
            WARNING,
            "cool the machine (fan, air flow) or lower its power limit, then check again",
        )
    if thermal.over_current_events:
        return Check(
            "heat",
            ", ".join([*parts, f"slowed down {thermal.over_current_events} times by its supply"]),
            WARNING,
            "use a power supply and a cable rated for the power mode, or a lower power mode",
        )
    return Check("heat", ", ".join([*parts, "not slowed down"]))


def _range(clocks: list[Clock]) -> str:
    low, high = min(c.min_hz for c in clocks), max(c.max_hz for c in clocks)
    return f"{high / 1e6:.0f} MHz" if low == high else f"{low / 1e6:.0f} to {high / 1e6:.0f} MHz"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / (1 << 30):.1f} GiB" if n_bytes >= 1 << 30 else f"{n_bytes >> 20} MiB"


CHECKS: tuple[Examine, ...] = (
    system,
    jetson_linux,
    module,
    cpu,
    memory,
    disk,
    power_mode,
    clocks,
    governor,
    heat,
)
