"""What `doctor` prints: a line for each check, its state as a word, and below it what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_ser.cli._shared.tables import checks_table
from edge_ser.doctor.check import MISSING, OK, UNKNOWN, WARNING
from edge_ser.doctor.report import WORKS

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.doctor.report import Group, Report

_STYLES = {OK: "green", WARNING: "yellow", MISSING: "red", UNKNOWN: "magenta"}

_FEATURE_WIDTH = 16
_STATE_WIDTH = 7


def print_report(console: Console, report: Report) -> None:
    """Print all groups, then what follows for what was asked."""
    for group in report.groups:
        _print_group(console, group)
    _print_end(console, report)


def _print_group(console: Console, group: Group) -> None:
    from rich.text import Text

    head = Text.assemble((group.title, "bold"), ": ", group.says)
    if group.name != "machine":
        head.stylize(_verdict_style(group.verdict), len(group.title) + 2)
    console.print(head)
    table = checks_table(_STATE_WIDTH, _FEATURE_WIDTH)
    for check in group.checks:
        style = _STYLES[check.state]
        found = Text(check.found)
        if check.remedy:
            found.append(f"\n→ {check.remedy}", style="bold" if check.state == MISSING else "")
        table.add_row(Text(check.state, style=style), Text(check.feature), found)
    console.print(table)
    console.print()


def _print_end(console: Console, report: Report) -> None:
    from rich.text import Text

    said = "; ".join(group.says for group in report.groups if group.name in report.asked)
    console.print(Text(f"{'Yes' if report.works else 'No'}: {said}.", style="bold"))


def _verdict_style(verdict: str) -> str:
    return _STYLES[{WORKS: OK, UNKNOWN: UNKNOWN}.get(verdict, MISSING)]
