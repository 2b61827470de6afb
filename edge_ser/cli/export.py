"""`edge-ser export`: export a training run as one ONNX file with its model card."""

from __future__ import annotations

from pathlib import Path

import click

from edge_ser._util.suffixes import ONNX_SUFFIX
from edge_ser.cli._shared.options import (
    out_option,
    prior_option,
    require_suffix,
    weights_licence_option,
)
from edge_ser.errors import missing_extra


@click.command(name="export")
@click.argument("run", type=click.Path(path_type=Path))
@out_option("The ONNX file to write.")
@click.option(
    "--with-frontend",
    is_flag=True,
    help="Include the MFCC front end in the graph: the input is audio [batch, n_samples], not features.",
)
@click.option("--name", help="Name of the model in its card.  [default: the run's]")
@weights_licence_option(
    "Licence of the weights; commercial refuses corpora that forbid it.  [default: that of "
    "`edge-ser train --weights-licence`, else the one required by the corpora]"
)
@click.option(
    "--gate-audio",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Speech on which PyTorch and ONNX Runtime are compared.  [default: clips of the run]",
)
@click.option(
    "--gate-clips",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="Number of clips to compare.",
)
@click.option(
    "--decisions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Record of `edge-ser cross-validate --protocol cross-corpus` of the same recipe. Offsets, "
    "temperature, threshold and usual outputs are taken from it, as fitted on the left-out corpora.  "
    "[default: temperature and threshold, fitted on the run's validation speakers]",
)
@prior_option(
    "Ratio of a label's frequency at the site to the others': neutral=2.",
    default="",
)
def command(
    run: Path,
    out: Path,
    with_frontend: bool,
    name: str | None,
    weights_licence: str | None,
    gate_audio: tuple[Path, ...],
    gate_clips: int,
    decisions: Path | None,
    prior: str,
) -> None:
    """Export the training run RUN as an ONNX model with labels, front end and provenance.

    \b
      edge-ser export runs/first --out model.onnx
      edge-ser export runs/first --out model-audio.onnx --with-frontend

    The file is written only if ONNX Runtime reproduces PyTorch's logits on real clips: within 1e-4
    from features, within 1e-3 from audio.
    """
    require_suffix(out, ONNX_SUFFIX)
    for package in ("torch", "onnx", "safetensors"):
        try:
            __import__(package)
        except ImportError:
            raise missing_extra(package, "train") from None

    from rich.console import Console

    from edge_ser.training.export import export

    card, parity = export(
        run,
        out,
        waveform=with_frontend,
        name=name,
        weights_licence=weights_licence,
        gate_audio=gate_audio,
        gate_clips=gate_clips,
        decisions=decisions,
        prior=prior,
    )
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    console.print(
        f"{out}: {card.input} in, {len(card.labels)} classes "
        f"({', '.join(card.labels)}), {card.n_parameters:,} parameters, {out.stat().st_size:,} bytes"
    )
    console.print(
        f"parity with PyTorch over {parity.n_clips} clips: largest logit difference "
        f"{parity.max_difference:.1e}, allowed {parity.tolerance:.0e}"
    )
    for a in card.accuracy:
        console.print(
            f"{a.protocol}, {a.split}, {a.corpus}: WA {a.wa:.1%}, UAR {a.uar:.1%} "
            f"({a.n_clips} clips of {len(a.speakers)} speakers)"
        )
    console.print(f"weights: {card.weights_licence}")
    console.print(f"next: edge-ser run --mic --model {out}")
