"""The one place that chooses a machine's power sensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from edge_ser.machine.power.ina import TotalPower, find_rails, whole_of
from edge_ser.machine.power.nvidia import find_nvml, find_smi
from edge_ser.machine.power.rapl import find_rapl
from edge_ser.machine.power.sensor import Found, PowerSensor, What
from edge_ser.machine.power.tegrastats import find_tegrastats

_APART: dict[What, str] = {"cpu package": "processor", "memory": "memory", "gpu": "GPU"}
"""What a computer measures in parts that do not hold one another, so that they may be added."""


@dataclass(frozen=True)
class Sensors:
    """A machine's sensors; use it as a context manager, or close it."""

    sensors: tuple[PowerSensor, ...]
    """Empty where there are none."""
    total: TotalPower | None
    """Those that add up to the whole, or to as much of it as is measured; None when not known."""
    reasons: tuple[str, ...]
    """Why other sensors are missing, one sentence each."""

    def close(self) -> None:
        """Let go of all sensors."""
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
        """Let go of all sensors."""
        self.close()


def find_gpus() -> Found:
    """Return the graphics cards, by NVML where its package is installed, else by nvidia-smi."""
    if (found := find_nvml()) is not None:
        return found
    by_smi = find_smi()
    if not by_smi.sensors:
        return by_smi
    why = "read through nvidia-smi; for energy counters: pip install 'edge-ser[power]'"
    return Found(by_smi.sensors, (*by_smi.reasons, why))


def open_sensors(
    root: Path = Path("/"),
    gpus: Callable[[], Found] = find_gpus,
    printed: Callable[[], Found] = find_tegrastats,
) -> Sensors:
    """Open what measures power here: a Jetson's rails, else the processor's and the GPUs' counters.

    The rails come from the monitors or, if none of them can be read, from tegrastats.

    Args:
        root: where `sys` and `proc` lie.
        gpus: finds graphics cards. It is not asked on a Jetson, whose GPU is in its rails.
        printed: finds the rails that tegrastats prints. It is asked if no monitor can be read.
    """
    rails = find_rails(root)
    if not rails.sensors:
        by_program = printed()
        rails = Found(by_program.sensors, (*rails.reasons, *by_program.reasons))
    if rails.sensors:
        total = whole_of([rail.name for rail in rails.sensors])
        return Sensors(rails.sensors, total, rails.reasons)
    parts = [find_rapl(root), gpus()]
    sensors = tuple(sensor for part in parts for sensor in part.sensors)
    reasons = (*rails.reasons, *(reason for part in parts for reason in part.reasons))
    return Sensors(sensors, _sum_of(sensors), reasons)


def _sum_of(sensors: tuple[PowerSensor, ...]) -> TotalPower | None:
    """Return the sensors that may be added, None where none may."""
    apart = [sensor for sensor in sensors if sensor.what in _APART]
    if not apart:
        return None
    what = dict.fromkeys(_APART[sensor.what] for sensor in apart)
    covers = f"{' and '.join(what)} only, not the board"
    return TotalPower(tuple(sensor.name for sensor in apart), covers, whole_board=False)
