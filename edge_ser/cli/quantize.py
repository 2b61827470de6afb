"""`edge-ser quantize`: an FP32 model in, one in INT8 or FP16 out, if it loses little enough."""

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
from edge_ser.errors import CalibrationError, missing_extra

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.quantization.accuracy_gate import GateClips
    from edge_ser.quantization.calibration_set import CalibrationSet
    from edge_ser.quantization.gate_config import Gate
    from edge_ser.quantization.model_parts import Source
    from edge_ser.quantization.quantizer import QuantizeConfig, Quantized, Quantizer
    from edge_ser.quantization.sensitivity import Sensitivity


@click.command(name="quantize")
@model_argument()
@calibration_option(
    "What `edge-ser calibrate select` wrote: windows of real speech; or default, the bundled "
    "model's set, or commercial, that of bundled-commercial.",
    metavar="FOLDER",
)
@click.option("--int8", is_flag=True, help="INT8 weights and activations.  [default]")
@click.option("--fp16", is_flag=True, help="Half precision; with --int8, for the rest.")
@click.option(
    "--method",
    type=click.Choice(["entropy", "percentile", "minmax", "mse"]),
    help="How INT8 ranges of activations are chosen.  [default: minmax]",
)
@click.option(
    "--per-channel/--per-tensor",
    default=True,
    show_default=True,
    help="One scale for each output channel of the weights, or one for all.",
)
@click.option("--exclude", multiple=True, metavar="LAYER", help="Keep this layer in float. Repeat.")
@corpus_option("Labelled speech to judge on, named as for `train`. Repeat for several.")
@speakers_option("Only these speakers (1,11 or RAVDESS/1,EMO-DB/03).")
@click.option(
    "--max-uar-loss",
    type=click.FloatRange(0, 100),
    default=DefaultOf("edge_ser.quantization.gate_config:Gate.max_uar_loss", percent),
    show_default=True,
    help="Gate: points of UAR that may be lost on the corpus.",
)
@min_agreement_option(
    "Gate: percent of clips (windows, without a corpus) that keep their label.",
    default=DefaultOf("edge_ser.quantization.gate_config:Gate.min_agreement", percent),
)
@click.option("--sensitivity", is_flag=True, help="Show what each layer alone costs in INT8.")
@json_file_option("Write the sensitivity report as JSON.")
@click.option(
    "--compare-methods", is_flag=True, help="Show all methods side by side; --out may be left out."
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
    """Turn MODEL (default: the bundled one) into INT8 or FP16, for ONNX Runtime and TensorRT alike.

    \b
      edge-ser quantize model.onnx --calibration set --out model.int8.onnx
      edge-ser quantize model.onnx --calibration set --fp16 --out model.fp16.onnx
      edge-ser quantize model.onnx --calibration set --corpus RAVDESS=DIR \\
        --speakers 10,14,19 --sensitivity --out model.int8.onnx

    The file is written only when it passes the gate; layers that cost most are kept in float until
    it does. Choose layers by validation speakers, and report figures of others. Clips of speakers
    that the model was trained on are left out. A front end in the graph stays in float.
    """
    int8 = int8 or not fp16
    _check_usage(int8, method, sensitivity, json_file, compare_methods, corpora, speakers, out)
    try:
        __import__("onnx")
    except ImportError:
        raise missing_extra("onnx", "build") from None
    if calibration is None:
        raise CalibrationError(
            "no --calibration came: INT8 learns its ranges from real speech, and FP16 is checked on "
            "it; make a set with `edge-ser calibrate select`, or take that of the bundled model: "
            "--calibration default"
        )

    from rich.console import Console

    from edge_ser.inference.loader import bundled_model
    from edge_ser.quantization.gate_config import Gate
    from edge_ser.quantization.model_parts import open_source, save_checked
    from edge_ser.quantization.quantizer import METHOD, QuantizeConfig, Quantizer

    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    source = open_source(model or bundled_model())
    heard = _heard(console, source, corpora, speakers) if corpora else None
    quantizer = Quantizer(source, _calibration(calibration), heard)
    wish = QuantizeConfig(int8, fp16, method or METHOD, per_channel, exclude)
    if compare_methods:
        _print_methods(console, quantizer, wish)
    report = None
    if sensitivity or json_file:
        report = _print_sensitivity(console, quantizer, wish)
        if json_file:
            report.save(json_file)
            console.print(f"written: {json_file}")
    if out:
        gate = Gate(max_uar_loss / 100, min_agreement / 100)
        quantized = quantizer.quantize(wish, gate, report)
        save_checked(quantized.model, out, quantizer.example())
        _print_result(console, source, quantizer, quantized, wish, gate, out)


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
            "--method, --sensitivity, --json and --compare-methods are about INT8, and --fp16 came "
            "alone; add --int8"
        )
    if speakers and not corpora:
        raise click.UsageError("--speakers came without --corpus; say whose speakers they are")
    if out is None and not (compare_methods or sensitivity or json_file):
        raise click.UsageError("--out did not come; say where to write the model")
    if out:
        require_suffix(out, ONNX_SUFFIX)


def _calibration(folder: Path) -> CalibrationSet:
    from edge_ser.quantization.calibration_set import CalibrationSet

    return CalibrationSet.load(folder)


def _heard(
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


def _print_methods(console: Console, quantizer: Quantizer, wish: QuantizeConfig) -> None:
    from edge_ser.cli.tables.quantize import methods_table, output_console
    from edge_ser.quantization.quantizer import compare_methods
    from edge_ser.quantization.ranges import METHODS

    with counting_bar(console, "comparing", 2 * len(METHODS)) as step:
        rows = compare_methods(quantizer, wish, step)
    output = output_console()
    output.print(f"measured on {quantizer.accuracy_gate.clips.description}")
    if rows[0].score.uar_fp32 is not None:
        output.print(f"UAR of FP32: {100 * rows[0].score.uar_fp32:.1f}%")
    output.print(methods_table(rows))
    output.print(
        "agreement: clips with FP32's label; logit error: mean absolute, then the largest; size and "
        "speed: against FP32, one window on one core in ONNX Runtime",
        style="dim",
    )


def _print_sensitivity(console: Console, quantizer: Quantizer, wish: QuantizeConfig) -> Sensitivity:
    from edge_ser.cli.tables.quantize import output_console, sensitivity_table

    with counting_bar(console, "layers", len(quantizer.tried)) as step:
        report = quantizer.sensitivity(wish, step)
    output = output_console()
    output.print(f"each layer alone in INT8, measured on {report.measured_on}")
    chosen = [layer.name for layer in quantizer.candidates(wish)]
    output.print(sensitivity_table(report, chosen))
    return report


def _print_result(
    console: Console,
    source: Source,
    quantizer: Quantizer,
    quantized: Quantized,
    wish: QuantizeConfig,
    gate: Gate,
    out: Path,
) -> None:
    score, clips = quantized.score, quantizer.accuracy_gate.clips
    size = out.stat().st_size
    console.print(
        f"{out}: {wish.kind.upper()}, {size:,} bytes, {size / source.n_bytes:.1%} of FP32's"
    )
    if wish.int8:
        console.print(
            f"{len(quantized.quantized)} of {len(quantizer.layers)} layers in INT8 ({wish.method}, "
            f"one scale a {'channel' if wish.per_channel else 'tensor'})"
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
