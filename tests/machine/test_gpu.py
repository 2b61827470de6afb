"""Drivers and GPUs, by what /proc and nvidia-smi say."""

from __future__ import annotations

import pytest
from machine_trees import RECORDED, Commands, write

from edge_ser.machine import gpu as gpu_module
from edge_ser.machine.cuda_device import CudaDevice
from edge_ser.machine.gpu import (
    parse_driver_version,
    parse_nvidia_smi,
    parse_reasons,
    read_driver_version,
    read_gpu,
)


@pytest.mark.parametrize(
    ("line", "version"),
    [  # recorded: a laptop, a server, JetPack 6 and JetPack 5
        (
            (
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.142  Release Build  "
                "(dvs-builder@U22-I3-AD05-51-5)  Tue Mar  3 19:14:46 UTC 2026\n"
                "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04.1)"
            ),
            "580.142",
        ),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.216.03  Thu Apr  3", "535.216.03"),
        (
            (
                "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  "
                "(buildbrain@mobile-u64-6336-d8000)  Tue Jan  7 17:35:12 PST 2025"
            ),
            "540.4.0",
        ),
        (
            (
                "NVRM version: NVIDIA UNIX Kernel Module for aarch64  34.1.1  Release Build  "
                "(buildbrain@mobile-u64-5414-d7000)  Mon May 16 21:12:24 PDT 2022"
            ),
            "34.1.1",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64 malformed", None),
        ("GCC version:  gcc version 13.3.0", None),
    ],
)
def test_driver_versions(line, version):
    assert parse_driver_version(line) == version


def test_the_module_tells_where_proc_does_not(tmp_path):
    assert read_driver_version(tmp_path) is None
    write(tmp_path, {"sys/module/nvidia/version": "570.86.15"})
    assert read_driver_version(tmp_path) == "570.86.15"


def test_nvidia_smi_as_recorded():
    first, second = parse_nvidia_smi((RECORDED / "nvidia-smi-power.csv").read_text())
    assert first.name == "NVIDIA RTX PRO 6000 Blackwell Server Edition"
    assert (first.temperature_c, first.power_w, first.power_limit_w) == (25.0, 30.39, 600.0)
    assert second.power_w == 28.54
    assert (first.clock_mhz, first.slowed_by) == (None, ())

    for state in parse_nvidia_smi((RECORDED / "nvidia-smi-reasons.csv").read_text()):
        assert state.slowed_by == ("power limit",)


def test_nvidia_smi_with_clocks_and_holes():
    """Written after `nvidia-smi --help-query-gpu`; `[N/A]` as boards without the sensor print it."""
    text = (
        "name, temperature.gpu, power.draw [W], power.limit [W], clocks.current.sm [MHz], "
        "clocks.max.sm [MHz], clocks_throttle_reasons.active\n"
        "NVIDIA GeForce RTX 4060, 41, 22.10 W, [N/A], 2400 MHz, 3105 MHz, 0x0000000000000041\n"
    )
    (state,) = parse_nvidia_smi(text)
    assert (state.clock_mhz, state.max_clock_mhz) == (2400.0, 3105.0)
    assert state.power_limit_w is None
    assert state.slowed_by == ("heat (hardware)",)


@pytest.mark.parametrize("text", ["", "No devices were found", "a, b\n1, 2\n"])
def test_nvidia_smi_without_a_gpu(text):
    assert parse_nvidia_smi(text) == ()


def test_idling_holds_nothing_back():
    assert parse_reasons("0x0000000000000001") == ()
    assert parse_reasons("[N/A]") == ()


def test_a_gpu_with_its_driver(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_module, "ROOT", tmp_path)
    monkeypatch.setattr(gpu_module, "cuda_device", lambda: CudaDevice("RTX 4060", "8.9", "12.8"))
    write(tmp_path, {"sys/module/nvidia/version": "570.86.15"})
    smi = Commands(**{"nvidia-smi": (RECORDED / "nvidia-smi-power.csv").read_text()})
    gpu = read_gpu(tmp_path, smi)

    assert gpu
    assert (gpu.name, gpu.compute_capability, gpu.cuda) == ("RTX 4060", "8.9", "12.8")
    assert gpu.driver == "570.86.15"
    assert gpu.state
    assert gpu.state.temperature_c == 25.0


def test_old_drivers_are_asked_in_their_words(tmp_path):
    """A query with a field that the driver does not know fails as a whole."""
    write(tmp_path, {"sys/module/nvidia/version": "470.256.02"})

    def smi(*words: str) -> str | None:
        known = "clocks_throttle_reasons.active" in words[1]
        return (RECORDED / "nvidia-smi-power.csv").read_text() if known else None

    gpu = read_gpu(tmp_path, smi)
    assert gpu
    assert gpu.state
    assert gpu.name is None  # the driver of another root cannot be asked


def test_no_driver_and_no_gpu_is_none(tmp_path):
    assert read_gpu(tmp_path) is None
