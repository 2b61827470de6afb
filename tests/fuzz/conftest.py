"""A limit of memory for every target, and what became of the inputs."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from fuzzing import ASKED, TALLIES

ROOM_BYTES = 1 << 30
"""Address space that a reader may ask for beyond what the process has; a clip needs far less."""


@pytest.fixture(autouse=True)
def little_memory():
    """Let a huge allocation fail, as MemoryError, instead of filling the machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    room = pages * resource.getpagesize() + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (room, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def pytest_terminal_summary(terminalreporter):
    """Say how many inputs each target got, when that was asked for."""
    if ASKED:
        terminalreporter.section("inputs")
        for tally in TALLIES:
            n = tally.taken + tally.refused
            line = f"{tally.name:<16} {n:>9,}: {tally.taken:>8,} taken, {tally.refused:>8,} refused"
            terminalreporter.write_line(line)
        total = sum(tally.taken + tally.refused for tally in TALLIES)
        terminalreporter.write_line(f"{'all':<16} {total:>9,}")
