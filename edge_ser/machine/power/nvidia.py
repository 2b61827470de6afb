"""Graphics cards through NVML (`pynvml` of nvidia-ml-py) or `nvidia-smi`."""

from __future__ import annotations

import subprocess
from typing import Any

from edge_ser.machine.power.line_process import LineProcess
from edge_ser.machine.power.sensor import Found, PowerSensor, Unit, What

_FORMAT = "--format=csv,noheader,nounits"
_LOOP_MS = 100
_UPDATE_S = 1.0
"""From Ampere on (except GA100), a reading is a mean over one second."""
_LIST_S = 20.0
_FIRST_S = 10.0
_STALE_S = 3.0


class SmiGpu:
    """GPU power from a running nvidia-smi."""

    what: What = "gpu"
    unit: Unit = "W"
    whole_board = False
    update_s: float | None = _UPDATE_S

    def __init__(self, index: str, program: str) -> None:
        """Start nvidia-smi for one GPU and wait for its first line.

        Raises:
            OSError: nvidia-smi does not start, or prints no power.
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
            raise OSError(
                f"nvidia-smi: expected the power of {self.name} as a number, got {line[:40]!r}"
            ) from None

    def close(self) -> None:
        """End nvidia-smi."""
        self._process.close()


def find_smi(program: str = "nvidia-smi") -> Found:
    """Return the GPUs that nvidia-smi measures."""
    command = (program, "--query-gpu=index", _FORMAT)
    try:
        listed = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIST_S, check=False
        )
    except OSError:
        return Found((), (f"no NVIDIA GPU: the program {program} is missing",))
    except subprocess.TimeoutExpired:
        return Found((), (f"{program} does not answer within {_LIST_S:.0f} s",))
    if listed.returncode:
        printed = (listed.stdout or listed.stderr).strip().splitlines()
        return Found(
            (), (f"{program} finds no GPU ({printed[0] if printed else listed.returncode})",)
        )
    sensors: list[PowerSensor] = []
    reasons: list[str] = []
    for index in listed.stdout.split():
        try:
            sensors.append(SmiGpu(index, program))
        except OSError as error:
            reasons.append(f"GPU {index} measures no power ({error})")
    return Found(tuple(sensors), tuple(reasons))


_COUNTER_UPDATE_S = 0.1
"""Energy counters are updated every 20 to 100 ms, depending on the GPU; not documented by NVIDIA."""

_POWER_UPDATE_S = 1.0
"""From Ampere on (except GA100), the power is a mean over one second, according to the NVML manual."""


class NvmlGpu:
    """GPU energy counter (Volta and later), or else its power, from NVML."""

    what: What = "gpu"
    whole_board = False

    def __init__(self, nvml: Any, index: int) -> None:
        """Open a GPU of an initialised NVML.

        Raises:
            NVMLError: the GPU measures no power.
        """
        self._nvml = nvml
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self.name = f"GPU {index}"
        self.unit: Unit = "J"
        self.update_s: float | None = _COUNTER_UPDATE_S
        try:
            nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        except nvml.NVMLError:
            nvml.nvmlDeviceGetPowerUsage(self._handle)
            self.unit, self.update_s = "W", _POWER_UPDATE_S

    def read(self) -> float:
        """Return joules since the driver was loaded, or watts.

        Raises:
            OSError: the GPU does not answer.
        """
        try:
            if self.unit == "J":
                return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000
            return float(self._nvml.nvmlDeviceGetPowerUsage(self._handle)) / 1000
        except self._nvml.NVMLError as error:
            raise OSError(f"{self.name}: {error}") from None

    def close(self) -> None:
        """Shut NVML down once; it counts its initialisations."""
        self._nvml.nvmlShutdown()


def find_nvml() -> Found | None:
    """Return the GPUs that NVML measures; None if the package is not installed."""
    try:
        import pynvml  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Found((), (f"no GPU to be measured (NVML: {error})",))
    sensors: list[PowerSensor] = []
    reasons: list[str] = []
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                sensors.append(NvmlGpu(pynvml, index))
            except pynvml.NVMLError as error:
                reasons.append(f"GPU {index} measures no power (NVML: {error})")
            else:
                pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        reasons.append(f"NVML cannot list the GPUs: {error}")
    finally:
        pynvml.nvmlShutdown()
    return Found(tuple(sensors), tuple(reasons))
