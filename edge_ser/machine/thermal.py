"""Temperatures, and whether the machine slows itself down because of heat or current."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge_ser.machine.reading import ROOT, below, read_int, read_text

_SLOWS = re.compile(r"throttle|balanced|cpufreq|devfreq|^Processor$", re.IGNORECASE)
"""Cooling devices that take speed away. A fan's state above 0 only means that it turns."""

_COUNTER = re.compile(r"oc(\d+)_event_cnt")


@dataclass(frozen=True)
class Zone:
    """One temperature."""

    name: str
    celsius: float


@dataclass(frozen=True)
class Thermal:
    """How warm the machine is, and what it does about it."""

    zones: tuple[Zone, ...]
    slowed_by: tuple[str, ...]
    """Cooling devices that take speed away now."""
    over_current_events: int | None
    """How often since the start a Jetson was slowed down because it drew too much current or its supply
    broke in; None where nobody counts."""

    @property
    def warmest(self) -> Zone | None:
        """The highest temperature."""
        return max(self.zones, key=lambda zone: zone.celsius, default=None)


def read_thermal(root: Path = ROOT) -> Thermal:
    """Read all that the kernel tells; zones whose part sleeps tell nothing and are left out."""
    folder = root / "sys/class/thermal"
    zones = []
    for zone in below(folder, "thermal_zone*"):
        milli, name = read_int(zone / "temp"), read_text(zone / "type")
        # A sensor without power reads -256 °C or so.
        if milli is not None and milli > -100_000:
            zones.append(Zone(name or zone.name, milli / 1000))
    slowed = [
        name
        for device in below(folder, "cooling_device*")
        if (name := read_text(device / "type")) and _SLOWS.search(name)
        if (read_int(device / "cur_state") or 0) > 0
    ]
    counts = [
        count
        for monitor in below(root / "sys/class/hwmon", "hwmon*")
        for file in below(monitor, "oc*_event_cnt")
        if _COUNTER.fullmatch(file.name) and (count := read_int(file)) is not None
    ]
    return Thermal(tuple(zones), tuple(slowed), sum(counts) if counts else None)
