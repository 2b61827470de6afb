"""A Jetson board: release, module, power mode and clocks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edge_ser.machine.clocks import Clock, parse_jetson_clocks, read_gpu_clock
from edge_ser.machine.l4t import read_l4t
from edge_ser.machine.power_mode import PowerMode, read_fastest_mode, read_power_mode
from edge_ser.machine.reading import ROOT, Run, commands_of, read_text


@dataclass(frozen=True)
class Jetson:
    """What a board says of itself; None for what it does not say."""

    module: str | None
    """Such as `NVIDIA Jetson Orin Nano Developer Kit`, by the device tree."""
    l4t: str | None
    """Jetson Linux, such as 36.4.3."""
    jetpack: str | None
    """JetPack, such as 6.2."""
    power_mode: PowerMode | None
    fastest_mode: PowerMode | None
    """The fastest that the board offers."""
    gpu_clock: Clock | None
    memory_clock: Clock | None
    """The external memory controller's (EMC); only root is told."""


def read_jetson(root: Path = ROOT, run: Run | None = None) -> Jetson | None:
    """Read what the board says; None on a machine that is no Jetson."""
    run = run or commands_of(root)
    model = read_text(root / "proc/device-tree/model")
    compatible = read_text(root / "proc/device-tree/compatible") or ""
    l4t, jetpack = read_l4t(root)
    if l4t is None and "nvidia,tegra" not in compatible:
        return None
    # jetson_clocks refuses everybody but root, after a second of trying.
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
