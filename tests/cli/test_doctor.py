"""`edge-ser doctor` as people and programs see it."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import pytest
from machine_trees import BOARDS, board_commands, board_tree
from rich.console import Console

from edge_ser.cli.doctor import command, print_report
from edge_ser.doctor.report import CHOICES, examine


def table(report, width: int, **options: object) -> str:
    out = io.StringIO()
    print_report(Console(file=out, width=width, highlight=False, **options), report)
    return out.getvalue()


def test_this_machine_as_text(cli):
    done = cli("doctor", "--for", "wav")
    text = done.stdout.decode()

    assert done.returncode == 0, text
    assert "Files: `edge-ser run --wav` works\n" in text
    assert re.search(r"^ok +bundled model ", text, re.MULTILINE)
    assert text.endswith("Yes: `edge-ser run --wav` works.\n")
    assert done.stderr == b""
    assert "\x1b" not in text


def test_this_machine_as_json(cli):
    done = cli("doctor", "--json", "--for", "wav")
    data = json.loads(done.stdout)

    assert (data["works"], data["asked"]) == (True, ["wav"])
    assert [group["name"] for group in data["groups"]] == ["machine", *CHOICES]
    assert data["facts"]["cpu"]["n_cores"] >= 1


def test_what_does_not_work_is_exit_code_1(cli):
    """No audio server and no sound card can be reached below an empty home."""
    silent = {"PULSE_SERVER": "unix:/nowhere", "XDG_RUNTIME_DIR": "/nowhere", "HOME": "/nowhere"}
    script = (
        "import sys, edge_ser.audio.sources.devices as m; m.list_devices = lambda: ()\n"
        "sys.argv = ['edge-ser', 'doctor', '--for', 'mic', '--no-self-test']\n"
        "from edge_ser.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=silent
    )
    assert done.returncode == 1
    assert re.search(r"^missing  microphones +none", done.stdout, re.MULTILINE)
    assert done.stdout.splitlines()[-1].startswith("No: `edge-ser run --mic` ")
    assert "Traceback" not in done.stderr


def test_an_unknown_use_is_exit_code_2(cli):
    assert cli("doctor", "--for", "tea").returncode == 2


def test_every_use_is_an_option_value():
    (choice,) = (option.type.choices for option in command.params if option.name == "asked")
    assert tuple(choice) == CHOICES


def test_the_base_install_is_enough():
    """No torch, no onnx, and no PortAudio: what is missing is reported."""
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'librosa', 'matplotlib', 'scipy', 'safetensors'):\n"
        "    sys.modules[name] = None\n"
        "sys.argv = ['edge-ser', 'doctor', '--for', 'wav']\n"
        "from edge_ser.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"`edge-ser train`.*\bnot\b", done.stdout)
    assert "edge-ser[train]" in done.stdout


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_says_states_in_words(tmp_path, board, width):
    report = examine(
        root=board_tree(tmp_path, board), run=board_commands(board), with_self_test=False
    )
    text = table(report, width)

    assert max(map(len, text.splitlines())) <= width
    for group in report.groups:
        assert f"{group.title}: {group.says}" in text
        for check in group.checks:
            line = rf"^{check.state} +{re.escape(check.feature)} "
            assert re.search(line, text, re.MULTILINE), check
    flat = re.sub(r"\s+", "", text)
    for check in (check for group in report.groups for check in group.checks):
        assert re.sub(r"\s+", "", check.found) in flat
        assert re.sub(r"\s+", "", check.remedy) in flat


def test_colours_add_nothing_to_the_words(tmp_path):
    report = examine(root=board_tree(tmp_path, "orin-nano-jetpack7"), with_self_test=False)
    coloured = table(report, 80, force_terminal=True, color_system="standard")
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == table(report, 80)


def test_what_was_found_is_no_markup(tmp_path, monkeypatch):
    """Names of devices and paths may hold brackets."""
    from edge_ser.audio.sources.devices import InputDevice

    named = InputDevice(0, "Mic [/bold] [red]", "ALSA", 1, 48_000, is_default=True)
    monkeypatch.setattr("edge_ser.audio.sources.devices.list_devices", lambda: (named,))
    report = examine(root=tmp_path, with_self_test=False)
    assert "Mic [/bold] [red] (1 ch, 48000 Hz) is taken" in table(report, 120)
