"""Selection of a machine's power sensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from edge_ser.machine.power.ina import TotalPower, find_rails, total_of
from edge_ser.machine.power.nvidia import find_nvml, find_smi
from edge_ser.machine.power.rapl import find_rapl
from edge_ser.machine.power.sensor import Found, PowerSensor, What
from edge_ser.machine.power.tegrastats import find_tegrastats

_APART: dict[What, str] = {"cpu package": "processor", "memory": "memory", "gpu": "GPU"}
"""Disjoint parts of a computer, whose powers may be added."""


@dataclass(frozen=True)
class Sensors:
    """Open sensors of a machine; use it as a context manager, or close it."""

    sensors: tuple[PowerSensor, ...]
    """Empty without sensors."""
    total: TotalPower | None
    """Sensors that sum to the total, or to its measured part; None if not known."""
    unavailable: tuple[str, ...]
    """Reasons why other sensors are missing, one sentence each."""

    def close(self) -> None:
        """Close all sensors."""
        for sensor in self.sensors:
            sensor.close()

    def __enter__(self) -> Sensors:
        """Return the open sensors."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all sensors."""
        self.close()


def find_gpus() -> Found:
    """Return the GPUs, from NVML if its package is installed, else from nvidia-smi."""
    if (found := find_nvml()) is not None:
        return found
    by_smi = find_smi()
    if not by_smi.sensors:
        return by_smi
    why = "read through nvidia-smi; for energy counters: pip install 'edge-ser[power]'"
    return Found(by_smi.sensors, (*by_smi.unavailable, why))


def open_sensors(
    root: Path = Path("/"),
    gpus: Callable[[], Found] = find_gpus,
    printed: Callable[[], Found] = find_tegrastats,
) -> Sensors:
    """Open the power sensors: a Jetson's rails, else the counters of processor and GPUs.

    The rails come from the monitors or, if none of them can be read, from tegrastats.

    Args:
        root: folder that contains `sys` and `proc`.
        gpus: finds the GPUs; not called on a Jetson, whose rails include the GPU.
        printed: finds the rails of tegrastats; called if no monitor can be read.
    """
    rails = find_rails(root)
    if not rails.sensors:
        by_program = printed()
        rails = Found(by_program.sensors, (*rails.unavailable, *by_program.unavailable))
    if rails.sensors:
        total = total_of([rail.name for rail in rails.sensors])
        return Sensors(rails.sensors, total, rails.unavailable)
    parts = [find_rapl(root), gpus()]
    sensors = tuple(sensor for part in parts for sensor in part.sensors)
    unavailable = (*rails.unavailable, *(reason for part in parts for reason in part.unavailable))
    return Sensors(sensors, _sum_of(sensors), unavailable)


def _sum_of(sensors: tuple[PowerSensor, ...]) -> TotalPower | None:
    """Return the sensors that may be added; None without such sensors."""
    apart = [sensor for sensor in sensors if sensor.what in _APART]
    if not apart:
        return None
    what = dict.fromkeys(_APART[sensor.what] for sensor in apart)
    covers = f"{' and '.join(what)} only, not the board"
    return TotalPower(tuple(sensor.name for sensor in apart), covers, whole_board=False)
