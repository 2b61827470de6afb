"""A build that dies leaves no engine under the final name, and none that would be believed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, write_tiny_model

from edge_ser.errors import ConfigError, EngineError
from edge_ser.tensorrt.engine import read_engine
from edge_ser.tensorrt.manifest import EngineConfig, manifest_path

CHILD = """
import sys, time
from pathlib import Path
from fake_tensorrt import FakeTensorRT
from edge_ser.tensorrt.build import build_engine
from edge_ser.tensorrt.manifest import EngineConfig

def hang(*_):
    print("here", flush=True)
    time.sleep(60)

stage, model, out = sys.argv[1:]
fake = sys.modules["tensorrt_rtx"] = FakeTensorRT("tensorrt_rtx 1.7")
if stage == "parse":
    fake.OnnxParser = hang
elif stage == "build":
    fake._build = hang
elif stage == "write engine":
    write = Path.write_bytes
    Path.write_bytes = lambda self, data: (write(self, data[:3]), hang())
elif stage == "write manifest":
    write_text = Path.write_text
    Path.write_text = lambda self, text, **_: (write_text(self, text[:9]), hang())
elif stage == "move":
    Path.replace = hang
build_engine(
    Path(model), Path(out), EngineConfig("fp32"), on_message=print,
    choice="tensorrt_rtx", targets=["8.6"],
)
"""


@pytest.mark.parametrize("stage", ["parse", "build", "write engine", "write manifest", "move"])
def test_a_killed_build_leaves_no_file_under_the_final_name(stage, tmp_path):
    model = write_tiny_model(tmp_path / "m.onnx")
    out = tmp_path / "m.engine"
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, stage, str(model), str(out)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    ) as child:
        assert child.stdout.readline() == b"here\n"
        child.send_signal(signal.SIGKILL)

    assert not out.exists()
    assert not manifest_path(out).exists()


@pytest.mark.parametrize("had", [False, True])
def test_death_between_the_two_moves_leaves_nothing_believed(had, install, tmp_path, monkeypatch):
    """The manifest is moved first: alone it is no engine, and beside an old one it does not fit."""
    from edge_ser.tensorrt.build import build_engine

    model, out = write_tiny_model(tmp_path / "m.onnx"), tmp_path / "m.engine"

    def build():
        build_engine(model, out, EngineConfig("fp32"), on_message=print, targets=["8.6"])

    if had:
        install("tensorrt_rtx 1.7", plan=b"an old plan")
        build()
    install("tensorrt_rtx 1.7")
    replace = Path.replace

    def only_the_manifest(self, target):
        if target == out:
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", only_the_manifest)
    with pytest.raises(ConfigError, match=r"m\.engine .*Input/output error"):
        build()

    assert out.exists() == had
    with pytest.raises(EngineError, match=r"\b6 bytes\b.*\bgot 11\b" if had else r"m\.engine\b"):
        read_engine(out)


def test_a_full_disk_is_told(install, tmp_path, monkeypatch):
    from edge_ser.tensorrt.build import build_engine

    model, out = write_tiny_model(tmp_path / "m.onnx"), tmp_path / "m.engine"
    install("tensorrt_rtx 1.7")

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EngineError, match=r"m\.engine .*\bNo space left\b"):
        build_engine(model, out, EngineConfig("fp32"), on_message=print, targets=["8.6"])
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
