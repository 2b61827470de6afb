"""One record of a machine: whole, JSON, and never an error."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine_trees import BOARDS, board_commands, board_tree, write

from edge_ser import __version__
from edge_ser.machine import jetson
from edge_ser.machine.clocks import parse_jetson_clocks
from edge_ser.machine.cpu import parse_cgroups, parse_cpu_max, parse_cpuinfo, parse_meminfo
from edge_ser.machine.facts import parse_os_release, parse_pyvenv, read_facts
from edge_ser.machine.gpu import parse_driver_version, parse_nvidia_smi
from edge_ser.machine.packages import installed, system_package
from edge_ser.machine.reading import read_int, read_text, run_command


def test_this_machine_as_json():
    facts = read_facts()
    again = json.loads(json.dumps(dataclasses.asdict(facts), allow_nan=False))

    assert again["python"] == sys.version.split()[0]
    assert again["packages"]["edge-ser"] == __version__
    assert {"numpy", "onnxruntime", "soxr"} <= set(again["packages"])
    assert again["cpu"]["n_cores"] >= 1
    assert facts.environment == (sys.prefix if sys.prefix != sys.base_prefix else None)


@pytest.mark.parametrize("board", BOARDS)
def test_each_board_as_json(tmp_path, board):
    write(tmp_path, {"etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"'})
    write(tmp_path, {"proc/sys/kernel/osrelease": "5.15.148-tegra"})
    facts = read_facts(board_tree(tmp_path, board), board_commands(board))

    assert facts.jetson
    assert (facts.os, facts.kernel) == ("Ubuntu 22.04.5 LTS", "5.15.148-tegra")
    assert len(facts.cpu.clocks) >= 2
    assert facts.cpu.governors == ("schedutil",)
    assert json.loads(json.dumps(dataclasses.asdict(facts)))["jetson"]["l4t"] == facts.jetson.l4t


def test_an_empty_root_is_no_error(tmp_path):
    facts = read_facts(tmp_path)
    assert facts.jetson is None
    assert facts.gpu is None
    assert facts.os


@pytest.mark.parametrize(
    "parse",
    [
        jetson.parse_tegra_release,
        jetson.parse_nvpmodel,
        jetson.parse_modes,
        jetson.parse_status,
        parse_jetson_clocks,
        parse_cpuinfo,
        parse_meminfo,
        parse_cgroups,
        parse_cpu_max,
        parse_driver_version,
        parse_nvidia_smi,
        parse_os_release,
        parse_pyvenv,
    ],
)
@given(
    text=st.text()
    | st.lists(st.sampled_from(["name", "max", "0x", "pmode:", "1 ", "0", ":", ", ", "\n"])).map(
        "".join
    )
)
def test_no_parser_falls_over_any_text(parse, text):
    parse(text)


def test_files_of_nonsense_are_no_error(tmp_path):
    names = [
        *("etc/nv_tegra_release", "etc/nvpmodel.conf", "etc/os-release", "proc/cpuinfo"),
        *("proc/meminfo", "proc/loadavg", "proc/self/cgroup", "var/lib/dpkg/status"),
        *("sys/devices/system/cpu/online", "proc/driver/nvidia/version"),
        *("sys/class/thermal/thermal_zone0/temp", "sys/class/devfreq/17000000.gpu/min_freq"),
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\xfe\0nonsense : 0x\n\n::\n")
    facts = read_facts(tmp_path)
    assert facts.jetson is None
    assert facts.thermal.zones == ()


def test_reading_what_is_not_there_or_no_number(tmp_path):
    assert read_text(tmp_path / "absent") is None
    assert read_text(tmp_path) is None
    assert read_int(write(tmp_path, {"word": "fast"}) / "word") is None
    assert read_int(write(tmp_path, {"number": "-12"}) / "number") == -12


def test_commands_that_are_missing_fail_or_hang_say_nothing(monkeypatch):
    assert run_command("echo", "well") == "well\n"
    assert run_command("no-such-program-anywhere") is None
    assert run_command("false") is None
    monkeypatch.setattr("edge_ser.machine.reading._SECONDS", 0.05)
    assert run_command("sleep", "5") is None


def test_packages_are_named_without_importing_them():
    assert installed(["numpy", "no-such-package"]).keys() == {"numpy"}
    code = "import sys; from edge_ser.machine.facts import read_facts; read_facts(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "onnxruntime", "torch", "tensorrt"} & set(done.stdout.split())


def test_a_package_of_the_systems_python(tmp_path):
    """Install folder of JetPack's python3-libnvinfer."""
    folder = "usr/lib/python3.{minor}/dist-packages"
    other = sys.version_info.minor + 1
    assert system_package("tensorrt", tmp_path) is None
    write(
        tmp_path,
        {
            f"{folder.format(minor=other)}/tensorrt/__init__.py": "",
            f"{folder.format(minor=other)}/tensorrt-10.3.0.dist-info/METADATA": "",
        },
    )
    found = system_package("tensorrt", tmp_path)
    assert found
    assert (found.version, found.python, found.fits) == ("10.3.0", f"3.{other}", False)

    write(tmp_path, {"usr/lib/python3/dist-packages/tensorrt/__init__.py": ""})
    found = system_package("tensorrt", tmp_path)
    assert found
    assert (found.version, found.python, found.fits) == (None, None, True)


def test_the_settings_of_an_environment():
    assert parse_pyvenv("home = /usr/bin\ninclude-system-site-packages = true\n")
    assert not parse_pyvenv("home = /usr/bin\ninclude-system-site-packages = false\n")
    assert not parse_pyvenv("")
