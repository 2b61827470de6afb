"""Options that several commands have, with the same words."""

from __future__ import annotations

from pathlib import Path

import click

threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="CPU threads for one inference.",
)

noise_option = click.option(
    "--noise",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Recordings of background noise for the scenes of the augmentation (augment.scene in "
    "--config). Repeat for several.",
)

microphones_option = click.option(
    "--microphones",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Impulse responses of microphones, likewise.",
)
