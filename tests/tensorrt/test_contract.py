"""Every TensorRT name that the package uses exists in all versions that the code supports."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest
from fake_tensorrt import TABLES, VERSIONS, load_table
from support import ROOT, skip_or_fail

PACKAGE = ROOT / "edge_ser"
ALL = tuple(VERSIONS)
FILES = ("build", "engine", "layers", "library", "session", "targets", "typing")
"""Modules of `edge_ser.tensorrt` that name TensorRT."""

SERVES = {
    **dict.fromkeys(FILES, ALL),
    "session:RtxContext": ALL[4:],
    **dict.fromkeys(("targets:known_targets", "targets:set_targets"), ALL[4:]),
    "targets:configure": ALL[:4],
    **dict.fromkeys(("targets:read_timing_cache", "targets:write_timing_cache"), ALL[:4]),
    **dict.fromkeys(("typing:strongly_typed_flags", "typing:check_types", "typing:watch"), ALL[1:]),
    **dict.fromkeys(("typing:weakly_typed_flags", "typing:allow_types"), ALL[:3]),
    "typing:float_layers": ALL[:3],
}
"""Versions that each module supports, and each function or class that supports fewer; TensorRT 10 is
weakly typed only on a DLA."""


def source_of(part: str) -> str:
    """Return the source of a definition, or of a module without the definitions in SERVES."""
    module, _, name = part.partition(":")
    tree = ast.parse((PACKAGE / "tensorrt" / f"{module}.py").read_text())
    apart = {key.partition(":")[2] for key in SERVES if key.startswith(f"{module}:")}
    tree.body = [
        node
        for node in tree.body
        if (getattr(node, "name", "") == name if name else getattr(node, "name", "") not in apart)
    ]
    assert tree.body, part
    return ast.unparse(tree)


OBJECTS = {
    "builder": "Builder",
    "cache": "ITimingCache",
    "config": "IBuilderConfig",
    "context": "IExecutionContext",
    "engine": "ICudaEngine",
    "inspector": "EngineInspector",
    "layer": "ILayer",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "problem": "ParserError",
    "profile": "IOptimizationProfile",
    "runtime": "Runtime",
    "runtime_cache": "IRuntimeCache",
    "runtime_config": "IRuntimeConfig",
    "tensor": "ITensor",
}
"""TensorRT class of a variable of this name, in these files."""

RESULTS = {
    "INetworkDefinition.get_input": "ITensor",
    "ILayer.get_input": "ITensor",
    "INetworkDefinition.get_layer": "ILayer",
    "ILayer.get_output": "ITensor",
    "IBuilderConfig.get_timing_cache": "ITimingCache",
}


class Uses(ast.NodeVisitor):
    """Collects (class or "", name, keywords) for each use of TensorRT in a source."""

    def __init__(self) -> None:
        self.found: set[tuple[str, str, tuple[str, ...]]] = set()

    def kind(self, node: ast.expr) -> str | None:
        """Return "trt", the TensorRT class of an expression, or None for anything else."""
        if isinstance(node, ast.Name):
            return "trt" if node.id == "trt" else OBJECTS.get(node.id)
        if isinstance(node, ast.Attribute) and self.kind(node.value) == "trt":
            return node.attr
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = self.kind(node.func.value)
            return node.func.attr if owner == "trt" else RESULTS.get(f"{owner}.{node.func.attr}")
        return None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.note(node, ())
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.keywords:
            self.note(node.func, tuple(k.arg or "**" for k in node.keywords))
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A subclass overrides by name, and TensorRT calls it by position or keyword."""
        for base in filter(None, map(self.kind, node.bases)):
            for method in (n for n in node.body if isinstance(n, ast.FunctionDef)):
                if not method.name.startswith("_"):
                    parameters = tuple(a.arg for a in method.args.args[1:])
                    self.found.add((base, method.name, parameters))
        self.generic_visit(node)

    def note(self, node: ast.Attribute, keywords: tuple[str, ...]) -> None:
        owner = self.kind(node.value)
        if owner is not None and not node.attr.startswith("__"):
            self.found.add(("" if owner == "trt" else owner, node.attr, keywords))


def uses(source: str) -> set[tuple[str, str, tuple[str, ...]]]:
    visitor = Uses()
    visitor.visit(ast.parse(source))
    return visitor.found


def missing(source: str, version: str) -> list[str]:
    """Return the names that a source uses and a version lacks."""
    names = load_table(version)["names"]
    found = []
    for owner, name, keywords in sorted(uses(source)):
        members = names.get(owner, {}) if owner else names
        shown = f"{owner}.{name}".lstrip(".")
        if name not in members:
            found.append(shown)
        elif keywords and not set(keywords) <= set(
            members[name] if isinstance(members[name], list) else ()
        ):
            found.append(f"{shown}({', '.join(keywords)})")
    return found


def sources_naming_tensorrt() -> list[str]:
    return [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if any(
            isinstance(n, ast.Name) and n.id == "trt" for n in ast.walk(ast.parse(path.read_text()))
        )
    ]


@pytest.mark.parametrize(
    ("part", "version"), [(part, version) for part in SERVES for version in SERVES[part]]
)
def test_all_names_exist_in_the_supported_versions(part, version):
    assert missing(source_of(part), version) == []


