"""Facts of Jetson boards of each generation, from recorded files and output."""

from __future__ import annotations

import pytest
from machine_trees import BOARDS, GPU_FOLDERS, board_commands, board_tree, dpkg, recorded, write

from edge_ser.machine.clocks import (
    Clock,
    all_locked,
    parse_jetson_clocks,
    read_cpu_clocks,
    read_gpu_clock,
)
from edge_ser.machine.jetson import (
    PowerMode,
    jetpack_of,
    parse_dpkg_status,
    parse_modes,
    parse_nvpmodel,
    parse_status,
    parse_tegra_release,
    read_jetson,
    read_l4t,
    read_power_mode,
)


@pytest.mark.parametrize(
    ("board", "l4t", "jetpack"),
    [
        ("nano-jetpack4", "32.5.1", "4.5.1"),
        ("orin-jetpack5", "35.4.1", "5.1.2"),
        ("orin-nx-jetpack6", "36.4.4", "6.2.1"),
        ("orin-nano-jetpack7", "39.2.1", "7.2.1"),
        ("agx-orin-jetpack7", "39.2.0", "7.2"),
        ("thor-jetpack7", "38.2.2", None),  # JetPack 7.0's, but no source that we trust says so
    ],
)
def test_release_and_jetpack_of_each_board(tmp_path, board, l4t, jetpack):
    assert parse_tegra_release(recorded(board, "nv_tegra_release")) == l4t
    assert jetpack_of(l4t) == jetpack
    assert read_l4t(board_tree(tmp_path, board)) == (l4t, jetpack)


@pytest.mark.parametrize("text", ["", "R36", "# R36 (release)", "# KERNEL_VARIANT: oot"])
def test_what_is_no_release_is_none(text):
    assert parse_tegra_release(text) is None


def test_the_revision_of_a_ga_release_gets_its_zero():
    assert parse_tegra_release("# R36 (release), REVISION: 4, GCID: 1") == "36.4.0"
    assert parse_tegra_release("# R36 (release), REVISION: 4.0, GCID: 1") == "36.4.0"
    assert jetpack_of("36.4.0") == "6.1"


def test_the_packages_say_more_than_the_table(tmp_path):
    """A board upgraded by apt; a release that the table lacks; JetPack 5's way to write builds."""
    board_tree(tmp_path, "thor-jetpack7")
    status = "\n".join([dpkg("zlib1g", "1.3"), dpkg("nvidia-jetpack", "7.0.1+b12")])
    write(tmp_path, {"var/lib/dpkg/status": status})
    assert read_l4t(tmp_path) == ("38.2.2", "7.0.1")

    write(tmp_path, {"var/lib/dpkg/status": dpkg("nvidia-jetpack", "5.1.1-b56")})
    assert read_l4t(tmp_path) == ("38.2.2", "5.1.1")


def test_removed_packages_do_not_count():
    text = dpkg("nvidia-jetpack", "6.2+b77", "deinstall ok config-files")
    assert parse_dpkg_status(text, "nvidia-jetpack") is None
    assert parse_dpkg_status(dpkg("nvidia-jetpack-dev", "6.2+b77"), "nvidia-jetpack") is None


def test_without_the_release_file_the_core_package_tells(tmp_path):
    """The version of nvidia-l4t-core, as recorded on an Orin Nano."""
    write(tmp_path, {"var/lib/dpkg/status": dpkg("nvidia-l4t-core", "39.2.1-20260806224157")})
    assert read_l4t(tmp_path) == ("39.2.1", "7.2.1")


@pytest.mark.parametrize(
    ("board", "mode"),
    [
        ("nano-jetpack4", PowerMode("MAXN", 0)),
        ("orin-jetpack5", PowerMode("MODE_15W_6CORE", 2)),
        ("orin-nx-jetpack6", PowerMode("MAXN_SUPER", 2)),
        ("orin-nano-jetpack7", PowerMode("25W", 1)),
        ("thor-jetpack7", PowerMode("120W", 1)),
    ],
)
def test_power_mode_of_each_board(tmp_path, board, mode):
    assert parse_nvpmodel(recorded(board, "nvpmodel-q.txt")) == mode
    assert read_power_mode(tmp_path, board_commands(board)) == mode


def test_a_mode_without_its_number_is_still_a_mode():
    assert parse_nvpmodel("NV Power Mode: MAXN") == PowerMode("MAXN", None)
    refused = "NVPM ERROR: failed to read PARAM"
    assert parse_nvpmodel(refused) is None


def test_the_power_mode_by_files_where_nvpmodel_cannot_be_asked(tmp_path):
    """In a container that was given the files, not the program."""
    board_tree(tmp_path, "orin-nano-jetpack7")
    assert read_power_mode(tmp_path) is None
    write(tmp_path, {"var/lib/nvpmodel/status": "pmode:0002"})
    assert parse_status("pmode:0002") == 2
    assert read_power_mode(tmp_path) == PowerMode("MAXN_SUPER", 2)


