"""Options and arguments that several commands share.

An option with the same help in every command is a decorator; an option whose help depends on the
command is a function of the help text. Options whose meaning depends on the command (`--wav`,
`--seconds`, `--rate`, `--window`, `--protocol`, `--name`) are defined in the commands.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import click

Target = TypeVar("Target", bound=Callable[..., Any] | click.Command)
"""A function that becomes a command, or a command."""


@dataclass(frozen=True)
class DefaultOf:
    """Default of an option, read on demand from a config dataclass or a constant.

    The module is imported only to show the help or to run the command.
    """

    name: str
    """`module:Class.field`, or `module:CONSTANT`."""
    convert: Callable[[Any], Any] = lambda value: value
    """Conversion from the unit and type of the field to those of the option."""

    def __call__(self) -> Any:
        """Return the default."""
        module, _, path = self.name.partition(":")
        return self.convert(attrgetter(path)(importlib.import_module(module)))

    def __str__(self) -> str:
        """Return the default as shown in the help."""
        value = self()
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def percent(share: float) -> float:
    """Return a share in [0, 1] as a percentage."""
    return 100 * share


def require_suffix(out: Path, *suffixes: str) -> None:
    """Check the suffix of an output file.

    Raises:
        click.UsageError: the suffix is not one of `suffixes`.
    """
    if out.suffix.lower() not in suffixes:
        raise click.UsageError(f"expected --out to end in {' or '.join(suffixes)}, got {out}")


class ModelFile(click.Path):
    """Parameter type: a model file or the name of a bundled model, converted to a path."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the path.

        Raises:
            ModelError: a bundled model that is not installed.
        """
        from edge_ser.inference.loader import model_path

        return model_path(Path(str(super().convert(str(value), param, ctx))))


class CalibrationFolder(click.Path):
    """Parameter type: the folder of a calibration set or the name of a bundled set."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the folder; an existing folder takes precedence over a name."""
        from edge_ser.quantization.calibration_set import SETS, bundled_calibration

        path = Path(str(super().convert(str(value), param, ctx)))
        return bundled_calibration(str(path)) if str(path) in SETS and not path.exists() else path


# --- Options with the same help in every command.

threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="CPU threads for one inference.",
)

html_option = click.option(
    "--html", "html_file", type=click.Path(path_type=Path), help="Write an HTML page with charts."
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
    help="Impulse responses of microphones for the same scenes. Repeat for several.",
)

run_directory_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Output run directory.",
)

train_device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Training device; auto is CUDA if available.",
)

train_seed_option = click.option("--seed", type=int, help="Random seed.  [default: 0]")


# --- Options whose help depends on the command.


def train_threads_option(text: str) -> Callable[[Target], Target]:
    """Return `--threads` of a training; by default half the processors."""
    return click.option("--threads", type=click.IntRange(1, 256), help=text)


def corpus_option(text: str, required: bool = False) -> Callable[[Target], Target]:
    """Return `--corpus NAME=DIR`, repeatable, as the parameter `corpora`."""
    return click.option(
        "--corpus", "corpora", multiple=True, required=required, metavar="NAME=DIR", help=text
    )


def speakers_option(text: str) -> Callable[[Target], Target]:
    """Return `--speakers A,B,...`."""
    return click.option("--speakers", metavar="A,B,...", help=text)


def validation_speakers_option(
    text: str, default: str | DefaultOf | None = None
) -> Callable[[Target], Target]:
    """Return `--validation-speakers A,B,...`."""
    return click.option("--validation-speakers", default=default, metavar="A,B,...", help=text)


def include_trained_option(text: str) -> Callable[[Target], Target]:
    """Return the flag `--include-trained`."""
    return click.option("--include-trained", is_flag=True, help=text)


def labels_option(text: str) -> Callable[[Target], Target]:
    """Return `--labels A,B,...`."""
    return click.option("--labels", metavar="A,B,...", help=text)


def folds_option(
    text: str, default: str | DefaultOf | None = None, metavar: str | None = "HOW"
) -> Callable[[Target], Target]:
    """Return `--folds HOW`."""
    return click.option("--folds", default=default, metavar=metavar, help=text)


def model_argument(required: bool = False) -> Callable[[Target], Target]:
    """Return the argument MODEL: a file, or the name of a bundled model."""
    return click.argument("model", required=required, type=ModelFile())


