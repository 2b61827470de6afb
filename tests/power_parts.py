"""Trees of sysfs as power monitors and counters have them, and sensors with a known curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_ser.machine.power.ina import TotalPower
from edge_ser.machine.power.sensor import Unit, What
from edge_ser.machine.power.sensors import Sensors


def write(path: Path, content: object) -> None:
    """Write a file of sysfs, with its line end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{content}\n")


def hwmon(
    root: Path,
    rails: Mapping[str, tuple[int, int]],
    *,
    address: str = "1-0040",
    number: int = 3,
    update_ms: int | None = 34,
) -> Path:
    """Write an INA3221 under the kernel's driver: name → (mV, mA), and the sum that channel 7 is."""
    device = root / f"sys/bus/i2c/drivers/ina3221/{address}/hwmon/hwmon{number}"
    write(device / "name", "ina3221")
    for channel, (name, (millivolts, milliamperes)) in enumerate(rails.items(), start=1):
        write(device / f"in{channel}_label", name)
        write(device / f"in{channel}_input", millivolts)
        write(device / f"curr{channel}_input", milliamperes)
        write(device / f"in{channel + 3}_input", 1)
    write(device / "in7_label", "sum of shunt voltages")
    write(device / "in7_input", 3)
    if update_ms is not None:
        write(device / "update_interval", update_ms)
    return device


def iio(root: Path, rails: Mapping[str, int], *, address: str = "6-0040", number: int = 0) -> Path:
    """Write an INA3221 under JetPack 4's driver: name → mW."""
    device = root / f"sys/bus/i2c/drivers/ina3221x/{address}/iio:device{number}"
    for channel, (name, milliwatts) in enumerate(rails.items()):
        write(device / f"rail_name_{channel}", name)
        write(device / f"in_power{channel}_input", milliwatts)
    return device


def powercap(
    root: Path, zone: str, name: str, microjoules: int, range_uj: int = 262143328850
) -> Path:
    """Write one zone of RAPL."""
    path = root / f"sys/class/powercap/{zone}"
    write(path / "name", name)
    write(path / "energy_uj", microjoules)
    write(path / "max_energy_range_uj", range_uj)
    return path


@dataclass
class Clock:
    """A clock that moves only when it is told to."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class SimulatedSensor:
    """A sensor whose reading is a function of the time."""

    curve: Callable[[float], float]
    clock: Callable[[], float]
    name: str = "VDD_IN"
    what: What = "board"
    unit: Unit = "W"
    whole_board: bool = True
    update_s: float | None = 0.001
    gone_from_s: float = float("inf")
    silent: set[int] = field(default_factory=set)
    """Numbers of the reads that fail, from 0."""
    reads: int = 0
    closed: bool = False

    def read(self) -> float:
        number, self.reads = self.reads, self.reads + 1
        if number in self.silent:
            raise OSError(121, "Remote I/O error")
        if self.clock() >= self.gone_from_s:
            raise FileNotFoundError(2, "No such file or directory")
        return self.curve(self.clock())

    def close(self) -> None:
        self.closed = True


def sensors_of(*sensors: SimulatedSensor, total: TotalPower | None = None) -> Sensors:
    """Return sensors whose sum is the whole board, unless said otherwise."""
    names = tuple(sensor.name for sensor in sensors)
    return Sensors(sensors, total or TotalPower(names, "all of it"), ())
