"""Count what a newcomer meets in the code, and follow one microphone chunk to its JSON line.

    python benchmarks/codebase.py [--top 10]

Counts cover the Python files of `edge_ser`, except for the assertions, which are those of `tests`. The
trace runs `edge-ser run --mic --format jsonl` on a stand-in for PortAudio that plays example clips, and
lists the functions of `edge_ser` that run between two consecutive `window` events.
"""

from __future__ import annotations

import argparse
import ast
import io
import os
import re
import signal
import statistics
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import numpy as np
import soundfile as sf

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "edge_ser"
PRIVATE_WORDS = {"told", "tell", "tells", "hear", "hears", "heard", "said"}
OPENINGS = {"What", "Which", "Where", "How"}
SENTENCE = re.compile(r"(?<![\w-])[a-z]+(?: [a-z]+){2,}(?![\w-])")
"""Three or more lower-case words in a row: text that is there to be read, not a value."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def python_files(folder: Path) -> list[Path]:
    """Return the Python files below a folder, sorted."""
    return sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)


def trees(files: list[Path]) -> dict[Path, ast.Module]:
    """Return the syntax tree of each file."""
    return {path: ast.parse(path.read_text()) for path in files}


def files_per_folder(files: list[Path]) -> Counter[str]:
    """Python files at one level, `__init__.py` included."""
    return Counter(str(path.parent.relative_to(ROOT)) for path in files)


def imports_of(tree: ast.Module, modules: set[str]) -> set[str]:
    """Modules of the package that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & modules
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & modules) or ({node.module} & modules)
    return found


def import_graph(parsed: dict[Path, ast.Module]) -> dict[str, set[str]]:
    """Module → modules of the package that it imports.

    `edge_ser` itself is left out: it imports its public names at first use.
    """
    named = {module_name(path): tree for path, tree in parsed.items()}
    named.pop(PACKAGE.name)
    return {name: imports_of(tree, set(named)) - {name} for name, tree in named.items()}


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the repository."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def with_one_importer(graph: dict[str, set[str]]) -> list[str]:
    """Modules that exactly one other module imports; packages and entry points do not count."""
    importers = Counter(name for imported in graph.values() for name in imported)
    packages = {name.rpartition(".")[0] for name in graph}
    return sorted(name for name, n in importers.items() if n == 1 and name not in packages)


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Yield docstrings of modules, classes and functions, and strings that stand under a field."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for child in body if isinstance(body, list) else ():
            match child:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield text.strip()


