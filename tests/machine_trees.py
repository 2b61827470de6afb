"""File trees of machines: recorded files in their places, and /sys made from recorded values."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from support import ROOT

from edge_ser.machine.clocks import parse_jetson_clocks

RECORDED = ROOT / "tests" / "recorded_machines"

PLACES = {
    "nv_tegra_release": "etc/nv_tegra_release",
    "nvpmodel.conf": "etc/nvpmodel.conf",
    "model": "proc/device-tree/model",
}

GPU_FOLDERS = {
    "nano-jetpack4": "sys/devices/gpu.0/devfreq/57000000.gpu",
    "orin-jetpack5": "sys/class/devfreq/17000000.ga10b",
    "orin-nx-jetpack6": "sys/devices/platform/17000000.gpu/devfreq_dev",
    "orin-nano-jetpack7": "sys/class/devfreq/17000000.gpu",
    "agx-orin-jetpack7": "sys/class/devfreq/17000000.gpu",
    "thor-jetpack7": "sys/class/devfreq/gpu-gpc-0",
}
"""Where each generation keeps the clock of its GPU."""

BOARDS = tuple(GPU_FOLDERS)


def recorded(board: str, file: str) -> str:
    return (RECORDED / board / file).read_text(encoding="utf-8")


def write(root: Path, files: Mapping[str, object]) -> Path:
    """Write text files below a root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    return root


def dpkg(package: str, version: str, status: str = "install ok installed") -> str:
    """Return the paragraph of a package in dpkg's status file."""
    return (
        f"Package: {package}\nStatus: {status}\nPriority: standard\nSection: metapackages\n"
        f"Maintainer: NVIDIA Corporation\nArchitecture: arm64\nVersion: {version}\n"
        f"Description: NVIDIA Jetpack Meta Package\n"
    )


def board_tree(root: Path, board: str) -> Path:
    """Make the tree of a recorded board: release, device tree, cpufreq and devfreq."""
    for name, place in PLACES.items():
        source = RECORDED / board / name
        if source.is_file():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / place)
    for clock in parse_jetson_clocks(recorded(board, "jetson_clocks-show.txt")):
        if clock.name.startswith("cpu"):
            number = clock.name.removeprefix("cpu")
            folder = f"sys/devices/system/cpu/cpufreq/policy{number}"
            write(
                root,
                {
                    f"{folder}/affected_cpus": number,
                    f"{folder}/scaling_min_freq": clock.min_hz // 1000,
                    f"{folder}/scaling_max_freq": clock.max_hz // 1000,
                    f"{folder}/scaling_cur_freq": (clock.current_hz or 0) // 1000,
                    f"{folder}/scaling_governor": clock.governor,
                },
            )
        elif clock.name in {"gpu", "gpu-gpc-0"}:
            folder = GPU_FOLDERS[board]
            write(
                root,
                {
                    f"{folder}/min_freq": clock.min_hz,
                    f"{folder}/max_freq": clock.max_hz,
                    f"{folder}/cur_freq": clock.current_hz,
                    f"{folder}/governor": "nvhost_podgov",
                },
            )
    return root


class Commands:
    """Stand in for a machine's commands: what each prints, by its first word."""

    def __init__(self, **outputs: str) -> None:
        self.outputs = outputs
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *words: str) -> str | None:
        self.asked.append(words)
        return self.outputs.get(words[0])


def board_commands(board: str, **more: str) -> Commands:
    """Return a board's recorded commands."""
    return Commands(
        nvpmodel=recorded(board, "nvpmodel-q.txt"),
        jetson_clocks=recorded(board, "jetson_clocks-show.txt"),
        **more,
    )
