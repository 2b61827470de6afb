"""What each entry imports: nothing heavy until it is needed, and never torch on the device."""

from __future__ import annotations

import ast
import graphlib
import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

PACKAGE = ROOT / "edge_ser"

RANKS = {
    "errors": 0,
    "_util": 1,
    "card": 2,
    "precision": 2,
    "metrics": 2,
    "scores": 2,
    "machine": 2,
    "frontend": 3,
    "audio": 3,
    "corpora": 3,
    "splits": 4,
    "inference.base": 4,
    "inference.checks": 4,
    "inference.outputs": 4,
    "inference.session": 4,
    "vad": 5,
    "inference.onnxruntime": 5,
    "tensorrt": 5,
    "inference.loader": 6,
    "recognition": 7,
    "runtime": 8,
    "sinks": 8,
    "evaluation": 8,
    "quantization": 9,
    "profiling": 9,
    "adapt": 9,
    "doctor": 9,
    "reports": 10,
    "training": 11,
    "cli": 12,
}
"""A module imports from its own rank or a lower one; see "Import rule" in CONTRIBUTING."""

DEVICE = {"numpy", "onnxruntime"}
THIRD_PARTY = {
    "errors": set(),
    "_util": set(),
    "card": set(),
    "precision": set(),
    "metrics": {"numpy"},
    "scores": {"numpy"},
    "machine": {"pynvml"},
    "frontend": {"numpy"},
    # sounddevice is imported when a microphone is opened.
    "audio": {"numpy", "sounddevice", "soundfile", "soxr"},
    "corpora": set(),
    "splits": {"numpy"},
    "inference": DEVICE,
    "vad": {*DEVICE, "webrtcvad"},
    # CUDA's packages are imported where they are chosen.
    "tensorrt": {"cuda", "numpy", "pycuda"},
    "recognition": {"numpy"},
    "runtime": set(),
    "sinks": {"numpy"},
    "evaluation": {*DEVICE, "onnx"},
    "quantization": {*DEVICE, "onnx"},
    "profiling": {"numpy"},
    "adapt": {"numpy", "onnx", "soundfile"},
    "doctor": {"numpy"},
    "reports": {"numpy"},
    "training": {
        *DEVICE,
        "onnx",
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
"""Packages that a folder may name at all; torch in `cli` is for annotations and settings."""


def imports_of(path: Path) -> set[str]:
    """Modules that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (whole & MODULES) or {node.module}
    return names


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = [p for p in sorted(PACKAGE.rglob("*.py")) if p.stem != "__main__"]
MODULES = {module_name(path) for path in SOURCES}


def rank(module: str) -> int:
    """Rank of a module: its own where it has one, otherwise that of its folder."""
    parts = module.split(".")[1:]
    return RANKS.get(".".join(parts[:2]), RANKS.get(parts[0], -1))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    own = module_name(path)
    if own == "edge_ser":
        return
    folder = own.split(".")[1]
    for name in imports_of(path):
        root = name.split(".")[0]
        if name in MODULES and name != "edge_ser":
            package = own.startswith(f"{name}.") or name.startswith(f"{own}.")
            assert package or 0 <= rank(name) <= rank(own), f"{own} imports {name}"
        elif root not in {"edge_ser", *sys.stdlib_module_names}:
            assert root in THIRD_PARTY[folder], f"{folder} imports {name}"


def test_every_module_has_a_rank():
    assert {
        name for name in MODULES - {"edge_ser", "edge_ser.inference"} if rank(name) < 0
    } == set()


def test_no_module_imports_itself_through_others():
    packages = {"edge_ser", *(name.rpartition(".")[0] for name in MODULES)}
    graph = {module_name(p): (imports_of(p) & MODULES) - packages for p in SOURCES}

    order = [*graphlib.TopologicalSorter(graph).static_order()]

    assert set(order) == MODULES


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


def test_former_public_names_warn_and_are_the_new_ones():
    import edge_ser
    from edge_ser.recognition.events import Clip

    with pytest.warns(DeprecationWarning, match="AudioChunk"):
        assert edge_ser.Chunk is edge_ser.AudioChunk
    with pytest.warns(DeprecationWarning, match="StreamingFeatures"):
        assert edge_ser.StreamingMfcc is edge_ser.StreamingFeatures
    sys.modules.pop("edge_ser.runtime.events", None)
    with pytest.warns(DeprecationWarning, match=r"edge_ser\.recognition\.events"):
        assert importlib.import_module("edge_ser.runtime.events").Clip is Clip


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
