"""What each entry imports: nothing heavy until it is needed, and never torch on the device."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

PACKAGE = ROOT / "edge_ser"

LAYERS = {
    "errors": 0,
    "_util": 1,
    "wav": 1,
    "card": 2,
    "precision": 2,
    "manifest": 2,
    "machine": 2,
    "frontend": 3,
    "audio": 3,
    "metrics": 3,
    "scores": 3,
    "corpora": 3,
    "protocols": 4,
    "recognition": 4,
    "runtime": 4,
    "sinks": 5,
    "build": 5,
    "measure": 5,
    "adapt": 5,
    "doctor": 5,
    "training": 6,
    "cli": 7,
}
"""A module imports from its own layer or those below; see `edge_ser` in CONTRIBUTING."""

THIRD_PARTY = {
    "errors": set(),
    "_util": set(),
    "wav": set(),
    "card": set(),
    "precision": set(),
    "manifest": set(),
    "machine": {"pynvml"},
    "frontend": {"numpy"},
    "audio": {"numpy", "soundfile", "soxr"},
    "metrics": {"numpy"},
    "scores": {"numpy"},
    "corpora": set(),
    "protocols": {"numpy"},
    # cuda, pycuda and the voice detectors are imported where they are chosen.
    "runtime": {
        "cuda",
        "numpy",
        "onnxruntime",
        "pycuda",
        "sounddevice",
        "webrtcvad",
    },
    "recognition": {"numpy"},
    "sinks": {"numpy"},
    "build": {"numpy", "onnx", "onnxruntime"},
    "measure": {"numpy", "onnx", "onnxruntime"},
    "adapt": {"numpy", "onnx", "soundfile"},
    "doctor": {"numpy"},
    "training": {
        "numpy",
        "onnx",
        "onnxruntime",
        "torch",
        "safetensors",
        "matplotlib",
        "soxr",
        "librosa",
        "opensmile",
        "sklearn",
        "scipy",
        "soundfile",
        "pyroomacoustics",
    },
    "cli": {"click", "rich", "torch"},
}
"""Packages that a layer may name at all; torch in `cli` is for annotations and settings."""


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def layer(module: str) -> str:
    return module.split(".")[1]


SOURCES = [p for p in sorted(PACKAGE.rglob("*.py")) if p.parent != PACKAGE or p.stem in LAYERS]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports_of(path):
        root = name.split(".")[0]
        if root == "edge_ser" and name != "edge_ser":
            assert LAYERS[layer(name)] <= LAYERS[own], f"{own} imports {name}"
        elif root not in {"edge_ser", *sys.stdlib_module_names}:
            assert root in THIRD_PARTY[own], f"{own} imports {name}"


@pytest.mark.parametrize("folder", ["runtime", "recognition", "sinks"])
def test_nothing_below_the_facade_imports_it(folder):
    facade = "edge_ser.runtime.recognizer"
    users = [p for p in (PACKAGE / folder).rglob("*.py") if facade in imports_of(p)]

    assert users == []


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_the_package_imports_nothing_heavy():
    new = modules_after("import edge_ser") - modules_after("pass")

    assert new - set(sys.stdlib_module_names) == {"edge_ser"}


def test_the_command_line_imports_only_click():
    new = modules_after("import edge_ser.cli") - modules_after("pass")

    assert new - set(sys.stdlib_module_names) <= {"edge_ser", "click", "colorama"}


def test_the_public_names_resolve():
    import edge_ser

    for name in edge_ser.__all__:
        assert getattr(edge_ser, name) is not None
    with pytest.raises(AttributeError, match="Recogniser"):
        _ = edge_ser.Recogniser


def test_run_works_without_torch(example_clips):
    """On a device there is no torch, and importing it must not even be tried."""
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'matplotlib', 'safetensors', 'scipy', 'librosa'):\n"
        "    sys.modules[name] = None\n"
        f"sys.argv = ['edge-ser', 'run', '--wav', {str(example_clips[0])!r}]\n"
        "from edge_ser.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(example_clips[0]))


@pytest.mark.parametrize("command", ["train", "export"])
def test_training_commands_name_the_extra_that_is_missing(tmp_path, command):
    arguments = {
        "train": ["--corpus", f"folder=.={tmp_path}", "--out", str(tmp_path / "run")],
        "export": [str(tmp_path), "--out", str(tmp_path / "m.onnx")],
    }[command]
    code = (
        "import sys\nsys.modules['torch'] = None\n"
        f"sys.argv = {['edge-ser', command, *arguments]!r}\n"
        "from edge_ser.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "pip install 'edge-ser[train]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *(
            [c, "-h"]
            for c in (
                "adapt",
                "build-engine",
                "compare",
                "cross-validate",
                "doctor",
                "evaluate",
                "train",
                "export",
                "inspect",
                "label",
                "profile",
                "quantize",
                "run",
            )
        ),
        *(["calibrate", *c, "-h"] for c in ((), ("select",), ("show",))),
    ],
)
def test_every_help_works_in_a_bare_process(arguments):
    done = subprocess.run(
        [sys.executable, "-m", "edge_ser", *arguments], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_base_install_asks_for_the_device_runtime_only():
    """What `pip install edge-ser` brings to a board: neither torch nor anything of training."""
    base = {
        re.split(r"[^\w-]", line)[0]
        for line in importlib.metadata.requires("edge-ser") or ()
        if "extra ==" not in line
    }

    assert base == {
        "click",
        "numpy",
        "onnxruntime",
        "rich",
        "sounddevice",
        "soundfile",
        "soxr",
    }
