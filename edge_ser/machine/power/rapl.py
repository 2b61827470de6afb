"""Energy counters of x86 processors (RAPL) through powercap's files in sysfs."""

from __future__ import annotations

from pathlib import Path

from edge_ser.machine.power.sensor import Found, PowerSensor, Unit, What, read_number, read_text

_ZONES = "sys/class/powercap/intel-rapl:*"
"""AMD's processors appear under this name too. `intel-rapl-mmio` counts the same package once more."""

_UPDATE_S = 0.001

_KINDS: dict[str, What] = {"package": "cpu package", "dram": "memory", "psys": "platform"}
"""Zones that are read; `core` and `uncore` are parts of their package."""


class RaplZone:
    """One zone's counter, which starts again at 0 every few minutes to hours; here it goes on."""

    unit: Unit = "J"
    whole_board = False
    update_s: float | None = _UPDATE_S

    def __init__(self, name: str, what: What, zone: Path) -> None:
        """Take the counter's present value as the start.

        Raises:
            OSError: the counter may not be read, or is none.
        """
        self.name = name
        self.what = what
        self._counter = zone / "energy_uj"
        self._range_uj = read_number(zone / "max_energy_range_uj")
        self._last_uj = read_number(self._counter)
        self._total_uj = 0

    def read(self) -> float:
        """Return joules since the sensor was opened; call it before the counter can wrap twice.

        Raises:
            OSError: the counter does not answer.
        """
        now_uj = read_number(self._counter)
        step_uj = now_uj - self._last_uj
        if step_uj < 0:
            # It counts from 0 to the range, both included.
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
        # Since CVE-2020-8694 kernels let only root read what another process computes.
        reasons.append(
            "RAPL's counters may be read by root only; run as root, or until the next start: "
            "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
        )
    if not sensors and not reasons:
        reasons.append(
            "no RAPL under /sys/class/powercap (ARM has none, virtual machines seldom do)"
        )
    return Found(tuple(sensors), tuple(reasons))


def _numbered(name: str, zone: Path) -> str:
    """Return package-0 as it is, dram with the number of its package, psys as it is."""
    package = zone.name.split(":")[1]
    return f"{name}-{package}" if name == "dram" else name