def test_no_other_file_names_tensorrt():
    assert sources_naming_tensorrt() == [f"tensorrt/{file}.py" for file in sorted(FILES)]
    for path in PACKAGE.rglob("*.py"):
        imported = ast.walk(ast.parse(path.read_text()))
        names = {a.name for node in imported if isinstance(node, ast.Import) for a in node.names}
        assert not {"tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"} & names, path


def test_the_walk_sees_what_is_used():
    found = set().union(*(uses(source_of(part)) for part in SERVES))

    assert {
        ("", "BuilderFlag", ()),
        ("BuilderFlag", "FP16", ()),
        ("IBuilderConfig", "progress_monitor", ()),
        ("ITensor", "dtype", ()),
        ("OnnxParser", "parse", ()),
        ("Runtime", "deserialize_cuda_engine", ()),
        ("IExecutionContext", "set_input_shape", ()),
        ("IExecutionContext", "execute_async_v3", ()),
        ("IExecutionContext", "is_stream_capturable", ()),
        ("ICudaEngine", "create_execution_context", ("runtime_config",)),
        ("IRuntimeConfig", "set_runtime_cache", ()),
        ("IRuntimeCache", "deserialize", ()),
        ("TensorIOMode", "INPUT", ()),
        ("IProgressMonitor", "phase_start", ("phase_name", "parent_phase", "num_steps")),
        ("ILogger", "log", ("severity", "msg")),
    } <= found
    assert len(found) > 60


@pytest.mark.parametrize(
    ("added", "lacking", "having"),
    [
        ("config.set_flag(trt.BuilderFlag.FP16)", ALL[3:], ALL[1:3]),
        ("config.int8_calibrator = None", ALL[3:], ALL[1:3]),
        ("trt.IInt8EntropyCalibrator2", ALL[3:], ALL[1:3]),
        ("network.get_layer(0).precision", ALL[3:], ALL[1:3]),
        ("config.set_compute_capability(x, 0)", ALL[1:4], ALL[4:]),
        ("config.set_memory_pool_limit(pool=x, size=1)", ALL[1:], ()),
        ("config.set_memory_pool_limit(pool=x, pool_size=1)", (), ALL[1:]),
    ],
)
def test_a_name_that_a_version_lacks_is_found(added, lacking, having):
    source = source_of("typing:watch")
    line = "    config.progress_monitor = Monitor()\n"
    changed = source.replace(line, line + f"    {added}\n")
    assert changed != source

    for version in lacking:
        assert missing(changed, version), version
    for version in having:
        assert missing(changed, version) == []


def test_the_table_is_that_of_the_installed_module():
    """tests/tensorrt_api/read_api.py makes the tables; compare with the real module if installed."""
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        skip_or_fail("tensorrt_rtx is not installed; pip install 'edge-ser[tensorrt-rtx]'")
    module = importlib.import_module("tensorrt_rtx_bindings")
    table = TABLES / f"tensorrt_rtx-{module.__version__}.json"
    if not table.is_file():
        pytest.skip(f"there is no table of tensorrt_rtx {module.__version__}")
    spec = importlib.util.spec_from_file_location("read_api", Path(TABLES / "read_api.py"))
    read_api = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(read_api)

    assert read_api.dump(module) == table.read_text()


OTHERS = {
    "EngineManifest",
    "LEVELS",
    "_TYPES",
    "again",
    "beside",
    "board",
    "built",
    "card",
    "cuda",
    "dataclasses",
    "device",
    "engine_file",
    "error",
    "found",
    "functools",
    "hashlib",
    "importlib",
    "indices",
    "inputs",
    "job",
    "json",
    "kinds",
    "loaded",
    "log",
    "manifest",
    "manifest_file",
    "module",
    "name",
    "np",
    "on_device",
    "onnx",
    "options",
    "dict",
    "platform",
    "datetime",
    "out",
    "os",
    "output",
    "path",
    "port",
    "precision",
    "progress",
    "raised",
    "re",
    "reasons",
    "row",
    "rtx",
    "self",
    "shapes",
    "source",
    "stack",
    "super",
    "targets",
    "temporary",
    "tensorrt",
    "to_int8",
    "types",
    "view",
    "typing",
    "words",
}
"""Names in these files that hold no TensorRT object; `tensorrt` is edge-ser's class TensorRT."""


@pytest.mark.parametrize("file", FILES)
def test_nothing_of_tensorrts_has_a_name_that_the_walk_does_not_know(file):
    for node in ast.walk(ast.parse((PACKAGE / "tensorrt" / f"{file}.py").read_text())):
        if not isinstance(node, ast.Attribute):
            continue
        inner = node.value
        if isinstance(inner, ast.Attribute):
            assert inner.attr not in {"module", "engine", "runtime"}, ast.unparse(node)
        while isinstance(inner, (ast.Attribute, ast.Call, ast.Subscript)):
            inner = inner.func if isinstance(inner, ast.Call) else inner.value
        if isinstance(inner, ast.Name):
            known = inner.id == "trt" or inner.id in OBJECTS or inner.id in OTHERS
            assert known, f"{ast.unparse(node)}: add {inner.id} to OBJECTS or OTHERS"


def test_what_only_rtx_has_stays_out_of_the_code_for_all():
    """The walk finds it: the class for TensorRT for RTX fits no other version."""
    source = source_of("session:RtxContext")
    for version in ALL[:4]:
        assert "IExecutionContext.is_stream_capturable" in missing(source, version)
    assert "ICudaEngine.create_runtime_config" in missing(source, ALL[0])
