"""Counts of the code, and the trace of one chunk through it."""

from __future__ import annotations

import ast
import importlib.util
import sys

import pytest
from support import ROOT


@pytest.fixture(scope="module")
def codebase():
    """Load the script, which is no package."""
    spec = importlib.util.spec_from_file_location("codebase", ROOT / "benchmarks" / "codebase.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_module_with_one_importer_is_counted_and_a_package_is_not(codebase):
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "p": set(), "p.x": {"p"}}

    assert codebase.with_one_importer(graph) == ["b"]


def test_circles_are_found(codebase):
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}

    assert codebase.cycles(graph) == [["a", "b", "c"]]
    assert codebase.cycles({"a": {"b"}, "b": set()}) == []


@pytest.mark.parametrize(
    ("code", "n"),
    [
        ("heard_s = 1", 1),
        ('def f(told):\n    """Tell it."""', 2),
        ('def f(x):\n    """Return the shell of a seashore."""\n    return "heard"', 0),
    ],
)
def test_private_words_are_counted_in_names_and_docstrings(codebase, code, n):
    assert codebase.private_words(ast.parse(code)) == n


def test_assertions_on_sentences_are_counted_by_test(codebase):
    tree = ast.parse(
        'def test_a():\n    assert "three lower words" in x\n'
        'def test_b():\n    assert "--out" in x\n'
        'def test_c():\n    with raises(E, match="is not a model"):\n        f()\n'
        'def other():\n    assert "three lower words" in x\n'
    )

    assert codebase.sentence_tests(tree) == (3, [1, 5])


def test_the_package_has_no_circle(codebase):
    assert (
        codebase.cycles(
            codebase.import_graph(codebase.trees(codebase.python_files(codebase.PACKAGE)))
        )
        == []
    )


def test_a_chunk_passes_from_the_callback_to_the_line(codebase, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])

    trace = codebase.follow_chunk()

    names = {name.rpartition(".")[2] for _, name in trace.functions}
    assert {"_callback", "infer", "to_json"} <= names
