"""Facts of the machine, as one record for reports."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_ser import __version__
from edge_ser.machine.cpu import Cpu, Memory, read_cpu, read_memory
from edge_ser.machine.gpu import Gpu, read_gpu
from edge_ser.machine.jetson import Jetson, read_jetson
from edge_ser.machine.packages import installed
from edge_ser.machine.reading import ROOT, Run, commands_of, read_text
from edge_ser.machine.thermal import Thermal, read_thermal

UNKNOWN = "unknown"

PACKAGES = (
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "soxr",
    "soundfile",
    "sounddevice",
    "onnx",
    "tensorrt",
    "tensorrt-rtx-cu12-bindings",
    "tensorrt-rtx-cu13-bindings",
    "cuda-python",
    "cuda-bindings",
    "pycuda",
    "torch",
)
"""Packages that measurements may depend on, by pip name."""


@dataclass(frozen=True)
class MachineFacts:
    """Current state of a machine. `dataclasses.asdict` converts it to JSON."""

    os: str
    """Such as `Ubuntu 22.04.5 LTS`."""
    kernel: str
    libc: str
    python: str
    environment: str | None
    """The folder of the virtual environment; None for the system's Python."""
    sees_system_packages: bool
    """Whether packages of the system's Python can be imported."""
    container: str | None
    """Container runtime: docker, podman, …; None if not in a known container."""
    cpu: Cpu
    memory: Memory
    thermal: Thermal
    jetson: Jetson | None
    gpu: Gpu | None
    packages: Mapping[str, str]
    """Versions of edge-ser and of the installed PACKAGES."""


def read_facts(root: Path = ROOT, run: Run | None = None) -> MachineFacts:
    """Read all facts. Facts that cannot be read are None or "unknown"; nothing is raised.

    Args:
        root: root folder of the machine's files; tests pass a tree of recorded files.
        run: function that runs commands there; None for the default of `reading.commands_of`.
    """
    run = run or commands_of(root)
    environment = sys.prefix if sys.prefix != sys.base_prefix else None
    return MachineFacts(
        os=parse_os_release(read_text(root / "etc/os-release") or "")
        or platform.system()
        or UNKNOWN,
        kernel=read_text(root / "proc/sys/kernel/osrelease") or platform.release() or UNKNOWN,
        libc=" ".join(platform.libc_ver()).strip() or UNKNOWN,
        python=platform.python_version(),
        environment=environment,
        sees_system_packages=environment is None or _sees_system(Path(environment)),
        container=_container(root),
        cpu=read_cpu(root),
        memory=read_memory(root),
        thermal=read_thermal(root),
        jetson=read_jetson(root, run),
        gpu=read_gpu(root, run),
        packages={"edge-ser": __version__, **installed(PACKAGES)},
    )


def parse_os_release(text: str) -> str | None:
    """Return the name in /etc/os-release."""
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip("\"'") or None
    return None


def parse_pyvenv(text: str) -> bool:
    """Return whether a pyvenv.cfg includes the system's packages."""
    values = {
        name.strip().lower(): value.strip().lower()
        for name, _, value in (line.partition("=") for line in text.splitlines())
    }
    return values.get("include-system-site-packages") == "true"


def _sees_system(environment: Path) -> bool:
    return parse_pyvenv(read_text(environment / "pyvenv.cfg") or "")


def _container(root: Path) -> str | None:
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    return os.environ.get("container") or None  # noqa: SIM112 (the spelling of systemd-nspawn and LXC)
