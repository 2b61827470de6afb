"""Graphics cards through the program nvidia-smi, where nvidia-ml-py is not installed.

It comes with every driver, but costs a process that runs along, and has no energy counter.
"""

from __future__ import annotations

import subprocess

from edge_ser.machine.power.line_process import LineProcess
from edge_ser.machine.power.sensor import Found, PowerSensor, Unit, What

_FORMAT = "--format=csv,noheader,nounits"
_LOOP_MS = 100
_UPDATE_S = 1.0
"""From Ampere on (but for GA100), a reading is a mean over one second."""
_LIST_S = 20.0
_FIRST_S = 10.0
_STALE_S = 3.0


class SmiGpu:
    """One card, whose power a running nvidia-smi prints."""

    what: What = "gpu"
    unit: Unit = "W"
    whole_board = False
    update_s: float | None = _UPDATE_S

    def __init__(self, index: str, program: str) -> None:
        """Start nvidia-smi for one card and wait for its first line.

        Raises:
            OSError: it does not start, or prints no power.
        """
        self.name = f"GPU {index}"
        command = (program, f"--id={index}", "--query-gpu=power.draw", _FORMAT)
        self._process = LineProcess((*command, f"--loop-ms={_LOOP_MS}"))
        try:
            self._process.newest(max_age_s=_STALE_S, wait_s=_FIRST_S)
            self.read()
        except OSError:
            self._process.close()
            raise

    def read(self) -> float:
        """Return watts.

        Raises:
            OSError: nvidia-smi ended, stalls, or prints no number.
        """
        line = self._process.newest(max_age_s=_STALE_S)
        try:
            return float(line)
        except ValueError:
            raise OSError(f"nvidia-smi gives {line[:40]!r} as the power of {self.name}") from None

    def close(self) -> None:
        """End nvidia-smi."""
        self._process.close()


def find_smi(program: str = "nvidia-smi") -> Found:
    """Return the cards that nvidia-smi measures."""
    command = (program, "--query-gpu=index", _FORMAT)
    try:
        listed = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIST_S, check=False
        )
    except OSError:
        return Found((), (f"no NVIDIA GPU: there is no program {program}",))
    except subprocess.TimeoutExpired:
        return Found((), (f"{program} does not answer within {_LIST_S:.0f} s",))
    if listed.returncode:
        said = (listed.stdout or listed.stderr).strip().splitlines()
        return Found((), (f"{program} finds no GPU ({said[0] if said else listed.returncode})",))
    sensors: list[PowerSensor] = []
    reasons: list[str] = []
    for index in listed.stdout.split():
        try:
            sensors.append(SmiGpu(index, program))
        except OSError as error:
            reasons.append(f"GPU {index} measures no power ({error})")
    return Found(tuple(sensors), tuple(reasons))
