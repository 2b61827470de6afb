"""Machines to examine: recorded boards and made-up ones, with chosen facts changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from machine_trees import Commands, board_commands, board_tree

from edge_ser.doctor.check import Probes
from edge_ser.doctor.self_test import SelfTest, expected
from edge_ser.machine.facts import read_facts

MakeHere = Callable[..., Probes]


@pytest.fixture
def make_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeHere:
    """Return a function that makes a `Probes` of a board, or of an empty machine."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    def make(board: str | None = None, commands: Commands | None = None, **facts: object) -> Probes:
        if board:
            board_tree(tmp_path, board)
        run = commands or (board_commands(board) if board else Commands())
        known = dataclasses.replace(read_facts(tmp_path, run), **facts)  # type: ignore[arg-type]
        return Probes(tmp_path, run, known)

    return make


@pytest.fixture
def with_result(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SelfTest]:
    """Return a function that makes the self-test give the expected answer, with changes."""

    def give(**changes: object) -> SelfTest:
        reference = expected()
        result = SelfTest(
            "tiny",
            tuple(reference.probs),
            reference.sha256,
            reference.label,
            reference.probs,
            9,
            5.0,
            3.0,
            0.02,
        )
        result = dataclasses.replace(result, **changes)  # type: ignore[arg-type]
        monkeypatch.setattr("edge_ser.doctor.self_test.run_self_test", lambda: result)
        return result

    return give
