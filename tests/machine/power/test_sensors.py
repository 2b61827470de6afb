"""Sensors found in trees of sysfs: names, values, and reasons for missing ones."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import types
from pathlib import Path

import pytest
from power_parts import hwmon, iio, powercap, write

from edge_ser.machine.power import nvidia, sensors
from edge_ser.machine.power.nvidia import find_nvml, find_smi
from edge_ser.machine.power.rapl import RaplZone, find_rapl
from edge_ser.machine.power.sensor import Found, read_number
from edge_ser.machine.power.sensors import find_gpus, open_sensors

NO_GPU = Found((), ("no GPU here",))
NO_PROGRAM = Found((), ())


def opened(root: Path) -> sensors.Sensors:
    return open_sensors(root, gpus=lambda: NO_GPU, printed=lambda: NO_PROGRAM)


def values(found: sensors.Sensors) -> dict[str, float]:
    return {sensor.name: round(sensor.read(), 6) for sensor in found.sensors}


def test_orin_nano_measures_its_whole_module(tmp_path):
    hwmon(
        tmp_path,
        {"VDD_IN": (5072, 944), "VDD_CPU_GPU_CV": (5064, 104), "VDD_SOC": (5064, 288)},
        number=1,
    )
    found = opened(tmp_path)

    assert values(found) == {"VDD_IN": 4.787968, "VDD_CPU_GPU_CV": 0.526656, "VDD_SOC": 1.458432}
    assert [(s.what, s.whole_board, s.unit, s.update_s) for s in found.sensors] == [
        ("board", True, "W", 0.034),
        ("rail", False, "W", 0.034),
        ("rail", False, "W", 0.034),
    ]
    assert found.total is not None
    assert found.total.names == ("VDD_IN",)
    assert found.unavailable == ()


def test_agx_orin_is_the_sum_of_three_rails_and_its_second_monitor_is_not_added(tmp_path):
    hwmon(
        tmp_path,
        {"VDD_GPU_SOC": (19888, 121), "VDD_CPU_CV": (19888, 81), "VIN_SYS_5V0": (5032, 920)},
    )
    hwmon(
        tmp_path,
        {"NC": (5032, 0), "VDDQ_VDD2_1V8AO": (5032, 200), "NC ": (5032, 0)},
        address="1-0041",
        number=4,
    )
    found = opened(tmp_path)

    assert list(values(found)) == ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"]
    assert not any(sensor.whole_board for sensor in found.sensors)
    assert found.total is not None
    assert found.total.names == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
    assert found.total.whole_board


def test_nano_with_jetpack_4_gives_milliwatts(tmp_path):
    iio(tmp_path, {"POM_5V_IN": 2345, "POM_5V_GPU": 40, "POM_5V_CPU": 412})
    found = opened(tmp_path)

    assert values(found) == {"POM_5V_IN": 2.345, "POM_5V_GPU": 0.04, "POM_5V_CPU": 0.412}
    assert found.sensors[0].update_s is None
    assert found.total is not None
    assert found.total.names == ("POM_5V_IN",)


def test_agx_xavier_spreads_its_six_rails_over_two_monitors(tmp_path):
    iio(tmp_path, {"GPU": 100, "CPU": 311, "SOC": 932}, address="1-0040", number=0)
    iio(tmp_path, {"CV": 0, "VDDRQ": 621, "SYS5V": 1482}, address="1-0041", number=1)
    found = opened(tmp_path)

    assert found.total is not None
    assert set(found.total.names) == set(values(found))


def thor(root: Path, compatible: str) -> Path:
    hwmon(
        root,
        {"VDD_GPU": (19000, 259), "VDD_CPU_SOC_MSS": (19000, 418), "VIN_SYS_5V0": (5000, 1333)},
        address="2-0040",
        number=4,
    )
    device = root / "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon5"
    write(device / "name", "ina238")
    write(device / "power1_input", 23_412_000)
    write(device / "in1_input", 19000)
    write(root / "proc/device-tree/compatible", compatible)
    return device


def covered(total):
    """Return the parts that a sum over several sensors names as counted."""
    parts = {"processor", "memory", "platform", "GPU"}
    assert total.covers.endswith("the board")
    return parts & set(re.findall(r"\w+", total.covers))


def test_thor_has_a_monitor_of_the_whole_kit(tmp_path):
    thor(tmp_path, "nvidia,p4071-0000+p3834-0008\0nvidia,p3834-0008\0nvidia,tegra264\0")
    found = opened(tmp_path)

    assert values(found)["VIN"] == 23.412
    assert found.total is not None
    assert found.total.names == ("VIN",)
    assert "carrier board" in found.total.covers
    assert "without" not in found.total.covers


def test_such_a_monitor_on_another_board_is_nobodys_input(tmp_path):
    thor(tmp_path, "somebody,board\0")
    found = opened(tmp_path)

    assert "ina238 2-0044" in values(found)
    assert found.total is None


def test_a_label_of_its_own_comes_first(tmp_path):
    write(thor(tmp_path, "somebody,board\0") / "label", "BATTERY")

    assert values(opened(tmp_path))["BATTERY"] == 23.412


def test_rails_of_a_board_that_nobody_knows_are_not_added(tmp_path):
    hwmon(tmp_path, {"VDD_X": (5000, 1000), "VDD_Y": (5000, 500)}, update_ms=None)
    found = opened(tmp_path)

    assert values(found) == {"VDD_X": 5.0, "VDD_Y": 2.5}
    assert found.total is None
    assert found.sensors[0].update_s is None


def test_an_idle_rail_may_show_less_than_nothing(tmp_path):
    hwmon(tmp_path, {"VDD_GPU": (19000, -20)})

    assert values(opened(tmp_path)) == {"VDD_GPU": -0.38}


def test_a_channel_that_is_switched_off_is_left_out(tmp_path):
    device = hwmon(tmp_path, {"VDD_IN": (5000, 1000), "VDD_SOC": (5000, 1)})
    write(device / "curr2_input", "")
    found = opened(tmp_path)

    assert values(found) == {"VDD_IN": 5.0}
    (reason,) = found.unavailable
    assert reason.startswith("VDD_SOC ")
    assert "number" in reason


def forbid(monkeypatch, part: str) -> None:
    """Let reading files whose path holds `part` fail as without the right; tests may be root."""
    read_text = Path.read_text

    def guarded(path: Path, *args, **kwargs) -> str:
        if part in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", guarded)


def test_rails_that_may_not_be_read_say_what_to_do(tmp_path, monkeypatch):
    iio(tmp_path, {"VDD_IN": 3056, "VDD_SYS_CPU": 152})
    forbid(monkeypatch, "in_power0")
    found = opened(tmp_path)

    assert values(found) == {"VDD_SYS_CPU": 0.152}
    assert found.total is None
    (reason,) = found.unavailable
    assert "VDD_IN " in reason
    assert f"chmod a+r {tmp_path}/sys/bus/i2c" in reason


def laptop(root: Path) -> None:
    powercap(root, "intel-rapl:0", "package-0", 5_000_000)
    powercap(root, "intel-rapl:0:0", "core", 1)
    powercap(root, "intel-rapl:0:1", "uncore", 1)
    powercap(root, "intel-rapl:0:2", "dram", 2_000_000)
    powercap(root, "intel-rapl:1", "psys", 9_000_000)
    powercap(root, "intel-rapl-mmio:0", "package-0", 5_000_000)


def test_a_processor_counts_its_package_its_memory_and_the_platform_once(tmp_path):
    laptop(tmp_path)
    found = opened(tmp_path)

    assert [(s.name, s.what, s.unit, s.whole_board) for s in found.sensors] == [
        ("package-0", "cpu package", "J", False),
        ("dram-0", "memory", "J", False),
        ("psys", "platform", "J", False),
    ]
    assert found.total is not None
    assert found.total.names == ("package-0", "dram-0")
    assert not found.total.whole_board
    assert covered(found.total) == {"processor", "memory"}


def test_a_counter_goes_on_where_the_file_starts_again(tmp_path):
    zone = powercap(tmp_path, "intel-rapl:0", "package-0", 999_000, range_uj=999_999)
    sensor = RaplZone("package-0", "cpu package", zone)
    seen = []
    for microjoules in (999_999, 0, 500_000, 499_999):
        write(zone / "energy_uj", microjoules)
        seen.append(round(sensor.read() * 1e6))

    assert seen == [999, 1000, 501_000, 1_500_999]


def test_rapl_that_only_root_reads_says_so_once(tmp_path, monkeypatch):
    laptop(tmp_path)
    forbid(monkeypatch, "energy_uj")
    found = find_rapl(tmp_path)

    assert found.sensors == ()
    (reason,) = found.unavailable
    assert "root" in reason
    assert "a+r /sys/class/powercap/intel-rapl:*/energy_uj" in reason


def test_a_zone_without_a_range_is_named(tmp_path):
    laptop(tmp_path)
    (tmp_path / "sys/class/powercap/intel-rapl:1/max_energy_range_uj").unlink()
    found = find_rapl(tmp_path)

    assert [sensor.name for sensor in found.sensors] == ["package-0", "dram-0"]
    (reason,) = found.unavailable
    assert "intel-rapl:1" in reason
    assert os.strerror(errno.ENOENT) in reason


def test_a_machine_that_measures_nothing_says_what_was_looked_for(tmp_path):
    found = opened(tmp_path)

    assert (found.sensors, found.total) == ((), None)
    monitor, rapl, gpu = found.unavailable
    assert "/sys/bus/i2c/drivers" in monitor
    assert "/sys/class/powercap" in rapl
    assert gpu == "no GPU here"


def test_a_jetsons_gpu_is_not_counted_beside_its_rails(tmp_path):
    hwmon(tmp_path, {"VDD_IN": (5000, 1000)})
    laptop(tmp_path)

    def never() -> Found:
        raise AssertionError("a Jetson's GPU is in its rails")

    assert [sensor.name for sensor in open_sensors(tmp_path, gpus=never).sensors] == ["VDD_IN"]


def test_a_file_of_sysfs_that_holds_no_number_is_an_os_error(tmp_path):
    write(tmp_path / "x", "<unsupported>")
    with pytest.raises(OSError, match=r"/x: .*'<unsupported>'"):
        read_number(tmp_path / "x")


class FakeNvmlError(Exception):
    """Error of pynvml."""


def fake_nvml(
    millijoules: list[int | None], milliwatts: list[int | None], failure: str | None = None
) -> types.ModuleType:
    """Return a module with the functions of pynvml that are used; None for what a card does not have."""
    module = types.ModuleType("pynvml")
    module.entered = 0

    def init() -> None:
        if failure:
            raise FakeNvmlError(failure)
        module.entered += 1

    def shutdown() -> None:
        module.entered -= 1

    def value(of: list[int | None], handle: int) -> int:
        if (number := of[handle]) is None:
            raise FakeNvmlError("Not Supported")
        return number

    module.NVMLError = FakeNvmlError
    module.nvmlInit = init
    module.nvmlShutdown = shutdown
    module.nvmlDeviceGetCount = lambda: len(milliwatts)
    module.nvmlDeviceGetHandleByIndex = lambda index: index
    module.nvmlDeviceGetTotalEnergyConsumption = lambda handle: value(millijoules, handle)
    module.nvmlDeviceGetPowerUsage = lambda handle: value(milliwatts, handle)
    return module


def test_cards_by_nvml_new_old_and_without_a_sensor(tmp_path, monkeypatch):
    nvml = fake_nvml([12_345, None, None], [70_000, 31_500, None])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    powercap(tmp_path, "intel-rapl:0", "package-0", 5_000_000)

    with open_sensors(tmp_path) as found:
        seen = [(s.name, s.what, s.unit, s.update_s, s.read()) for s in found.sensors[1:]]
        assert nvml.entered == 2

    assert seen == [("GPU 0", "gpu", "J", 0.1, 12.345), ("GPU 1", "gpu", "W", 1.0, 31.5)]
    assert nvml.entered == 0
    assert any(re.search(r"\bGPU 2\b.*NVML: Not Supported", r) for r in found.unavailable)
    assert found.total is not None
    assert found.total.names == ("package-0", "GPU 0", "GPU 1")
    assert covered(found.total) == {"processor", "GPU"}


def test_a_card_that_falls_off_the_bus_is_an_os_error(monkeypatch):
    millijoules: list[int | None] = [1]
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(millijoules, [1]))
    found = find_nvml()
    assert found is not None
    millijoules[0] = None

    with pytest.raises(OSError, match="GPU 0: Not Supported"):
        found.sensors[0].read()


def test_nvml_without_a_driver_is_a_reason(monkeypatch):
    nvml = fake_nvml([], [], failure="Driver Not Loaded")
    monkeypatch.setitem(sys.modules, "pynvml", nvml)

    found = find_gpus()
    (reason,) = found.unavailable
    assert found == Found((), (reason,))
    assert "NVML: Driver Not Loaded" in reason


def fake_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Put a program nvidia-smi on PATH that lists its cards, or goes on printing one card's power."""
    program = tmp_path / "nvidia-smi"
    program.write_text(
        f"#!{sys.executable}\nimport sys, time\nasked = ' '.join(sys.argv[1:])\n{body}\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pynvml", None)


