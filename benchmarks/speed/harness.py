"""Time contestants in turns on one core: what else the machine does meets them all alike."""

from __future__ import annotations

import gc
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from edge_ser.machine.cpu import read_cpu

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TORCHINDUCTOR_COMPILE_THREADS",
)
_LOOK_S = 0.5


@dataclass(frozen=True)
class Contestant:
    """What is timed: `run` does the work once."""

    name: str
    run: Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """What one contestant took, turn by turn, in ms."""

    name: str
    times_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        """The middle one."""
        return self.percentile(50)

    @property
    def quartiles_ms(self) -> tuple[float, float]:
        """What a quarter and three quarters of the turns stay below."""
        return self.percentile(25), self.percentile(75)

    def percentile(self, percent: float) -> float:
        """Return what `percent` of the turns stay below."""
        return float(np.percentile(self.times_ms, percent))

    def ratio(self, other: Timing) -> float:
        """Return how many times as long as another this takes, by medians."""
        return self.median_ms / other.median_ms


def in_turns(
    contestants: Sequence[Contestant],
    rounds: int,
    *,
    in_a_row: int = 1,
    warm_up: int = 3,
    seed: int = 0,
) -> dict[str, Timing]:
    """Let each contestant have a turn a round, in an order drawn anew each round; return times by name.

    Args:
        contestants: names must differ.
        rounds: how often each is timed.
        in_a_row: runs in one turn, of which the mean counts: with one, whoever is short meets caches
            that the others have filled.
        warm_up: rounds before those, which do not count.
        seed: of the order.

    Raises:
        ValueError: two contestants of one name, no rounds, or no runs.
    """
    names = [contestant.name for contestant in contestants]
    if len(set(names)) < len(names) or rounds < 1 or in_a_row < 1:
        raise ValueError(
            f"contestants {names}, {rounds} rounds of {in_a_row}; different names and 1 are wanted"
        )
    times: dict[str, list[float]] = {name: [] for name in names}
    draw = random.Random(seed)  # noqa: S311 (an order, no secret)
    with no_collector():
        for turn in range(-warm_up, rounds):
            for contestant in draw.sample(contestants, len(contestants)):
                begin = time.perf_counter_ns()
                for _ in range(in_a_row):
                    contestant.run()
                took = (time.perf_counter_ns() - begin) / in_a_row
                if turn >= 0:
                    times[contestant.name].append(took / 1e6)
    return {name: Timing(name, tuple(values)) for name, values in times.items()}


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep the garbage collector out, having let it run before."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def on_one_core() -> None:
    """Start the program anew with one thread for each library, and stay on the idlest core."""
    one_each = dict.fromkeys(_THREADS, "1")
    if not one_each.items() <= os.environ.items():
        os.execve(sys.executable, sys.orig_argv, os.environ | one_each)  # noqa: S606 (itself)
    os.sched_setaffinity(0, {idlest_core()})


def idlest_core() -> int:
    """Return the number of the core, of those allowed, that was idle most for half a second."""
    before = _idle_ticks()
    time.sleep(_LOOK_S)
    after = _idle_ticks()
    return max(sorted(os.sched_getaffinity(0)), key=lambda core: after[core] - before[core])


def _idle_ticks() -> dict[int, int]:
    lines = Path("/proc/stat").read_text(encoding="utf-8").splitlines()
    cores = [line.split() for line in lines if line.startswith("cpu") and line[3].isdigit()]
    return {int(fields[0][3:]): int(fields[4]) for fields in cores}


def machine() -> str:
    """Return the processor, its cores and the load of the last minute, in one line."""
    cpu = read_cpu()
    load = "unknown" if cpu.load is None else f"{cpu.load:.1f}"
    return f"{cpu.model or cpu.architecture}, one of {cpu.n_cores} cores; load {load}"


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of installed packages, `not installed` for others."""
    found = {"Python": ".".join(map(str, sys.version_info[:3]))}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