def test_modes_are_ranked_by_what_they_allow():
    names = ["15W", "MODE_10W", "MAXN", "MAXN_SUPER", "7W", "MODE_15W_6CORE"]
    ranked = sorted(names, key=lambda name: PowerMode(name, None).rank)
    assert ranked == ["7W", "MODE_10W", "15W", "MODE_15W_6CORE", "MAXN", "MAXN_SUPER"]
    assert parse_modes(recorded("orin-nano-jetpack7", "nvpmodel.conf")) == {
        0: "15W",
        1: "25W",
        2: "MAXN_SUPER",
    }


def test_jetson_clocks_of_a_nano_leaves_out_sleeping_cpus():
    clocks = parse_jetson_clocks(recorded("nano-jetpack4", "jetson_clocks-show.txt"))
    assert [clock.name for clock in clocks] == ["cpu0", "cpu1", "gpu", "emc"]
    assert clocks[0] == Clock("cpu0", 921_600_000, 921_600_000, 921_600_000, "schedutil")
    assert clocks[2] == Clock("gpu", 76_800_000, 614_400_000, 460_800_000)
    assert [clock.is_locked for clock in clocks] == [True, True, False, False]


def test_jetson_clocks_before_and_after_it_was_run():
    before = parse_jetson_clocks(recorded("orin-jetpack5", "jetson_clocks-show.txt"))
    after = parse_jetson_clocks(recorded("orin-jetpack5", "jetson_clocks-show-locked.txt"))
    assert len(before) == len(after) == 8 + 2
    assert all_locked(before) is False
    assert all_locked(after) is True
    assert after[-1] == Clock("emc", 204_000_000, 3_199_000_000, 3_199_000_000, held=True)


def test_jetson_clocks_of_a_thor_names_the_parts_of_its_gpu():
    clocks = parse_jetson_clocks(recorded("thor-jetpack7", "jetson_clocks-show.txt"))
    assert len(clocks) == 14 + 3
    assert [clock.name for clock in clocks[-3:]] == ["gpu-gpc-0", "gpu-nvd-0", "emc"]
    assert all_locked(clocks) is True


def test_no_clock_is_neither_locked_nor_free():
    assert all_locked(()) is None
    refused = "Error: Run this script(/usr/bin/jetson_clocks) as a root user"
    assert parse_jetson_clocks(refused) == ()


@pytest.mark.parametrize("board", BOARDS)
def test_sysfs_says_what_jetson_clocks_says(tmp_path, board):
    shown = parse_jetson_clocks(recorded(board, "jetson_clocks-show.txt"))
    board_tree(tmp_path, board)

    assert list(read_cpu_clocks(tmp_path)) == [c for c in shown if c.name.startswith("cpu")]
    gpu = read_gpu_clock(tmp_path)
    assert gpu
    assert gpu.governor == "nvhost_podgov"
    assert gpu.name in GPU_FOLDERS[board]
    (printed,) = (c for c in shown if c.name in {"gpu", "gpu-gpc-0"})
    assert (gpu.min_hz, gpu.max_hz, gpu.current_hz) == (
        printed.min_hz,
        printed.max_hz,
        printed.current_hz,
    )


def test_cpus_that_sleep_have_no_clock(tmp_path):
    board_tree(tmp_path, "thor-jetpack7")
    (tmp_path / "sys/devices/system/cpu/cpufreq/policy3/affected_cpus").write_text("\n")
    assert len(read_cpu_clocks(tmp_path)) == 13


def test_other_devfreq_devices_are_no_gpu(tmp_path):
    memory = "sys/class/devfreq/31b0000.emc"
    write(tmp_path, {f"{memory}/min_freq": 1, f"{memory}/max_freq": 2, f"{memory}/cur_freq": 1})
    assert read_gpu_clock(tmp_path) is None


@pytest.mark.parametrize("root_user", [True, False])
def test_a_whole_board(tmp_path, monkeypatch, root_user):
    monkeypatch.setattr("os.geteuid", lambda: 0 if root_user else 1000)
    commands = board_commands("orin-nano-jetpack7")
    jetson = read_jetson(board_tree(tmp_path, "orin-nano-jetpack7"), commands)

    assert jetson
    assert jetson.module == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert (jetson.l4t, jetson.jetpack) == ("39.2.1", "7.2.1")
    assert jetson.power_mode == PowerMode("25W", 1)
    assert jetson.fastest_mode == PowerMode("MAXN_SUPER", 2)
    assert jetson.gpu_clock
    assert jetson.gpu_clock.max_hz == 918_000_000
    # jetson_clocks answers root alone, and is not asked in vain.
    assert (jetson.memory_clock is not None) == root_user
    assert (("jetson_clocks", "--show") in commands.asked) == root_user


def test_a_machine_that_is_no_jetson(tmp_path):
    write(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0"})
    assert read_jetson(tmp_path) is None


def test_a_jetson_with_nothing_but_its_device_tree(tmp_path):
    """As in a container: everything that is not there is None."""
    write(tmp_path, {"proc/device-tree/compatible": "nvidia,p3768-0000\0nvidia,tegra234\0"})
    jetson = read_jetson(tmp_path)
    assert jetson
    assert (jetson.l4t, jetson.jetpack, jetson.power_mode, jetson.gpu_clock) == (None,) * 4