SMI = """
if 'query-gpu=index' in asked:
    print('0\\n1')
else:
    assert '--loop-ms=100' in asked and 'power.draw' in asked, asked
    for _ in range(600):
        print('61.25' if '--id=0' in asked else '[N/A]', flush=True)
        time.sleep(0.1)
"""


def test_without_the_package_nvidia_smi_is_read(tmp_path, monkeypatch):
    fake_smi(tmp_path, monkeypatch, SMI)
    found = find_gpus()
    (gpu,) = found.sensors
    try:
        assert (gpu.name, gpu.unit, gpu.read(), gpu.update_s) == ("GPU 0", "W", 61.25, 1.0)
    finally:
        gpu.close()
    unmeasured, advice = found.unavailable
    assert re.match(r"GPU 1 .*nvidia-smi.*'\[N/A\]'", unmeasured)
    assert "edge-ser[power]" in advice
    with pytest.raises(OSError, match="ended"):
        gpu.read()


def test_nvidia_smi_that_fails_is_quoted(tmp_path, monkeypatch):
    fake_smi(tmp_path, monkeypatch, "print('no devices 17'); sys.exit(6)")

    (reason,) = find_gpus().unavailable
    assert re.match(r"nvidia-smi .*\(no devices 17\)", reason)


def test_nvidia_smi_that_hangs_is_given_up(tmp_path, monkeypatch):
    fake_smi(tmp_path, monkeypatch, "time.sleep(60)")
    monkeypatch.setattr(nvidia, "_LIST_S", 0.2)

    (reason,) = find_smi().unavailable
    assert re.match(r"nvidia-smi .*\b0 s\b", reason)


def test_a_machine_without_nvidia_smi(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", str(tmp_path))

    (reason,) = find_gpus().unavailable
    assert re.match(r"no NVIDIA GPU\b.*\bnvidia-smi\b", reason)
