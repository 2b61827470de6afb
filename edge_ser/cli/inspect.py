"""`edge-ser inspect`: print the properties of a model file as text or JSON."""

from __future__ import annotations

from pathlib import Path

import click

from edge_ser.cli._shared.options import ModelFile, json_flag


@click.command(name="inspect")
@click.argument("file", type=ModelFile())
@json_flag("Print all properties as JSON.")
def command(file: Path, as_json: bool) -> None:
    """Print the properties of FILE: an ONNX file, an engine with its manifest, or a bundled model.

    \b
      edge-ser inspect bundled
      edge-ser inspect model.onnx
      edge-ser inspect model.int8.onnx --json
      edge-ser inspect model.engine

    The model is not run. Multiply-accumulates (MACs) are counted for the model's window length. ONNX
    files need the `build` extra, engines need no extra.
    """
    from edge_ser.evaluation.inspect import inspect, to_json

    inspection = inspect(file)
    if as_json:
        click.echo(to_json(inspection))
        return

    from rich.console import Console

    from edge_ser.cli.tables.inspect import print_inspection

    print_inspection(Console(highlight=False), inspection)
