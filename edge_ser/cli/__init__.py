"""The command line. Only click is imported here; each command loads its own layer when it runs."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from edge_ser import __version__
from edge_ser.errors import EdgeSerError

_COMMANDS = {
    "adapt": (
        "edge_ser.cli.adapt",
        "Fit a model's last layer to labelled recordings of a site, or undo the fit.",
    ),
    "build-engine": (
        "edge_ser.cli.build_engine",
        "Build a TensorRT engine from an ONNX model, for one device.",
    ),
    "calibrate": (
        "edge_ser.cli.calibrate",
        "Select or show a calibration set for INT8 models.",
    ),
    "compare": (
        "edge_ser.cli.compare",
        "Compare several model files on the same audio.",
    ),
    "cross-validate": (
        "edge_ser.cli.cross_validate",
        "Compare systems on the same folds and write a record of each.",
    ),
    "doctor": (
        "edge_ser.cli.doctor",
        "Check this machine and report how to fix what does not work.",
    ),
    "enroll": (
        "edge_ser.cli.enroll",
        "Compute a baseline of a voice or a site from neutral speech.",
    ),
    "evaluate": (
        "edge_ser.cli.evaluate",
        "Measure a model on labelled speech, with confidence intervals.",
    ),
    "export": (
        "edge_ser.cli.export",
        "Export a training run as an ONNX model with its model card.",
    ),
    "inspect": (
        "edge_ser.cli.inspect",
        "Print a model file's card, precision of each layer, size and MACs.",
    ),
    "pretrain": (
        "edge_ser.cli.pretrain",
        "Pretrain an encoder on unlabelled speech, as a start for `train --encoder`.",
    ),
    "label": (
        "edge_ser.cli.label",
        "Label recorded utterances by hand, the least certain first.",
    ),
    "prior": (
        "edge_ser.cli.prior",
        "Estimate how often each emotion occurs at a site, from unlabelled recordings.",
    ),
    "profile": (
        "edge_ser.cli.profile",
        "Measure latency by stage, memory, CPU time and energy on this device.",
    ),
    "quantize": (
        "edge_ser.cli.quantize",
        "Convert a model to INT8 or FP16, subject to an accuracy gate.",
    ),
    "run": ("edge_ser.cli.run", "Recognise emotion in files, a pipe, a URL or a live microphone."),
    "train": (
        "edge_ser.cli.train",
        "Train the compact network, or the paper's, on speech corpora.",
    ),
}


class LazyGroup(click.Group):
    """Command group that imports a command only when it is invoked."""

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


def print_once(show: Callable[[], None]) -> None:
    """Call `show`, unless another process that torchrun started on this machine has done so.

    torchrun ends all processes as soon as one has failed. The first process with a message prints
    it; the others wait until it is done.
    """
    folder = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if folder is None:
        show()
        return
    import fcntl

    # torchrun gives each process a folder; their common parent holds the marker.
    with (Path(folder).parents[1] / "printed").open("a") as marker:
        fcntl.flock(marker, fcntl.LOCK_EX)
        if os.fstat(marker.fileno()).st_size == 0:
            show()
            marker.write("printed\n")


def main() -> NoReturn:
    """Run the command line. Errors are one line on stderr; exit code 2 for usage, 1 for others."""
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
