"""NVIDIA GPU: driver, and the state of a discrete GPU from `nvidia-smi`."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from edge_ser.machine.cuda_device import cuda_device
from edge_ser.machine.reading import ROOT, Run, commands_of, read_text

_QUERY = ("name", "temperature.gpu", "power.draw", "power.limit", "clocks.sm", "clocks.max.sm")

_REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
"""Field names of drivers from 535 on and of older ones; an unknown field makes the query fail."""

_REASON_BITS = {
    0x002: "application clocks",
    0x004: "power limit",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "heat (software)",
    0x040: "heat (hardware)",
    0x080: "power brake",
    0x100: "display clock",
}
"""Bits of nvmlClocksThrottleReasons in nvml.h. Bit 0 (idle) is no slowdown."""


@dataclass(frozen=True)
class GpuState:
    """State of a discrete GPU; None for values that it does not report."""

    name: str
    temperature_c: float | None
    power_w: float | None
    power_limit_w: float | None
    clock_mhz: float | None
    max_clock_mhz: float | None
    slowed_by: tuple[str, ...]
    """Reasons for a reduced clock, except idling."""


@dataclass(frozen=True)
class Gpu:
    """First NVIDIA GPU and its driver."""

    name: str | None
    """None if the loaded driver exposes no GPU, as in a container without --gpus."""
    compute_capability: str | None
    """Such as 8.7; also called SM version."""
    cuda: str | None
    """Newest CUDA version that the driver supports."""
    driver: str | None
    state: GpuState | None


def parse_driver_version(text: str) -> str | None:
    """Return the version in /proc/driver/nvidia/version."""
    found = re.search(r"^NVRM version:.*?\s{2,}(\d+\.\d+(?:\.\d+)?)\s", text + " ", re.MULTILINE)
    return found.group(1) if found else None


def parse_nvidia_smi(text: str) -> tuple[GpuState, ...]:
    """Return the GPUs in the output of `nvidia-smi --query-gpu=… --format=csv`, by its header.

    Columns may be missing or come in any order; `[N/A]` and `[Not Supported]` become None.
    """
    try:
        rows = list(csv.DictReader(text.splitlines(), skipinitialspace=True))
    except csv.Error:
        return ()
    states = []
    for row in rows:
        # Units are in the header and in the cells: `power.draw [W]` and `30.39 W`.
        cells = {(head or "").split(" [")[0]: str(cell or "") for head, cell in row.items()}
        if "name" not in cells:
            return ()
        active = next((cells[reason] for reason in _REASONS if reason in cells), "")
        states.append(
            GpuState(
                name=cells["name"],
                temperature_c=_number(cells.get("temperature.gpu")),
                power_w=_number(cells.get("power.draw")),
                power_limit_w=_number(cells.get("power.limit")),
                clock_mhz=_number(cells.get("clocks.current.sm", cells.get("clocks.sm"))),
                max_clock_mhz=_number(cells.get("clocks.max.sm")),
                slowed_by=parse_reasons(active),
            )
        )
    return tuple(states)


def parse_reasons(active: str) -> tuple[str, ...]:
    """Return the reasons in a mask such as ``0x0000000000000004``; empty for `[N/A]`."""
    if not re.fullmatch(r"0x[0-9a-fA-F]+", active):
        return ()
    return tuple(word for bit, word in _REASON_BITS.items() if int(active, 16) & bit)


def read_driver_version(root: Path = ROOT) -> str | None:
    """Return the version of the loaded NVIDIA driver; None if missing, as in JetPack 5."""
    text = read_text(root / "proc/driver/nvidia/version")
    return (parse_driver_version(text) if text else None) or read_text(
        root / "sys/module/nvidia/version"
    )


def read_gpu(root: Path = ROOT, run: Run | None = None) -> Gpu | None:
    """Read the first GPU; None without a GPU and a driver."""
    driver = read_driver_version(root)
    device = cuda_device() if root == ROOT else None
    if driver is None and device is None:
        return None
    return Gpu(
        name=device.name if device else None,
        compute_capability=device.compute_capability if device else None,
        cuda=device.cuda if device else None,
        driver=driver,
        state=_read_state(run or commands_of(root)) if driver else None,
    )


def _read_state(run: Run) -> GpuState | None:
    for reason in _REASONS:
        query = ",".join((*_QUERY, reason))
        if text := run("nvidia-smi", f"--query-gpu={query}", "--format=csv"):
            return next(iter(parse_nvidia_smi(text)), None)
    return None


def _number(cell: str | None) -> float | None:
    found = re.match(r"\d+(\.\d+)?", cell or "")
    return float(found.group()) if found else None
