"""Under torchrun an error is printed once, by the first process that has it."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from edge_ser.cli import print_once


@pytest.fixture
def torchrun(tmp_path, monkeypatch):
    """Environment variables of a torchrun process, by rank."""

    def enter(rank: int) -> None:
        folder = tmp_path / "attempt_0" / str(rank)
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(folder / "error.json"))

    return enter


def test_without_torchrun_everything_is_printed(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_ERROR_FILE", raising=False)
    printed = []
    for _ in range(2):
        print_once(lambda: printed.append(1))

    assert printed == [1, 1]


def test_only_the_first_process_prints(torchrun):
    printed = []
    for rank in (1, 0, 2):
        torchrun(rank)
        print_once(lambda rank=rank: printed.append(rank))

    assert printed == [1]


def write_line(path: Path) -> None:
    def show() -> None:
        time.sleep(0.2)  # the others come meanwhile
        with path.open("a") as file:
            file.write("printed\n")

    print_once(show)


def test_processes_do_not_print_at_the_same_time(torchrun, tmp_path):
    torchrun(0)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=write_line, args=(tmp_path / "out",)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)

    assert (tmp_path / "out").read_text() == "printed\n"
