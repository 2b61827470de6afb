"""Graphics cards through NVML, by NVIDIA's own package nvidia-ml-py (`pynvml`)."""

from __future__ import annotations

from typing import Any

from edge_ser.machine.power.sensor import Found, PowerSensor, Unit, What

_COUNTER_UPDATE_S = 0.1
"""Energy counters move every 20 to 100 ms, by card; NVIDIA does not document it."""

_POWER_UPDATE_S = 1.0
"""From Ampere on (but for GA100), the power is a mean over one second, as NVML's manual says."""


class NvmlGpu:
    """One card: its energy counter, which Volta and later have, else its power."""

    what: What = "gpu"
    whole_board = False

    def __init__(self, nvml: Any, index: int) -> None:
        """Open a card of an initialised NVML.

        Raises:
            NVMLError: it measures no power at all.
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
            OSError: the card does not answer.
        """
        try:
            if self.unit == "J":
                return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000
            return float(self._nvml.nvmlDeviceGetPowerUsage(self._handle)) / 1000
        except self._nvml.NVMLError as error:
            raise OSError(f"{self.name}: {error}") from None

    def close(self) -> None:
        """Leave NVML, which counts how often it was entered."""
        self._nvml.nvmlShutdown()


def find_nvml() -> Found | None:
    """Return the cards that NVML measures; None when the package is not installed."""
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
