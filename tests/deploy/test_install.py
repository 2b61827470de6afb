"""install.sh, into trees of files: no root and no running systemd are needed for them."""

from __future__ import annotations

import subprocess

import pytest
from deploying import DEPLOY, OPTIONS, tool

from edge_ser import __version__

SETTINGS = "etc/edge-ser/edge-ser.env"
UNIT = "etc/systemd/system/edge-ser.service"


def test_shellcheck_finds_nothing():
    shellcheck = tool("shellcheck", "apt install shellcheck")

    done = subprocess.run(
        [shellcheck, str(DEPLOY / "install.sh")], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_installed_runs(installed):
    version = subprocess.run(
        [installed / "opt/edge-ser/venv/bin/python", "-m", "edge_ser", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert __version__ in version.stdout
    files = installed.files()
    assert files["opt/edge-ser/models/site.engine"] == b"an engine"
    assert files["opt/edge-ser/models/site.engine.json"] == b"{}"
    enabled = "etc/systemd/system/multi-user.target.wants/edge-ser.service"
    assert files[enabled] == "/etc/systemd/system/edge-ser.service"
    assert (installed / SETTINGS).read_text().splitlines()[-1] == (
        "EDGE_SER_RUN_OPTIONS=--model '/opt/edge-ser/models/site.engine' --device 'USB Audio'"
    )


def test_the_second_time_nothing_changes(installed_once, model):
    first = installed_once.files()

    said = installed_once.install(*OPTIONS, "--model", str(model)).stdout

    assert installed_once.files() == first
    assert "+ write" not in said
    assert "+ install" not in said


def test_nothing_in_it_names_the_tree(installed_once):
    tree = str(installed_once.root).encode()
    named = [
        path
        for path, content in installed_once.files().items()
        if tree in (content if isinstance(content, bytes) else content.encode())
    ]

    assert named == []
    script = (installed_once / "opt/edge-ser/venv/bin/edge-ser").read_text()
    assert script.startswith("#!/opt/edge-ser/venv/bin/python")


@pytest.mark.parametrize("options", [(), ("--uninstall",)])
def test_a_dry_run_does_nothing(tree, options):
    said = tree.install("--dry-run", *options).stdout

    assert list(tree.root.iterdir()) == []
    assert bool(options) or f"+ write {tree / UNIT}" in said


def test_a_dry_run_names_each_file_that_a_run_then_writes(tree):
    planned = tree.install("--dry-run", "--cpu").stdout
    done = tree.install("--cpu").stdout

    assert planned == done


def test_on_a_running_system_it_would_check_before_it_starts(wheel):
    planned = subprocess.run(
        ["bash", str(DEPLOY / "install.sh"), "--dry-run", "--from", str(wheel), "--cpu"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    steps = [
        "+ systemd-sysusers /etc/sysusers.d/edge-ser.conf",
        "+ systemctl daemon-reload",
        "+ systemctl enable edge-ser.service",
        "+ runuser -u edge-ser -G audio -- /opt/edge-ser/venv/bin/edge-ser doctor --for mic",
        "+ systemctl restart edge-ser.service",
    ]

    assert [line for line in planned if line in steps] == steps
    assert "+ write /etc/systemd/system/edge-ser.service" in planned


def test_settings_that_were_edited_are_kept(installed):
    (installed / SETTINGS).write_text("EDGE_SER_RUN_OPTIONS=--device 3\n")

    said = installed.install("--options", "--hop 0.5", "--cpu").stdout
    assert (installed / SETTINGS).read_text() == "EDGE_SER_RUN_OPTIONS=--device 3\n"
    assert "kept" in said

    installed.install("--uninstall")
    assert list(installed.files()) == [SETTINGS]


def test_settings_that_were_not_edited_follow(installed):
    installed.install("--options", "--hop 0.5", "--cpu")

    assert "EDGE_SER_RUN_OPTIONS=--hop 0.5\n" in (installed / SETTINGS).read_text()


def test_uninstall_removes_what_was_installed_and_nothing_else(installed):
    own = {
        "opt/edge-ser/models/own.onnx": b"mine",
        "etc/systemd/system/edge-ser.service.d/override.conf": b"[Service]\n",
        "etc/hostname": b"orin\n",
    }
    for path, content in own.items():
        (installed / path).parent.mkdir(parents=True, exist_ok=True)
        (installed / path).write_bytes(content)

    installed.install("--uninstall")
    assert installed.files() == own

    again = installed.install("--uninstall").stdout
    assert again.startswith("nothing ")
    assert str(installed.root) in again
    assert installed.files() == own


def test_a_gpu_brings_the_drop_in_and_going_back_takes_it(installed):
    drop_in = f"{UNIT}.d/gpu.conf"
    # The extra's packages are not on an index here, and pip would say so: the plan is enough.
    planned = installed.install("--gpu", "--dry-run").stdout
    assert f"+ write {installed / drop_in}" in planned
    assert "edge-ser\\[tensorrt\\]" in planned
    (installed / drop_in).parent.mkdir(parents=True)
    (installed / drop_in).write_bytes((DEPLOY / "gpu.conf").read_bytes())

    installed.install("--cpu")

    assert drop_in not in installed.files()


def test_prefix_and_user_reach_the_unit(tree):
    tree.install("--prefix", "/srv/ser", "--user", "robot", "--cpu")

    unit = (tree / UNIT).read_text()
    assert "ExecStart=/srv/ser/venv/bin/edge-ser run" in unit
    assert "\nUser=robot\nGroup=robot\n" in unit
    assert "/opt/edge-ser" not in unit
    assert "etc/sysusers.d/edge-ser.conf" not in tree.files()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--prefix", "/"), "--prefix"),
        (("--prefix", "/usr"), "--prefix"),
        (("--prefix", "opt/x"), "--prefix"),
        (("--prefix", "/opt/../etc"), "--prefix"),
        (("--prefix", "/opt/my ser"), "--prefix"),
        (("--user", "Robot; rm -rf /"), "--user"),
        (("--options", "a\nUser=root"), "--options"),
        (("--model", "nowhere.onnx"), "nowhere.onnx"),
        (("--model",), "--model"),
        (("--frob",), "--frob"),
        (("--root", __file__), "--root"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(tree, options, said):
    refused = tree.install(*options, check=False)

    assert refused.returncode == 2
    assert said in refused.stderr
    assert list(tree.root.iterdir()) == []
