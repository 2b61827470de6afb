"""Options that several commands have, with the same words."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import click


@dataclass(frozen=True)
class DefaultOf:
    """Default of an option, read from a config dataclass or a constant when it is needed.

    The module is imported only to show the help or to run the command.
    """

    name: str
    """`module:Class.field`, or `module:CONSTANT`."""
    convert: Callable[[Any], Any] = lambda value: value
    """From the field's unit and type to the option's."""

    def __call__(self) -> Any:
        """Return the default."""
        module, _, path = self.name.partition(":")
        return self.convert(attrgetter(path)(importlib.import_module(module)))

    def __str__(self) -> str:
        """Return the default as the help shows it."""
        value = self()
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def percent(share: float) -> float:
    """Return a share in [0, 1] in percent."""
    return 100 * share


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
