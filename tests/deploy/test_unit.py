"""The systemd unit, as systemd itself reads and rates it; no running systemd is needed."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from deploying import DEPLOY, tool

from edge_ser.cli.run import command

EXPOSURE = 1.5
"""On systemd's scale from 0, locked in, to 10; a service without any sandbox has 9.6."""


def directives(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", "["))]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists on this machine, and its drop-in for a GPU."""
    path = tmp_path / "edge-ser.service"
    text = (DEPLOY / "edge-ser.service").read_text()
    path.write_text(text.replace("/opt/edge-ser/venv/bin/edge-ser", sys.executable))
    drop_ins = tmp_path / "edge-ser.service.d"
    drop_ins.mkdir()
    (drop_ins / "gpu.conf").write_text((DEPLOY / "gpu.conf").read_text())
    return path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = tool("systemd-analyze", "apt install systemd")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_systemd_understands_every_line(unit):
    verified = analyze("verify", "--man=no", str(unit))

    # An unknown directive is a message, not an exit code.
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_it_is_locked_in(unit):
    rated = analyze("security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", str(unit))

    assert rated.returncode == 0, rated.stdout + rated.stderr
    assert "Overall exposure level" in rated.stdout


def test_what_a_microphone_needs_is_left_open(unit):
    rated = analyze("security", "--offline=true", "--json=short", str(unit))
    passed = {row["json_field"]: row["set"] for row in json.loads(rated.stdout)}

    # The callback of PortAudio is a closure of cffi: it cannot be made without such memory.
    assert passed["MemoryDenyWriteExecute"] is False
    # It would hide /dev/snd.
    assert passed["PrivateDevices"] is False


def system_calls(name: str) -> set[str]:
    """Return what a set such as @system-service holds, the sets within it too."""
    lines = [line.strip() for line in analyze("syscall-filter", name).stdout.splitlines()[1:]]
    found: set[str] = set()
    for line in lines:
        if line and not line.startswith("#"):
            found |= system_calls(line) if line.startswith("@") else {line}
    return found


def test_it_makes_no_system_call_that_is_refused(tmp_path, example_clips):
    strace = tool("strace", "apt install strace")
    unit = directives((DEPLOY / "edge-ser.service").read_text())
    environment = dict(
        pair.split("=", 1)
        for name, value in unit
        if name == "Environment"
        for pair in value.split()
    )
    allowed, refused = (value for name, value in unit if name == "SystemCallFilter")
    made = tmp_path / "calls"
    done = subprocess.run(
        [strace, "-f", "-o", str(made), sys.executable, "-m", "edge_ser", "run", *example_clips],
        env={**os.environ, **environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    calls = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", made.read_text(), re.MULTILINE))
    assert {"execve", "openat", "mmap"} <= calls
    may = (system_calls("@default") | system_calls(allowed)) - system_calls(refused.lstrip("~"))
    assert calls - may == set()


def test_devices_are_those_of_sound_and_of_the_gpu_alone():
    unit = directives((DEPLOY / "edge-ser.service").read_text())
    gpu = directives((DEPLOY / "gpu.conf").read_text())
    allowed = [value for name, value in gpu if name == "DeviceAllow"]

    assert ("DevicePolicy", "closed") in unit
    assert [value for name, value in unit if name == "DeviceAllow"] == ["char-alsa rw"]
    assert len(allowed) == len(set(allowed))
    prefixes = ("/dev/nvmap ", "/dev/nvsciipc ", "/dev/nvhost-", "/dev/nvgpu/igpu0/", "char-drm ")
    assert [v for v in allowed if not v.startswith((*prefixes, "char-nvidia"))] == []
    assert "/dev/nvmap rw" in allowed


def test_it_starts_a_command_that_exists():
    unit = dict(directives((DEPLOY / "edge-ser.service").read_text()))
    program, *arguments = unit["ExecStart"].split()
    known = {option for parameter in command.params for option in parameter.opts}

    assert program.endswith("/bin/edge-ser")
    assert arguments == [
        *("run", "--mic", "--wait-for-device", "--format", "jsonl"),
        "$EDGE_SER_RUN_OPTIONS",
    ]
    assert {argument for argument in arguments if argument.startswith("--")} <= known


def test_a_wrong_option_is_not_tried_for_ever():
    unit = dict(directives((DEPLOY / "edge-ser.service").read_text()))
    done = subprocess.run(
        [sys.executable, "-m", "edge_ser", "run", "--mic", "--format", "jsonl", "--no-such-option"],
        capture_output=True,
        check=False,
    )

    assert str(done.returncode) == unit["RestartPreventExitStatus"]


def test_the_journal_of_events_is_bounded():
    unit = dict(directives((DEPLOY / "edge-ser.service").read_text()))
    journal = configparser.ConfigParser()
    journal.optionxform = str  # type: ignore[method-assign,assignment]
    journal.read(DEPLOY / f"journald@{unit['LogNamespace']}.conf")

    assert set(journal["Journal"]) == {"SystemMaxUse", "RuntimeMaxUse", "MaxRetentionSec"}


def test_systemd_makes_the_user_with_its_groups(tmp_path):
    sysusers = tool("systemd-sysusers", "apt install systemd")
    (tmp_path / "etc").mkdir()
    subprocess.run(
        [sysusers, f"--root={tmp_path}", str(DEPLOY / "sysusers.conf")],
        check=True,
        capture_output=True,
    )

    assert "edge-ser:x:" in (tmp_path / "etc/passwd").read_text()
    groups = {
        line.split(":")[0]: line.rsplit(":", 1)[1]
        for line in (tmp_path / "etc/group").read_text().splitlines()
    }
    assert {name for name, members in groups.items() if "edge-ser" in members.split(",")} == {
        "audio",
        "video",
        "render",
    }
