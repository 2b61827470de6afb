"""Power monitors of Jetson boards (INA3221, INA238) through sysfs: no package, no privilege.

JetPack 5 and later use the kernel's hwmon drivers, JetPack 4 NVIDIA's own `ina3221x` under iio.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_ser.machine.power.sensor import Found, PowerSensor, Unit, What, read_number, read_text

_MODULE = "the module, without its carrier board"

_ALONE = {
    "VIN": "the module and its carrier board",
    "VDD_IN": _MODULE,
    "POM_5V_IN": _MODULE,
}
"""Rails that supply everything: AGX Thor's board; TX1, TX2, Xavier NX, Orin NX, Orin Nano; Nano."""

_SUMS = (
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
)
"""AGX Orin, AGX Xavier. VDDQ_VDD2_1V8AO is left out: AGX Orin makes it from VIN_SYS_5V0."""


@dataclass(frozen=True)
class TotalPower:
    """Rails whose sum is the total power of a machine, as far as it is measured."""

    names: tuple[str, ...]
    covers: str
    """Description of the covered parts, printed beside the number."""
    whole_board: bool = True


def is_total(name: str) -> bool:
    """Return whether this rail alone supplies the board."""
    return name in _ALONE


def total_of(names: Collection[str]) -> TotalPower | None:
    """Return the rails that sum to the total power of a board; None if not known."""
    for name, covers in _ALONE.items():
        if name in names:
            return TotalPower((name,), covers)
    for group in _SUMS:
        if all(name in names for name in group):
            return TotalPower(group, _MODULE)
    return None


_HWMON = "sys/bus/i2c/drivers/ina[0-9]*/*/hwmon/hwmon*"
_IIO = "sys/bus/i2c/drivers/ina3221x/*/iio:device*"
_THOR = "nvidia,tegra264"

_NOT_CONNECTED = "NC"
"""Label of an unconnected channel (AGX Orin)."""


@dataclass(frozen=True)
class InaRail:
    """Channel of a power monitor; its power is the product of one or two files."""

    name: str
    factors: tuple[Path, ...]
    scale: float
    """Watts for a product of 1."""
    update_s: float | None
    unit: Unit = "W"

    @property
    def whole_board(self) -> bool:
        """Whether this rail alone supplies the board."""
        return is_total(self.name)

    @property
    def what(self) -> What:
        """`board` if the rail supplies the board, else `rail`."""
        return "board" if self.whole_board else "rail"

    def read(self) -> float:
        """Return watts; an idle rail may show a little less than 0.

        Raises:
            OSError: the monitor does not answer.
        """
        watts = self.scale
        for path in self.factors:
            watts *= read_number(path)
        return watts

    def close(self) -> None:
        """Do nothing: no file stays open."""


def find_rails(root: Path) -> Found:
    """Return the rails of all monitors below `root`, ordered by bus and channel."""
    rails = [rail for device in sorted(root.glob(_HWMON)) for rail in _hwmon_rails(device, root)]
    rails += [rail for device in sorted(root.glob(_IIO)) for rail in _iio_rails(device)]
    if not rails:
        return Found((), ("no Jetson power monitor (INA3221) under /sys/bus/i2c/drivers",))
    working: list[PowerSensor] = []
    reasons: list[str] = []
    for rail in rails:
        try:
            rail.read()
        except PermissionError as error:
            reasons.append(
                f"{rail.name} is not readable by this user; "
                f"run as root, or: sudo chmod a+r {error.filename or rail.factors[0]}"
            )
        except OSError as error:
            reasons.append(f"{rail.name} does not answer ({error.strerror or error})")
        else:
            working.append(rail)
    return Found(tuple(working), tuple(reasons))


def _hwmon_rails(device: Path, root: Path) -> Iterator[InaRail]:
    """Yield the channels of a hwmon device that have a label and a current, or its single power."""
    update_s = _update_s(device)
    labels = sorted(device.glob("in*_label"))
    for label in labels:
        channel = label.name.removeprefix("in").removesuffix("_label")
        current = device / f"curr{channel}_input"
        # Channel 7 is a sum of shunt voltages: it has a label and no current.
        if current.exists() and (name := _text(label)) and name != _NOT_CONNECTED:
            factors = (device / f"in{channel}_input", current)
            yield InaRail(name, factors, 1e-6, update_s)
    if not labels and (device / "power1_input").exists():
        yield InaRail(_name_of_single(device, root), (device / "power1_input",), 1e-6, update_s)


def _name_of_single(device: Path, root: Path) -> str:
    """Return the name of a monitor with one channel, which has no channel label.

    On AGX Thor the INA238 measures the input of the kit; NVIDIA's tools call it VIN.
    """
    if label := _text(device / "label"):
        return label
    compatible = _text(root / "proc/device-tree/compatible")
    return "VIN" if _THOR in compatible else f"{_text(device / 'name')} {device.parents[1].name}"


def _iio_rails(device: Path) -> Iterator[InaRail]:
    for label in sorted(device.glob("rail_name_*")):
        power = device / f"in_power{label.name.removeprefix('rail_name_')}_input"
        if (name := _text(label)) and name != _NOT_CONNECTED and power.exists():
            yield InaRail(name, (power,), 1e-3, None)


def _update_s(device: Path) -> float | None:
    try:
        return read_number(device / "update_interval") / 1000 or None
    except OSError:
        return None


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except OSError:
        return ""
