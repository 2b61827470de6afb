"""What became of the inputs."""

from __future__ import annotations

from fuzzing import ASKED, TALLIES


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
