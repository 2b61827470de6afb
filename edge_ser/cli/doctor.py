"""`edge-ser doctor`: what this machine has and lacks, for people or as JSON."""

from __future__ import annotations

import click

from edge_ser.cli._shared.options import json_flag


@click.command(name="doctor")
@click.option(
    "--for",
    "asked",
    type=click.Choice(["wav", "mic", "gpu", "build", "train"]),
    help="What has to work.  [default: files, and the microphone where there is one]",
)
@click.option("--no-self-test", is_flag=True, help="Do not run the bundled model.")
@json_flag("Print everything as JSON.")
def command(asked: str | None, no_self_test: bool, as_json: bool) -> None:
    """Look at this machine, and say what works here and what to do about the rest.

    \b
      edge-ser doctor
      edge-ser doctor --for mic
      edge-ser doctor --json

    Each line is ok, warning (works, could be better), missing (that use does not work) or unknown
    (could not be told). The exit code is 0 when what was asked for works, 1 when it does not or could
    not be told. Nothing is changed, and nothing is sent anywhere.

    JSON: format, works, asked, groups of name, title, verdict, says and checks, each with feature,
    found, state and remedy; and facts, all that is known of the machine.
    """
    from edge_ser.doctor.report import examine

    report = examine(asked, with_self_test=not no_self_test)
    if as_json:
        click.echo(report.to_json())
    else:
        from rich.console import Console

        from edge_ser.cli.tables.doctor import print_report

        print_report(Console(highlight=False), report)
    if not report.works:
        raise click.exceptions.Exit(1)