def identifiers(tree: ast.Module) -> Iterator[str]:
    """Yield every name that is defined, read or passed."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.Name():
                yield node.id
            case ast.arg():
                yield node.arg
            case ast.Attribute():
                yield node.attr
            case ast.keyword(arg=str()):
                yield str(node.arg)


def private_words(tree: ast.Module) -> int:
    """Uses of told, tell, hear, heard and said, as part of an identifier or in a docstring."""
    texts = [*identifiers(tree), *docstrings(tree)]
    words = (word.lower() for text in texts for word in _WORD.findall(text))
    return sum(word in PRIVATE_WORDS for word in words)


def sentence_tests(tree: ast.Module) -> tuple[int, list[int]]:
    """Return the number of tests, and the lines of those that assert on a sentence."""
    tests = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return len(tests), [test.lineno for test in tests if _asserts_on_sentence(test)]


def _asserts_on_sentence(test: ast.FunctionDef) -> bool:
    checked: list[ast.AST] = []
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            checked.append(node.test)
        elif isinstance(node, ast.keyword) and node.arg == "match":
            checked.append(node.value)
    strings = (
        node.value
        for root in checked
        for node in ast.walk(root)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return any(SENTENCE.search(text) for text in strings)


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import one another, by Tarjan's strongly connected components."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            cut = stack.index(name)
            group, stack[cut:] = stack[cut:], []
            if len(group) > 1:
                groups.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return groups


class ChunkTrace:
    """Functions of `edge_ser` that run, in any thread, between two `window` lines."""

    def __init__(self, first: int = 6) -> None:
        self.functions: Counter[tuple[str, str]] = Counter()
        self.done = threading.Event()
        self._first = first
        self._n_windows = 0

    def window_written(self) -> None:
        """Count a `window` line; the trace ends with the one after the first counted."""
        self._n_windows += 1
        if self._n_windows > self._first:
            self.done.set()

    def profile(self, frame: FrameType, event: str, _: Any) -> None:
        """Count a call, as `sys.setprofile` reports it."""
        code = frame.f_code
        if event != "call" or self._n_windows != self._first or code.co_name.startswith("<"):
            return
        path = Path(code.co_filename)
        if PACKAGE in path.parents:
            self.functions[
                str(path.relative_to(ROOT)), getattr(code, "co_qualname", code.co_name)
            ] += 1


class _Lines(io.StringIO):
    """Standard output that reports each `window` line to the trace."""

    def __init__(self, trace: ChunkTrace) -> None:
        super().__init__()
        self._trace = trace

    def write(self, text: str) -> int:
        self._trace_text(text)
        return super().write(text)

    def _trace_text(self, text: str) -> None:
        if '"event": "window"' in text or '"event":"window"' in text:
            self._trace.window_written()


def follow_chunk() -> ChunkTrace:
    """Run the command line on a stand-in microphone, and trace the functions of one hop."""
    sys.path.insert(0, str(ROOT / "tests"))
    from fake_sounddevice import Device, FakeSounddevice

    from edge_ser.cli import group

    trace = ChunkTrace()
    device = FakeSounddevice([Device("Microphone", 16_000)])
    speech = np.concatenate(
        [sf.read(p, dtype="float32")[0] for p in sorted((ROOT / "examples").glob("*.wav"))]
    )

    def play() -> None:
        stream = device.next_stream()
        for start in range(0, len(speech) - 320, 320):
            if trace.done.is_set():
                break
            stream.deliver(speech[start : start + 320])
            trace.done.wait(0.002)
        os.kill(os.getpid(), signal.SIGINT)

    lines = _Lines(trace)
    player = threading.Thread(target=play)
    threading.setprofile(trace.profile)
    player.start()
    sys.setprofile(trace.profile)
    try:
        with mock.patch.dict(sys.modules, {"sounddevice": device}), mock.patch("sys.stdout", lines):
            group(["run", "--mic", "--format", "jsonl"], standalone_mode=False)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        player.join()
    return trace


def counts() -> dict[str, str]:
    """Return each figure of the code, by what it counts."""
    files = python_files(PACKAGE)
    parsed = trees(files)
    lengths = [path.read_text().count("\n") for path in files]
    n_lines = sum(lengths)
    graph = import_graph(parsed)
    opened = [
        t for tree in parsed.values() for t in docstrings(tree) if t.split(" ")[0] in OPENINGS
    ]
    n_private = sum(private_words(tree) for tree in parsed.values())
    n_tests, on_sentences = tests_on_sentences()
    folders = files_per_folder(files).most_common(4)
    return {
        "files": f"{len(files)} ({n_lines} lines)",
        "lines of a file": f"median {statistics.median(lengths):.0f}, maximum {max(lengths)}",
        "files in the largest folders": ", ".join(f"{name} {n}" for name, n in folders),
        "modules with one importer": f"{len(with_one_importer(graph))} of {len(graph)}",
        "import circles": str(len(cycles(graph))),
        "docstrings with What/Which/Where/How": str(len(opened)),
        "told/tell/hear/heard/said": f"{1000 * n_private / n_lines:.2f} in 1,000 lines",
        "tests that assert on a sentence": f"{len(on_sentences)} of {n_tests} "
        f"({100 * len(on_sentences) / n_tests:.1f}%)",
    }


def tests_on_sentences() -> tuple[int, list[str]]:
    """Return the number of tests, and `file:line` of those that assert on a sentence."""
    n_tests, places = 0, []
    for path, tree in trees(python_files(ROOT / "tests")).items():
        n, lines = sentence_tests(tree)
        n_tests += n
        places += [f"{path.relative_to(ROOT)}:{line}" for line in lines]
    return n_tests, places


def lists() -> dict[str, list[str]]:
    """Return the places behind the figures, by what they are."""
    parsed = trees(python_files(PACKAGE))
    return {
        "one importer": with_one_importer(import_graph(parsed)),
        "opening": [
            f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
            for path, tree in parsed.items()
            for text in docstrings(tree)
            if text.split(" ")[0] in OPENINGS
        ],
        "private words": [
            f"{path.relative_to(ROOT)}: {n}"
            for path, tree in parsed.items()
            if (n := private_words(tree))
        ],
        "sentence": tests_on_sentences()[1],
    }


def main() -> None:
    """Print the figures, then the lists that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--lists", action="store_true", help="print the places behind the figures")
    parser.add_argument("--no-trace", action="store_true", help="count only")
    arguments = parser.parse_args()
    for title, figure in counts().items():
        print(f"{title:38} {figure}")
    if not arguments.no_trace:
        trace = follow_chunk()
        n_files = len({path for path, _ in trace.functions})
        print(
            f"{'one hop, microphone to JSON line':38} {len(trace.functions)} functions, {n_files} files"
        )
        for path, name in sorted(trace.functions):
            print(f"  {path}: {name}")
    if arguments.lists:
        for title, places in lists().items():
            for place in places:
                print(f"{title}: {place}")


if __name__ == "__main__":
    main()
