"""The command line. Only click is imported here; each command loads its own layer when it runs."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

import click

from edge_ser import __version__
from edge_ser.cli._shared.once import print_once
from edge_ser.errors import EdgeSerError

_COMMANDS = {
    "adapt": (
        "edge_ser.cli.adapt",
        "Fit a model's last layer to labelled recordings of a site, or undo it.",
    ),
    "build-engine": (
        "edge_ser.cli.build_engine",
        "Build a TensorRT engine from an ONNX model, for one device.",
    ),
    "calibrate": (
        "edge_ser.cli.calibrate",
        "Choose the speech that INT8 models are calibrated on, or show what was chosen.",
    ),
    "compare": (
        "edge_ser.cli.compare",
        "Hear the same audio with several model files, and say how they differ.",
    ),
    "cross-validate": (
        "edge_ser.cli.cross_validate",
        "Compare systems on the same folds, and keep a record of each.",
    ),
    "doctor": (
        "edge_ser.cli.doctor",
        "Look at this machine: what works here, and what to do about the rest.",
    ),
    "enroll": (
        "edge_ser.cli.enroll",
        "Make a baseline of a voice or a site from some plain talk.",
    ),
    "evaluate": (
        "edge_ser.cli.evaluate",
        "Measure a model on labelled speech, with confidence intervals.",
    ),
    "export": (
        "edge_ser.cli.export",
        "Turn a training run into an ONNX model that carries its card.",
    ),
    "inspect": (
        "edge_ser.cli.inspect",
        "Say what a model file is: card, precision by layer, size and work.",
    ),
    "pretrain": (
        "edge_ser.cli.pretrain",
        "Teach an encoder on any speech, without labels, for trainings to start from.",
    ),
    "label": (
        "edge_ser.cli.label",
        "Label recorded utterances by hand, those that the model was least sure of first.",
    ),
    "prior": (
        "edge_ser.cli.prior",
        "Estimate how often each emotion occurs at a site, from unlabelled recordings.",
    ),
    "profile": (
        "edge_ser.cli.profile",
        "Time a decision here, stage by stage, and what it takes of the device.",
    ),
    "quantize": (
        "edge_ser.cli.quantize",
        "Turn a model into INT8 or FP16, if it loses little enough.",
    ),
    "run": ("edge_ser.cli.run", "Recognise emotion in files, a pipe or a live microphone."),
    "train": (
        "edge_ser.cli.train",
        "Train the compact network, or the paper's, on speech corpora.",
    ),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and imports one only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return all command names."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(_COMMANDS[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands by their one-line texts, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(_COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edge-ser")
def group() -> None:
    """Speech emotion recognition on edge devices.

    \b
    The main job, from a corpus to a live microphone:
      edge-ser train --corpus RAVDESS=DIR --out runs/first
      edge-ser export runs/first --out model.onnx
      edge-ser run --mic --model model.onnx

    `edge-ser run --mic` alone uses the model that comes with the package.
    """


def main() -> NoReturn:
    """Run the command line: errors on one line of stderr, exit code 2 for usage, 1 for the rest."""
    try:
        code = group(prog_name="edge-ser", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        print_once(error.show)
        code = error.exit_code
    except click.Abort:
        print_once(lambda: click.echo("stopped", err=True))
        code = 130
    except EdgeSerError as error:
        message = f"edge-ser: {error}"
        print_once(lambda: click.echo(message, err=True))
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)
