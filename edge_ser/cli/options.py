"""Options that several commands have, with the same words."""

from __future__ import annotations

import click

threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="CPU threads for one inference.",
)
