"""Energy counters of x86 processors (RAPL) through powercap's files in sysfs."""

from __future__ import annotations

from pathlib import Path

from edge_ser.machine.power.sensor import Found, PowerSensor, Unit, What, read_number, read_text

_ZONES = "sys/class/powercap/intel-rapl:*"
"""AMD processors use this name too. `intel-rapl-mmio` counts the same package a second time."""

_UPDATE_S = 0.001

_KINDS: dict[str, What] = {"package": "cpu package", "dram": "memory", "psys": "platform"}
"""Zones that are read; `core` and `uncore` are parts of their package."""


class RaplZone:
    """Energy counter of a zone; its wrap-around, after minutes to hours, is compensated."""

    unit: Unit = "J"
    whole_board = False
    update_s: float | None = _UPDATE_S

    def __init__(self, name: str, what: What, zone: Path) -> None:
        """Use the present value of the counter as the start.

        Raises:
            OSError: the counter cannot be read, or holds no number.
        """
        self.name = name
        self.what = what
        self._counter = zone / "energy_uj"
        self._range_uj = read_number(zone / "max_energy_range_uj")
        self._last_uj = read_number(self._counter)
        self._total_uj = 0

    def read(self) -> float:
        """Return joules since the sensor was opened; call it before the counter wraps twice.

        Raises:
            OSError: the counter does not answer.
        """
        now_uj = read_number(self._counter)
        step_uj = now_uj - self._last_uj
        if step_uj < 0:
            # The counter runs from 0 to the range, inclusive.
            step_uj += self._range_uj + 1
        self._total_uj += step_uj
        self._last_uj = now_uj
        return self._total_uj * 1e-6

    def close(self) -> None:
        """Do nothing: no file stays open."""


def find_rapl(root: Path) -> Found:
    """Return package, memory and platform counters under `root`."""
    sensors: list[PowerSensor] = []
    denied = False
    reasons: list[str] = []
    for zone in sorted(root.glob(_ZONES)):
        try:
            name = read_text(zone / "name")
            kind = _KINDS.get(name.split("-")[0])
            if kind is not None:
                sensors.append(RaplZone(_numbered(name, zone), kind, zone))
        except PermissionError:
            denied = True
        except OSError as error:
            reasons.append(f"RAPL's {zone.name} does not answer ({error.strerror or error})")
    if denied:
        # Since CVE-2020-8694, kernels restrict the counters to root.
        reasons.append(
            "RAPL counters are readable by root only; run as root, or until the next start: "
            "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
        )
    if not sensors and not reasons:
        reasons.append(
            "no RAPL under /sys/class/powercap (ARM has none, virtual machines seldom do)"
        )
    return Found(tuple(sensors), tuple(reasons))


def _numbered(name: str, zone: Path) -> str:
    """Return the name of a zone; dram gets the number of its package."""
    package = zone.name.split(":")[1]
    return f"{name}-{package}" if name == "dram" else name