def model_option(text: str) -> Callable[[Target], Target]:
    """Return `--model`: a file, or the name of a bundled model."""
    return click.option("--model", type=ModelFile(), help=text)


def out_option(
    text: str, required: bool = True, dir_okay: bool = True
) -> Callable[[Target], Target]:
    """Return `--out`: the file or folder that the command writes."""
    kind = click.Path(path_type=Path, dir_okay=dir_okay)
    return click.option("--out", type=kind, required=required, help=text)


def json_flag(text: str) -> Callable[[Target], Target]:
    """Return the flag `--json`, for commands that print JSON instead of text."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def json_file_option(text: str) -> Callable[[Target], Target]:
    """Return `--json PATH`, for commands that also write a JSON file."""
    return click.option("--json", "json_file", type=click.Path(path_type=Path), help=text)


def json_output_option(text: str) -> Callable[[Target], Target]:
    """Return `--json FILE`, where `-` stands for standard output."""
    return click.option("--json", "json_file", metavar="FILE", help=text)


def seed_option(text: str) -> Callable[[Target], Target]:
    """Return `--seed`, by default 0."""
    return click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help=text)


def cache_option(text: str) -> Callable[[Target], Target]:
    """Return `--cache`; by default `cache.default_cache()`."""
    return click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help=text)


def config_option(text: str) -> Callable[[Target], Target]:
    """Return `--config`, a JSON file, as the parameter `config_file`."""
    return click.option("--config", "config_file", type=click.Path(path_type=Path), help=text)


def resume_option(text: str) -> Callable[[Target], Target]:
    """Return the flag `--resume`."""
    return click.option("--resume", is_flag=True, help=text)


def calibration_option(text: str, metavar: str | None = None) -> Callable[[Target], Target]:
    """Return `--calibration`: a folder, or the name of a bundled set."""
    return click.option("--calibration", type=CalibrationFolder(), metavar=metavar, help=text)


def runner_option(
    text: str, name: str = "runner", repeatable: bool = False
) -> Callable[[Target], Target]:
    """Return `--runner`; not repeatable, it is auto by default."""
    kind = click.Choice(["auto", "cpu", "cuda", "tensorrt"])
    if repeatable:
        return click.option("--runner", name, type=kind, multiple=True, help=text)
    return click.option("--runner", name, type=kind, default="auto", show_default=True, help=text)


def detector_option(
    text: str, none: bool = False, default: str | DefaultOf = "auto"
) -> Callable[[Target], Target]:
    """Return `--detector`; with `none` as a further choice if the command can run without a detector."""
    kind = click.Choice(["auto", "silero", "webrtc", *(["none"] if none else [])])
    return click.option("--detector", type=kind, default=default, show_default=True, help=text)


def mic_option(text: str) -> Callable[[Target], Target]:
    """Return the flag `--mic`."""
    return click.option("--mic", is_flag=True, help=text)


def microphone_option(text: str) -> Callable[[Target], Target]:
    """Return `--device`: a microphone by its number or part of its name."""
    return click.option("--device", help=text)


def channel_option(text: str) -> Callable[[Target], Target]:
    """Return `--channel`; by default the mean of all channels."""
    return click.option("--channel", type=click.IntRange(0, 63), help=text)


def baseline_option(text: str) -> Callable[[Target], Target]:
    """Return `--baseline`: none, running, or a file of `edge-ser enroll`."""
    return click.option("--baseline", metavar="none|running|FILE", help=text)


def prior_option(text: str, default: str | DefaultOf | None = None) -> Callable[[Target], Target]:
    """Return `--prior LABEL=RATIO,...`."""
    return click.option("--prior", default=default, metavar="LABEL=RATIO,...", help=text)


def weights_licence_option(text: str) -> Callable[[Target], Target]:
    """Return `--weights-licence TERMS`."""
    return click.option("--weights-licence", metavar="TERMS", help=text)


def min_agreement_option(
    text: str, default: float | DefaultOf | None = None, metavar: str | None = None
) -> Callable[[Target], Target]:
    """Return `--min-agreement`, in percent."""
    return click.option(
        "--min-agreement",
        type=click.FloatRange(0, 100),
        default=default,
        show_default=default is not None,
        metavar=metavar,
        help=text,
    )
