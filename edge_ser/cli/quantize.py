"""`edge-ser quantize`: convert an FP32 model to INT8 or FP16, subject to an accuracy gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser._util.suffixes import ONNX_SUFFIX
from edge_ser.cli._shared.options import (
    DefaultOf,
    calibration_option,
    corpus_option,
    json_file_option,
    min_agreement_option,
    model_argument,
    out_option,
    percent,
    require_suffix,
    speakers_option,
)
from edge_ser.cli._shared.progress import counting_bar
from edge_ser.cli._shared.tables import plain_table
from edge_ser.errors import CalibrationError, missing_extra

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import Console
    from rich.table import Table

    from edge_ser.quantization.accuracy_gate import GateClips, Score
    from edge_ser.quantization.calibration_set import CalibrationSet
    from edge_ser.quantization.gate_config import Gate
    from edge_ser.quantization.model_parts import Source
    from edge_ser.quantization.quantizer import MethodRow, QuantizeConfig, Quantized, Quantizer
    from edge_ser.quantization.sensitivity import Sensitivity

_WIDTH = 140
"""Columns of the tables if standard output is not a terminal."""


@click.command(name="quantize")
@model_argument()
@calibration_option(
    "Calibration set of `edge-ser calibrate select`; or default, the bundled model's set, or "
    "commercial, that of bundled-commercial.",
    metavar="FOLDER",
)
@click.option("--int8", is_flag=True, help="INT8 weights and activations.  [default]")
@click.option(
    "--fp16", is_flag=True, help="FP16; with --int8, for the layers that are not in INT8."
)
@click.option(
    "--method",
    type=click.Choice(["entropy", "percentile", "minmax", "mse"]),
    help="Calibration method of the INT8 activation ranges.  [default: minmax]",
)
@click.option(
    "--per-channel/--per-tensor",
    default=True,
    show_default=True,
    help="One scale for each output channel of the weights, or one for each tensor.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="LAYER",
    help="Keep this layer in float. Repeat for several.",
)
@corpus_option("Labelled speech for the accuracy gate, named as for `train`. Repeat for several.")
@speakers_option("Only these speakers (1,11 or RAVDESS/1,EMO-DB/03).")
@click.option(
    "--max-uar-loss",
    type=click.FloatRange(0, 100),
    default=DefaultOf("edge_ser.quantization.gate_config:Gate.max_uar_loss", percent),
    show_default=True,
    help="Gate: largest loss of UAR on the corpus, in percentage points.",
)
@min_agreement_option(
    "Gate: least percentage of clips (windows, without a corpus) that keep their label.",
    default=DefaultOf("edge_ser.quantization.gate_config:Gate.min_agreement", percent),
)
@click.option(
    "--sensitivity", is_flag=True, help="Show the accuracy loss of each layer alone in INT8."
)
@json_file_option("Write the sensitivity report as JSON.")
@click.option(
    "--compare-methods", is_flag=True, help="Compare all calibration methods; --out is optional."
)
@out_option("The ONNX file to write.", required=False)
def command(
    model: Path | None,
    calibration: Path | None,
    int8: bool,
    fp16: bool,
    method: str | None,
    per_channel: bool,
    exclude: tuple[str, ...],
    corpora: tuple[str, ...],
    speakers: str | None,
    max_uar_loss: float,
    min_agreement: float,
    sensitivity: bool,
    json_file: Path | None,
    compare_methods: bool,
    out: Path | None,
) -> None:
    """Convert MODEL (default: the bundled one) to INT8 or FP16, for ONNX Runtime and TensorRT.

    \b
      edge-ser quantize model.onnx --calibration set --out model.int8.onnx
      edge-ser quantize model.onnx --calibration set --fp16 --out model.fp16.onnx
      edge-ser quantize model.onnx --calibration set --corpus RAVDESS=DIR \\
        --speakers 10,14,19 --sensitivity --out model.int8.onnx

    The file is written only if it passes the accuracy gate; the most sensitive layers are kept in
    float until it does. Select layers on validation speakers, and report figures of other speakers.
    Clips of speakers that the model was trained on are left out. A front end in the graph stays in
    float.
    """
    int8 = int8 or not fp16
    _check_usage(int8, method, sensitivity, json_file, compare_methods, corpora, speakers, out)
    try:
        __import__("onnx")
    except ImportError:
        raise missing_extra("onnx", "build") from None
    if calibration is None:
        raise CalibrationError(
            "expected --calibration, got none: INT8 ranges and the FP16 check need real speech; make "
            "a set with `edge-ser calibrate select`, or use that of the bundled model: "
            "--calibration default"
        )

    from rich.console import Console

    from edge_ser.inference.loader import bundled_model
    from edge_ser.quantization.gate_config import Gate
    from edge_ser.quantization.model_parts import open_source, save_checked
    from edge_ser.quantization.quantizer import METHOD, QuantizeConfig, Quantizer

    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    source = open_source(model or bundled_model())
    gate_clips = _gate_clips(console, source, corpora, speakers) if corpora else None
    quantizer = Quantizer(source, _calibration(calibration), gate_clips)
    config = QuantizeConfig(int8, fp16, method or METHOD, per_channel, exclude)
    if compare_methods:
        _print_methods(console, quantizer, config)
    report = None
    if sensitivity or json_file:
        report = _print_sensitivity(console, quantizer, config)
        if json_file:
            report.save(json_file)
            console.print(f"written: {json_file}")
    if out:
        gate = Gate(max_uar_loss / 100, min_agreement / 100)
        quantized = quantizer.quantize(config, gate, report)
        save_checked(quantized.model, out, quantizer.example())
        _print_result(console, source, quantizer, quantized, config, gate, out)


def _check_usage(
    int8: bool,
    method: str | None,
    sensitivity: bool,
    json_file: Path | None,
    compare_methods: bool,
    corpora: tuple[str, ...],
    speakers: str | None,
    out: Path | None,
) -> None:
    if not int8 and (method or sensitivity or json_file or compare_methods):
        raise click.UsageError(
            "--method, --sensitivity, --json and --compare-methods require INT8, got --fp16 only; add "
            "--int8"
        )
    if speakers and not corpora:
        raise click.UsageError("--speakers requires --corpus; add --corpus NAME=DIR")
    if out is None and not (compare_methods or sensitivity or json_file):
        raise click.UsageError("expected --out FILE.onnx, got none")
    if out:
        require_suffix(out, ONNX_SUFFIX)


def _calibration(folder: Path) -> CalibrationSet:
    from edge_ser.quantization.calibration_set import CalibrationSet

    return CalibrationSet.load(folder)


def _gate_clips(
    console: Console, source: Source, corpora: tuple[str, ...], speakers: str | None
) -> GateClips:
    """Return the clips to judge on, without those that the model was trained on."""
    from edge_ser.corpora import load_corpora
    from edge_ser.evaluation.selection import select
    from edge_ser.quantization.accuracy_gate import cut_clips
    from edge_ser.splits.choice import named_speakers

    clips, choice, chosen = load_corpora(corpora), "all speakers", None
    if speakers:
        names = named_speakers(clips, speakers, "test")
        choice, chosen = "speakers named", [clip for clip in clips if clip.speaker in names]
    kept = select(clips, source.card, chosen=chosen, choice=choice).clips
    with counting_bar(console, "listening", len(kept)) as step:
        return cut_clips(kept, source.card, step)


def _print_methods(console: Console, quantizer: Quantizer, config: QuantizeConfig) -> None:
    from edge_ser.quantization.quantizer import compare_methods
    from edge_ser.quantization.ranges import METHODS

    with counting_bar(console, "comparing", 2 * len(METHODS)) as step:
        rows = compare_methods(quantizer, config, step)
    output = _output_console()
    output.print(f"measured on {quantizer.accuracy_gate.clips.description}")
    if rows[0].score.uar_fp32 is not None:
        output.print(f"UAR of FP32: {100 * rows[0].score.uar_fp32:.1f}%")
    output.print(_methods_table(rows))
    output.print(
        "agreement: clips with FP32's label; logit error: mean absolute, then the largest; size and "
        "speed: against FP32, one window on one core in ONNX Runtime",
        style="dim",
    )


def _print_sensitivity(
    console: Console, quantizer: Quantizer, config: QuantizeConfig
) -> Sensitivity:
    with counting_bar(console, "layers", len(quantizer.tried)) as step:
        report = quantizer.sensitivity(config, step)
    output = _output_console()
    output.print(f"each layer alone in INT8, measured on {report.measured_on}")
    chosen = [layer.name for layer in quantizer.candidates(config)]
    output.print(_sensitivity_table(report, chosen))
    return report


def _print_result(
    console: Console,
    source: Source,
    quantizer: Quantizer,
    quantized: Quantized,
    config: QuantizeConfig,
    gate: Gate,
    out: Path,
) -> None:
    score, clips = quantized.score, quantizer.accuracy_gate.clips
    size = out.stat().st_size
    console.print(
        f"{out}: {config.kind.upper()}, {size:,} bytes, {size / source.n_bytes:.1%} of FP32's"
    )
    if config.int8:
        console.print(
            f"{len(quantized.quantized)} of {len(quantizer.layers)} layers in INT8 ({config.method}, "
            f"one scale a {'channel' if config.per_channel else 'tensor'})"
        )
    if quantized.kept_in_float:
        console.print(f"kept in float to pass the gate: {', '.join(quantized.kept_in_float)}")
    console.print(f"gate: {gate.in_words(bool(clips.truth))}")
    if score.uar is not None and score.uar_fp32 is not None:
        console.print(
            f"UAR {score.uar:.1%}, FP32 {score.uar_fp32:.1%} ({100 * (score.uar - score.uar_fp32):+.1f} "
            f"points) on {clips.description}"
        )
    else:
        console.print(
            f"judged on {clips.description}: recall was not measured; give --corpus to have it measured"
        )
    console.print(
        f"same label as FP32: {score.agreement:.1%} of clips, {score.window_agreement:.1%} of "
        f"windows; logits differ by {score.mean_error:.4f} on average, {score.max_error:.4f} at most"
    )


def _sensitivity_table(report: Sensitivity, quantized: Collection[str]) -> Table:
    """Return a table of the layers, the most sensitive first, and whether they are in INT8."""
    from edge_ser.reports import format as text

    table = plain_table(
        "layer",
        "kind",
        right=("weights", "logit error", "largest", "agreement", "UAR", "INT8"),
    )
    for cost in report.costs:
        layer, score = cost.layer, cost.score
        table.add_row(
            layer.name,
            layer.role,
            text.percent(layer.share),
            f"{score.mean_error:.4f}",
            f"{score.max_error:.3f}",
            text.percent(score.agreement),
            _uar_change(score),
            "yes" if layer.name in quantized else "no",
        )
    return table


def _methods_table(rows: Sequence[MethodRow]) -> Table:
    """Return a table of the methods and granularities, FP32 first."""
    from edge_ser.reports import format as text

    table = plain_table(
        "method",
        "scales",
        right=("UAR", "change", "agreement", "logit error", "largest", "size", "speed"),
    )
    for row in rows:
        score = row.score
        table.add_row(
            row.method,
            "channel" if row.per_channel else "tensor",
            text.MISSING if score.uar is None else text.percent(score.uar),
            _uar_change(score),
            text.percent(score.agreement),
            f"{score.mean_error:.4f}",
            f"{score.max_error:.3f}",
            text.percent(row.size),
            f"{row.speed:.2f}×",
        )
    return table


def _uar_change(score: Score) -> str:
    """Return the change of UAR in percentage points, negative for a loss."""
    from edge_ser.reports import format as text

    return text.MISSING if score.uar_loss is None else text.points(0.0 - score.uar_loss)


def _output_console() -> Console:
    """Return the console of the tables; not on a terminal, it is wide enough for layer names."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDTH
    return console
