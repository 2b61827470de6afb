"""`edge-ser build-engine` as a user runs it."""

from __future__ import annotations

import importlib.util
import io
import json
import shlex

import pytest
from rich.console import Console
from support import skip_or_fail, write_tiny_model

from edge_ser.cli._shared.progress import BuildProgress
from edge_ser.inference.loader import bundled_model


def test_an_engine_is_built_without_a_gpu(cli, tmp_path):
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        skip_or_fail("tensorrt_rtx is not installed; pip install 'edge-ser[tensorrt-rtx]'")
    targets = ("--compute-capability", "8.6", "--compute-capability", "8.9")
    done = cli("build-engine", bundled_model(), "--fp32", "--out", "m.engine", *targets)

    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    messages = done.stderr.decode().splitlines()
    assert messages[0].startswith("m.engine: fp32, ")
    assert "for SM 8.6, 8.9, by tensorrt_rtx" in messages[0]
    assert messages[1] == "features: from [1, 40, 47] to [1, 40, 297], best at [1, 40, 297]"
    assert shlex.split(messages[-1])[-3:] == ["edge-ser", "inspect", "m.engine"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.engine", "m.engine.json"]
    manifest = json.loads((tmp_path / "m.engine.json").read_text())
    assert manifest["built_by"]["compute_capabilities"] == ["8.6", "8.9"]


@pytest.mark.parametrize(
    ("arguments", "code", "value"),
    [
        ((), 2, b"--fp32, --fp16, --int8, or --int8 --fp16, got none"),
        (("--fp32", "--int8"), 2, b"got --fp32 and --int8"),
        (("--int8",), 1, b"first run: edge-ser quantize m.onnx --calibration FOLDER"),
        (
            ("--int8", "--fp16", "--calibration", "default"),
            1,
            b"--calibration FOLDER --int8 --fp16",
        ),
        (("--fp32", "--dla", "0"), 2, b"a DLA has no FP32"),
        (("--fp32", "--window", "1", "2", "0"), 2, b"--window"),
        (("--fp32", "--out", "m.trt"), 2, b".engine or .plan"),
    ],
)
def test_errors_name_the_remedy(arguments, code, value, cli, tmp_path):
    write_tiny_model(tmp_path / "m.onnx")
    done = cli("build-engine", "m.onnx", "--out", "m.engine", *arguments)

    assert done.returncode == code
    assert value in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_without_tensorrt_the_error_names_the_install_command(cli, tmp_path):
    write_tiny_model(tmp_path / "m.onnx")
    for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})")
    done = cli("build-engine", "m.onnx", "--fp32", "--out", "m.engine")

    assert done.returncode == 1
    assert b"--system-site-packages" in done.stderr
    assert b"edge-ser[tensorrt-rtx]" in done.stderr


def test_bars_show_the_phases_as_they_nest():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with BuildProgress(console) as bars:
        bars.start("Building engine", None, 6)
        bars.start("Cloning", "Building engine", 2)
        bars.step("Cloning", 1)
        bars.start("Inner", "Cloning", 1)
        bars._bars.refresh()
        bars.finish("Inner")
        bars.finish("Cloning")
        bars.step("Building engine", 6)
        bars.finish("Building engine")
        left = [task.description for task in bars._bars.tasks if task.visible]

    assert left == ["Building engine"]
    for shown in ("Building engine", "  Cloning", "    Inner", "50%"):
        assert shown in screen.getvalue()
