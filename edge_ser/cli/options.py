"""Options that several commands have, with the same words."""

from __future__ import annotations

from pathlib import Path

import click


class ModelFile(click.Path):
    """A parameter that takes a model file, or the name of a bundled model, and gives a path."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the path; a ModelError says that a bundled model is not there."""
        from edge_ser.runtime.runner import model_path

        return model_path(Path(str(super().convert(str(value), param, ctx))))


class CalibrationFolder(click.Path):
    """A parameter that takes a calibration set's folder, or the name of a set that edge-ser has."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the folder; a folder that is there wins over a name."""
        from edge_ser.build.calibration import SETS, bundled_calibration

        path = Path(str(super().convert(str(value), param, ctx)))
        return bundled_calibration(str(path)) if str(path) in SETS and not path.exists() else path


def require_suffix(out: Path, *suffixes: str) -> None:
    """Refuse an output file of another suffix.

    Raises:
        click.UsageError: names the suffixes that are possible.
    """
    if out.suffix.lower() not in suffixes:
        raise click.UsageError(
            f"--out {out} came, a name ending in {' or '.join(suffixes)} was wanted"
        )


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

train_device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train; auto takes CUDA when it is there.",
)

train_threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="CPU threads of each process.  [default: half the processors]",
)
