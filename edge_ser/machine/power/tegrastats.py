"""Output of `tegrastats` on a Jetson, JetPack 4 to 7, and its rails as sensors.

The rails are used if the monitors (`ina`) cannot be read, as in a container without their sysfs files
or on a board with an unknown driver. They give the values of the monitors at a lower rate.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from edge_ser.errors import ConfigError, MissingDependency
from edge_ser.machine.power.ina import is_total
from edge_ser.machine.power.line_process import LineProcess
from edge_ser.machine.power.sensor import Found, Unit, What

_RAM = re.compile(r"(?<!\S)RAM\s+(\d+)/(\d+)MB")
_SWAP = re.compile(r"(?<!\S)SWAP\s+(\d+)/(\d+)MB")
_CPU = re.compile(r"(?<!\S)CPU\s+\[([^\]]*)\](?:@(\d+))?")
_CORE = re.compile(r"(\d+)%(?:@(\d+))?")
_GPU = re.compile(r"(?<!\S)GR3D_FREQ\s+(?:(\d+)%)?(?:@(?:\[([\d,]+)\]|(\d+)))?")
_EMC = re.compile(r"(?<!\S)EMC_FREQ\s+(\d+)%(?:@(\d+))?")
_TEMPERATURE = re.compile(r"(?<!\S)(\w+)@(-?[\d.]+)C(?:/-?[\d.]+C)?(?!\S)")
_RAIL = re.compile(
    r"(?<!\S)([A-Z][A-Z0-9_]*)\s+(-?\d+)(?:mW)?/(-?\d+)(?:mW)?(?:/(-?\d+)(?:mW)?)?(?!\S)"
)

_INTERVAL_MS = 100

_OFF_C = -200.0
"""Zones of units without power report -256 °C."""


@dataclass(frozen=True)
class Core:
    """Load of an online CPU core."""

    load_percent: int
    mhz: int | None


@dataclass(frozen=True)
class RailReading:
    """Figures of one rail by tegrastats."""

    now_mw: int
    mean_mw: int
    """Since tegrastats started."""
    peak_mw: int | None
    """Since tegrastats started; JetPack 7.2 and later."""


@dataclass(frozen=True)
class Tegrastats:
    """Values of one line; None or empty for values that a JetPack does not print."""

    ram_mb: int
    ram_total_mb: int
    swap_mb: int | None
    swap_total_mb: int | None
    cores: tuple[Core | None, ...]
    """None for an offline core."""
    gpu_percent: int | None
    """Not printed on Thor."""
    gpu_mhz: tuple[int, ...]
    """One clock, or one per cluster (GPC)."""
    emc_percent: int | None
    """Load of the memory bus."""
    emc_mhz: int | None
    temperatures_c: Mapping[str, float]
    rails: Mapping[str, RailReading]


def parse_tegrastats(line: str) -> Tegrastats | None:
    """Parse a line, ignoring unknown fields; return None for another kind of line."""
    ram = _RAM.search(line)
    if ram is None:
        return None
    swap, emc, gpu = _SWAP.search(line), _EMC.search(line), _GPU.search(line)
    clocks = (gpu[2] or gpu[3] or "") if gpu else ""
    return Tegrastats(
        ram_mb=int(ram[1]),
        ram_total_mb=int(ram[2]),
        swap_mb=int(swap[1]) if swap else None,
        swap_total_mb=int(swap[2]) if swap else None,
        cores=_cores(line),
        gpu_percent=int(gpu[1]) if gpu and gpu[1] else None,
        gpu_mhz=tuple(int(mhz) for mhz in clocks.split(",") if mhz),
        emc_percent=int(emc[1]) if emc else None,
        emc_mhz=int(emc[2]) if emc and emc[2] else None,
        temperatures_c={
            name: float(celsius)
            for name, celsius in _TEMPERATURE.findall(line)
            if float(celsius) > _OFF_C
        },
        rails={
            name: RailReading(int(now), int(mean), int(peak) if peak else None)
            for name, now, mean, peak in _RAIL.findall(line)
        },
    )


def _cores(line: str) -> tuple[Core | None, ...]:
    found = _CPU.search(line)
    if found is None:
        return ()
    cores: list[Core | None] = []
    for item in found[1].split(","):
        core = _CORE.search(item)
        mhz = (core[2] or found[2]) if core else None
        cores.append(Core(int(core[1]), int(mhz) if mhz else None) if core else None)
    return tuple(cores)


class TegrastatsProcess:
    """Running tegrastats; use it as a context manager."""

    def __init__(self, interval_ms: int = 1000, program: str = "tegrastats") -> None:
        """Start it.

        Args:
            interval_ms: milliseconds between lines, 1 or more.
            program: name or path of tegrastats.

        Raises:
            ConfigError: the interval is not positive.
            MissingDependency: tegrastats is not installed.
        """
        if interval_ms < 1:
            raise ConfigError(f"interval_ms: expected 1 or more, got {interval_ms}")
        self._interval_s = interval_ms / 1000
        try:
            self._process = LineProcess((program, "--interval", str(interval_ms)))
        except OSError:
            raise MissingDependency(
                f"the program {program}",
                "it comes with JetPack (package nvidia-l4t-tools); mount it into a container",
            ) from None

    def latest(self) -> Tegrastats:
        """Return the newest line; wait for the first one.

        Raises:
            OSError: tegrastats ended, stalled, or printed an unknown line.
        """
        patience_s = 2.0 + 3 * self._interval_s
        line = self._process.newest(max_age_s=patience_s, wait_s=patience_s)
        if (parsed := parse_tegrastats(line)) is None:
            raise OSError(f"tegrastats: expected a line of figures, got {line[:60]!r}")
        return parsed

    def close(self) -> None:
        """End the program; closing twice is fine."""
        self._process.close()

    def __enter__(self) -> TegrastatsProcess:
        """Return the running program."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the program."""
        self.close()


@dataclass(frozen=True)
class TegrastatsRail:
    """Power sensor of one rail; the rails of a board share one process."""

    name: str
    process: TegrastatsProcess
    unit: Unit = "W"
    update_s: float | None = _INTERVAL_MS / 1000

    @property
    def whole_board(self) -> bool:
        """Whether this rail alone supplies the board."""
        return is_total(self.name)

    @property
    def what(self) -> What:
        """`board` if the rail supplies the board, else `rail`."""
        return "board" if self.whole_board else "rail"

    def read(self) -> float:
        """Return watts.

        Raises:
            OSError: tegrastats ended, stalls, or does not print this rail any more.
        """
        try:
            return self.process.latest().rails[self.name].now_mw / 1000
        except KeyError:
            raise OSError(f"tegrastats prints no {self.name}") from None

    def close(self) -> None:
        """End the program, for all its rails."""
        self.process.close()


def find_tegrastats(program: str = "tegrastats") -> Found:
    """Start tegrastats and return the rails that it prints; nothing if it is not on PATH."""
    if shutil.which(program) is None:
        return Found((), ())
    try:
        process = TegrastatsProcess(_INTERVAL_MS, program)
    except MissingDependency as error:
        return Found((), (str(error),))
    try:
        rails = process.latest().rails
    except OSError as error:
        process.close()
        return Found((), (f"no power by tegrastats ({error})",))
    if not rails:
        process.close()
        return Found((), ("tegrastats prints no rails on this board",))
    return Found(tuple(TegrastatsRail(name, process) for name in rails), ())
