"""What this process itself takes: memory, processor time and context switches. Linux only."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_SELF = Path("/proc/self")


@dataclass(frozen=True)
class Memory:
    """Memory of a process that lies in RAM; on a Jetson the GPU's share is not in it."""

    rss_bytes: int
    peak_rss_bytes: int
    """Since the program was started."""


def memory(process: Path = _SELF) -> Memory:
    """Return a process's memory, now and at most.

    Raises:
        OSError: there is no such process, or no /proc.
    """
    # Not ru_maxrss of getrusage: it lives on through exec, and so holds the parent's peak too.
    lines = (process / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return Memory(_bytes(fields, "VmRSS", process), _bytes(fields, "VmHWM", process))


def _bytes(fields: dict[str, str], name: str, process: Path) -> int:
    try:
        return int(fields[name].split()[0]) * 1024
    except (KeyError, IndexError, ValueError):
        raise OSError(f"{process}/status holds no {name}") from None


@dataclass(frozen=True)
class CpuTime:
    """What a process or a thread has had of the processors, from some moment on."""

    wall_s: float
    user_s: float
    system_s: float
    voluntary_switches: int
    """How often it waited for something."""
    involuntary_switches: int
    """How often it was put aside for another: many mean that processors are short."""

    @property
    def cpu_s(self) -> float:
        """Seconds of processors, in the program and in the kernel."""
        return self.user_s + self.system_s

    @property
    def cores(self) -> float:
        """Processors that were busy in the mean: 1.0 is one of them all the time."""
        return self.cpu_s / self.wall_s if self.wall_s else 0.0

    def since(self, earlier: CpuTime) -> CpuTime:
        """Return what came between an earlier moment and this one."""
        return CpuTime(
            self.wall_s - earlier.wall_s,
            self.user_s - earlier.user_s,
            self.system_s - earlier.system_s,
            self.voluntary_switches - earlier.voluntary_switches,
            self.involuntary_switches - earlier.involuntary_switches,
        )


def cpu_time(scope: Literal["process", "thread"] = "process") -> CpuTime:
    """Return this process's time with all its threads, or that of the calling thread alone.

    Two of them give a span: `cpu_time().since(before)`.
    """
    # Not /proc/self/status: its switches are those of the main thread only.
    who = resource.RUSAGE_SELF if scope == "process" else resource.RUSAGE_THREAD
    usage = resource.getrusage(who)
    return CpuTime(
        time.monotonic(), usage.ru_utime, usage.ru_stime, usage.ru_nvcsw, usage.ru_nivcsw
    )
