"""`edge-ser doctor`: check this machine and report the result as text or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_ser.cli._shared.options import json_flag
from edge_ser.cli._shared.tables import checks_table

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.doctor.report import Group, Report

_STYLES = {"ok": "green", "warning": "yellow", "missing": "red", "unknown": "magenta"}
"""Colours of the states of a check."""
_FEATURE_WIDTH = 16
_STATE_WIDTH = 7


@click.command(name="doctor")
@click.option(
    "--for",
    "asked",
    type=click.Choice(["wav", "mic", "gpu", "build", "train"]),
    help="Use that has to work.  [default: wav, and mic if there is a microphone]",
)
@click.option("--no-self-test", is_flag=True, help="Do not run the bundled model.")
@json_flag("Print everything as JSON.")
def command(asked: str | None, no_self_test: bool, as_json: bool) -> None:
    """Check this machine and report how to fix what does not work.

    \b
      edge-ser doctor
      edge-ser doctor --for mic
      edge-ser doctor --json

    Each line is ok, warning (works, could be better), missing (that use does not work) or unknown
    (could not be determined). The exit code is 0 if the requested use works, 1 if it does not or if
    that is unknown. Nothing is changed, and nothing is sent anywhere.

    JSON: format, works, asked, groups of name, title, verdict, says and checks, each with feature,
    found, state and remedy; and facts, the complete description of the machine.
    """
    from edge_ser.doctor.report import examine

    report = examine(asked, with_self_test=not no_self_test)
    if as_json:
        click.echo(report.to_json())
    else:
        from rich.console import Console

        print_report(Console(highlight=False), report)
    if not report.works:
        raise click.exceptions.Exit(1)


def print_report(console: Console, report: Report) -> None:
    """Print all groups of checks, then the result for the requested use."""
    for group in report.groups:
        _print_group(console, group)
    _print_end(console, report)


def _print_group(console: Console, group: Group) -> None:
    from rich.text import Text

    from edge_ser.doctor.check import MISSING

    head = Text.assemble((group.title, "bold"), ": ", group.says)
    if group.name != "machine":
        head.stylize(_group_style(group.verdict), len(group.title) + 2)
    console.print(head)
    table = checks_table(_STATE_WIDTH, _FEATURE_WIDTH)
    for check in group.checks:
        style = _STYLES[check.state]
        text = Text(check.found)
        if check.remedy:
            text.append(f"\n→ {check.remedy}", style="bold" if check.state == MISSING else "")
        table.add_row(Text(check.state, style=style), Text(check.feature), text)
    console.print(table)
    console.print()


def _print_end(console: Console, report: Report) -> None:
    from rich.text import Text

    message = "; ".join(group.says for group in report.groups if group.name in report.asked)
    console.print(Text(f"{'Yes' if report.works else 'No'}: {message}.", style="bold"))


def _group_style(verdict: str) -> str:
    from edge_ser.doctor.check import MISSING, OK, UNKNOWN
    from edge_ser.doctor.report import WORKS

    return _STYLES[{WORKS: OK, UNKNOWN: UNKNOWN}.get(verdict, MISSING)]
