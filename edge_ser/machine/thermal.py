"""Temperatures, and throttling because of heat or current."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge_ser.machine.reading import ROOT, below, read_int, read_text

_SLOWS = re.compile(r"throttle|balanced|cpufreq|devfreq|^Processor$", re.IGNORECASE)
"""Cooling devices that reduce clocks. A fan with a state above 0 is merely running."""

_COUNTER = re.compile(r"oc(\d+)_event_cnt")


@dataclass(frozen=True)
class Zone:
    """Thermal zone."""

    name: str
    celsius: float


@dataclass(frozen=True)
class Thermal:
    """Temperatures and throttling of a machine."""

    zones: tuple[Zone, ...]
    slowed_by: tuple[str, ...]
    """Cooling devices that reduce clocks now."""
    over_current_events: int | None
    """Throttling events of a Jetson since the start, because of over-current or under-voltage; None
    without a counter."""

    @property
    def warmest(self) -> Zone | None:
        """Zone with the highest temperature."""
        return max(self.zones, key=lambda zone: zone.celsius, default=None)


def read_thermal(root: Path = ROOT) -> Thermal:
    """Read all zones and counters of the kernel; zones of suspended units are skipped."""
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
