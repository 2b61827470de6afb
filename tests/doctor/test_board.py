"""Checks of boards, containers and laptops."""

from __future__ import annotations

import dataclasses
import re
from types import SimpleNamespace

import pytest
from machine_trees import Commands, board_commands, recorded, write

from edge_ser.doctor import board
from edge_ser.doctor.check import OK, UNKNOWN, WARNING
from edge_ser.machine.clocks import Clock
from edge_ser.machine.cpu import Memory
from edge_ser.machine.gpu import Gpu, GpuState
from edge_ser.machine.thermal import Thermal, Zone

GIB = 1 << 30


def test_a_capped_board_names_its_fastest_mode(make_here):
    check = board.power_mode(make_here("orin-nano-jetpack7"))
    assert (check.state, check.found.split(":")[0]) == (WARNING, "25W")
    assert check.remedy.startswith("sudo nvpmodel -m 2 ")
    assert "MAXN_SUPER" in check.remedy


@pytest.mark.parametrize("name", ["agx-orin-jetpack7", "orin-nx-jetpack6", "nano-jetpack4"])
def test_boards_at_maxn_are_well(make_here, name):
    assert board.power_mode(make_here(name)).state == OK


def test_a_board_without_maxn_is_well_in_its_highest_mode(make_here, tmp_path):
    """An Orin Nano before JetPack 6.2 offers 15 W and 7 W and nothing else."""
    modes = "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=7W >"
    write(tmp_path, {"etc/nvpmodel.conf": modes})
    commands = Commands(nvpmodel="NV Power Mode: 15W\n0\n")
    assert board.power_mode(make_here("orin-nx-jetpack6", commands)).state == OK
    slow = Commands(nvpmodel="NV Power Mode: 7W\n1\n")
    assert board.power_mode(make_here("orin-nx-jetpack6", slow)).state == WARNING


def test_a_board_that_tells_no_mode_is_unknown(make_here):
    check = board.power_mode(make_here("thor-jetpack7", Commands()))
    assert (check.state, check.found) == (UNKNOWN, "unknown")


def test_clocks_that_change_and_clocks_that_do_not(make_here):
    free = board.clocks(make_here("orin-nano-jetpack7"))
    assert free.state == WARNING
    assert re.findall(r"\d+", free.found) == ["730", "1344", "306", "918"]
    assert "sudo jetson_clocks" in free.remedy

    locked = board.clocks(make_here("agx-orin-jetpack7"))
    assert (locked.state, locked.found) == (OK, "locked: CPU 2202 MHz; GPU 1300 MHz")


def test_memory_clocks_count_if_root_can_read_them(make_here, monkeypatch):
    """The CPUs and the GPU of this board are locked, and its memory is not."""
    shown = recorded("agx-orin-jetpack7", "jetson_clocks-show.txt")
    loose = shown.replace("EMC MinFreq=3199000000", "EMC MinFreq=204000000")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    commands = board_commands("agx-orin-jetpack7")
    commands.outputs["jetson_clocks"] = loose
    here = make_here("agx-orin-jetpack7", commands)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert here.facts.jetson
    emc = Clock("emc", 204_000_000, 3_199_000_000, 3_199_000_000)
    jetson = dataclasses.replace(here.facts.jetson, memory_clock=emc)
    facts = dataclasses.replace(here.facts, jetson=jetson)
    assert board.clocks(dataclasses.replace(here, facts=facts)).state == WARNING


def test_jetpack_and_module_are_named(make_here):
    here = make_here("orin-nx-jetpack6")
    assert board.jetson_linux(here).found == "JetPack 6.2.1, Jetson Linux 36.4.4"
    assert board.module(here).found == "NVIDIA Jetson Orin NX Engineering Reference Developer Kit"


def test_an_unknown_jetpack_is_not_guessed(make_here):
    assert (
        board.jetson_linux(make_here("thor-jetpack7")).found
        == "JetPack unknown, Jetson Linux 38.2.2"
    )


def test_a_board_in_a_container_without_its_release(make_here, tmp_path):
    write(tmp_path, {"proc/device-tree/compatible": "nvidia,tegra234"})
    check = board.jetson_linux(make_here())
    assert check.state == UNKNOWN
    assert "docker run -v /etc/nv_tegra_release" in check.remedy


def test_checks_of_jetsons_do_not_apply_to_others(make_here):
    here = make_here()
    for check in (board.jetson_linux, board.module, board.power_mode, board.clocks):
        assert check(here) is None


def test_the_governor_of_a_laptop(make_here):
    here = make_here()

    def with_governor(name: str) -> object:
        cpu = dataclasses.replace(
            here.facts.cpu, clocks=(Clock("cpu0", 10**9, 4 * 10**9, 10**9, name),)
        )
        return board.governor(
            dataclasses.replace(here, facts=dataclasses.replace(here.facts, cpu=cpu))
        )

    assert with_governor("performance").state == OK
    saving = with_governor("powersave")
    assert (saving.state, saving.found) == (WARNING, "powersave: 1000 to 4000 MHz")
    assert board.governor(here) is None  # a virtual machine has no clocks


@pytest.mark.parametrize(("quota", "state"), [(None, OK), (2.0, OK), (0.5, WARNING)])
def test_a_container_with_less_than_one_cpu_is_warned(make_here, quota, state):
    here = make_here()
    cpu = dataclasses.replace(here.facts.cpu, quota=quota)
    check = board.cpu(dataclasses.replace(here, facts=dataclasses.replace(here.facts, cpu=cpu)))
    assert check.state == state
    assert ("limited" in check.found) == (quota is not None)


@pytest.mark.parametrize(
    ("memory", "state"),
    [
        (Memory(8 * GIB, 4 * GIB, None), OK),
        (Memory(8 * GIB, 100 << 20, None), WARNING),
        (Memory(8 * GIB, 4 * GIB, 256 << 20), WARNING),
        (Memory(None, None, None), UNKNOWN),
    ],
)
def test_memory(make_here, memory, state):
    assert board.memory(make_here(memory=memory)).state == state


@pytest.mark.parametrize(("free", "state"), [(5 * GIB, OK), (300 << 20, WARNING)])
def test_disk(make_here, monkeypatch, free, state):
    monkeypatch.setattr(board.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert board.disk(make_here()).state == state


def test_heat(make_here):
    warm = (Zone("tj-thermal", 96.5),)
    assert board.heat(make_here(thermal=Thermal((), (), None))) is None
    assert board.heat(make_here(thermal=Thermal(warm, (), 0))).state == OK
    hot = board.heat(make_here(thermal=Thermal(warm, ("cpu-throttle-alert",), 0)))
    assert hot.state == WARNING
    assert "96 °C" in hot.found
    assert "tj-thermal" in hot.found
    assert "cpu-throttle-alert" in hot.found
    supply = board.heat(make_here(thermal=Thermal((), (), 37)))
    assert (supply.state, re.findall(r"\d+", supply.found)) == (WARNING, ["37"])
    assert "supply" in supply.found


def test_a_slow_card_of_its_own(make_here):
    state = GpuState("RTX 4060", 41.0, 22.1, 115.0, 900.0, 3105.0, ("power limit",))
    gpu = Gpu("RTX 4060", "8.9", "12.8", "570.86.15", state)
    check = board.heat(make_here(gpu=gpu))
    assert check.state == WARNING
    assert "GPU: power limit" in check.found
