"""CPU, memory, limits of containers, temperatures: from what kernels write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from machine_trees import write

from edge_ser.machine.cpu import (
    parse_cgroups,
    parse_cpu_max,
    parse_cpuinfo,
    parse_meminfo,
    read_cpu,
    read_memory,
)
from edge_ser.machine.thermal import Zone, read_thermal

ORIN = """\
processor\t: 0
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd42
CPU revision\t: 1

"""
"""Written after the kernel's arch/arm64/kernel/cpuinfo.c."""


def test_arm_cores_by_their_part_numbers():
    assert parse_cpuinfo(ORIN * 6) == "Cortex-A78AE"
    denver = ORIN.replace("0x41", "0x4e").replace("0xd42", "0x003")
    assert parse_cpuinfo(denver + ORIN.replace("0xd42", "0xd07")) == "NVIDIA Denver 2 + Cortex-A57"


def test_unknown_arm_cores_have_the_name_of_the_device_tree(tmp_path):
    strange = ORIN.replace("0xd42", "0xfff")
    assert parse_cpuinfo(strange) is None
    tree = {"proc/device-tree/cpus/cpu@0/compatible": "arm,cortex-x9\0arm,armv9\0"}
    write(tmp_path, {"proc/cpuinfo": strange, **tree})
    assert read_cpu(tmp_path).model == "arm,cortex-x9"


def test_x86_by_its_model_name():
    text = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\nstepping\t: 1\n"
    assert parse_cpuinfo(text) == "AMD EPYC"


def test_meminfo():
    text = "MemTotal:       24684092 kB\nMemFree:        20154032 kB\nMemAvailable:   22012756 kB\n"
    assert parse_meminfo(text) == (24684092 * 1024, 22012756 * 1024)
    assert parse_meminfo("") == (None, None)


@pytest.mark.parametrize(
    ("online", "count"), [("0-5", 6), ("0", 1), ("0-1,4-5", 4), ("0,2-3,7", 4)]
)
def test_online_cpus(tmp_path, online, count):
    write(tmp_path, {"sys/devices/system/cpu/online": online})
    assert read_cpu(tmp_path).n_cores == count


def test_cpu_max_of_a_container():
    assert parse_cpu_max("150000 100000") == 1.5
    assert parse_cpu_max("max 100000") is None
    assert parse_cpu_max("") is None


def test_groups_of_both_versions():
    assert parse_cgroups("0::/user.slice\n") == {"": "/user.slice"}
    both = parse_cgroups("4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\nnonsense\n")
    assert both == {"cpu": "/docker/abc", "cpuacct": "/docker/abc", "name=systemd": "/"}


def test_the_tightest_limit_on_the_way_up_counts(tmp_path):
    """A service in a slice: either may be limited."""
    own = "sys/fs/cgroup/system.slice/ser.service"
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/system.slice/ser.service",
            f"{own}/cpu.max": "max 100000",
            "sys/fs/cgroup/system.slice/cpu.max": "200000 100000",
            f"{own}/memory.max": 512 << 20,
            "sys/fs/cgroup/system.slice/memory.max": "max",
        },
    )
    assert read_cpu(tmp_path).quota == 2.0
    assert read_memory(tmp_path).limit == 512 << 20


def test_limits_of_version_1(tmp_path):
    write(
        tmp_path,
        {
            "proc/self/cgroup": "2:memory:/docker/a\n1:cpu:/docker/a",
            "sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us": 50_000,
            "sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us": 100_000,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": -1,
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": 100_000,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": 9223372036854771712,
        },
    )
    assert read_cpu(tmp_path).quota == 0.5
    assert read_memory(tmp_path).limit is None


def test_an_empty_machine_is_no_error(tmp_path):
    cpu, memory = read_cpu(tmp_path), read_memory(tmp_path)
    assert (cpu.model, cpu.quota, cpu.clocks, cpu.load) == (None, None, (), None)
    assert (memory.total, memory.available, memory.limit) == (None, None, None)
    assert cpu.n_cores >= 1


def test_this_very_machine():
    cpu, memory = read_cpu(), read_memory()
    assert 1 <= cpu.n_usable == len(os.sched_getaffinity(0)) <= cpu.n_cores
    assert memory.total
    assert memory.available
    assert 0 < memory.available <= memory.total
    assert cpu.load is not None


def cooling(root: Path, *devices: tuple[str, int]) -> None:
    for number, (name, state) in enumerate(devices):
        folder = f"sys/class/thermal/cooling_device{number}"
        write(root, {f"{folder}/type": name, f"{folder}/cur_state": state})


def test_temperatures_and_what_slows_the_board_down(tmp_path):
    """Types of zones and cooling devices as Orin and Thor boards name them."""
    zones = {
        "cpu-thermal": 46_000,
        "gpu-thermal": 46_700,
        "tj-thermal": 47_000,
        "cv0-thermal": -256_000,
    }
    for number, (name, milli) in enumerate(zones.items()):
        folder = f"sys/class/thermal/thermal_zone{number}"
        write(tmp_path, {f"{folder}/type": name, f"{folder}/temp": milli})
    write(tmp_path, {"sys/class/thermal/thermal_zone9/type": "cv1-thermal"})  # sleeps: no temp
    cooling(tmp_path, ("pwm-fan", 3), ("cpu-throttle-alert", 0), ("gpu-throttle-alert", 1))
    write(
        tmp_path,
        {
            f"sys/class/hwmon/hwmon3/oc{n}_event_cnt": count
            for n, count in ((1, 0), (2, 15), (3, 37))
        },
    )
    thermal = read_thermal(tmp_path)

    assert [zone.name for zone in thermal.zones] == ["cpu-thermal", "gpu-thermal", "tj-thermal"]
    assert thermal.warmest == Zone("tj-thermal", 47.0)
    assert thermal.slowed_by == ("gpu-throttle-alert",)
    assert thermal.over_current_events == 52


def test_a_turning_fan_and_a_cool_board_slow_nothing_down(tmp_path):
    cooling(tmp_path, ("pwm-fan", 4), ("cpufreq-cpu0", 0), ("devfreq-gpu-gpc-0", 0))
    thermal = read_thermal(tmp_path)
    assert (thermal.slowed_by, thermal.over_current_events, thermal.warmest) == ((), None, None)
