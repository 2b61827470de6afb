"""Resource usage of this process: memory, CPU time and context switches. Linux only."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_SELF = Path("/proc/self")


@dataclass(frozen=True)
class Memory:
    """Resident memory of a process; on a Jetson without memory allocated by the GPU."""

    rss_bytes: int
    peak_rss_bytes: int
    """Peak since the start of the program."""


def memory(process: Path = _SELF) -> Memory:
    """Return the current and the peak memory of a process.

    Raises:
        OSError: there is no such process, or no /proc.
    """
    # Not ru_maxrss of getrusage: it survives exec, so it would include the peak of the parent.
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
    """CPU time of a process or a thread since some moment."""

    wall_s: float
    user_s: float
    system_s: float
    voluntary_switches: int
    """Context switches because it waited."""
    involuntary_switches: int
    """Context switches by preemption; many indicate a shortage of CPUs."""

    @property
    def cpu_s(self) -> float:
        """CPU time in user and kernel mode, in seconds."""
        return self.user_s + self.system_s

    @property
    def cores(self) -> float:
        """Mean number of busy cores."""
        return self.cpu_s / self.wall_s if self.wall_s else 0.0

    def since(self, earlier: CpuTime) -> CpuTime:
        """Return the difference to an earlier measurement."""
        return CpuTime(
            self.wall_s - earlier.wall_s,
            self.user_s - earlier.user_s,
            self.system_s - earlier.system_s,
            self.voluntary_switches - earlier.voluntary_switches,
            self.involuntary_switches - earlier.involuntary_switches,
        )


def cpu_time(scope: Literal["process", "thread"] = "process") -> CpuTime:
    """Return the CPU time of this process with all its threads, or of the calling thread.

    The difference of two measurements gives a span: `cpu_time().since(before)`.
    """
    # Not /proc/self/status: its switches are those of the main thread only.
    who = resource.RUSAGE_SELF if scope == "process" else resource.RUSAGE_THREAD
    usage = resource.getrusage(who)
    return CpuTime(
        time.monotonic(), usage.ru_utime, usage.ru_stime, usage.ru_nvcsw, usage.ru_nivcsw
    )
