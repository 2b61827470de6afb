"""Tables of `inspect`: facts of the file, then the layers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edge_ser.cli._shared.tables import facts_table, plain_table
from edge_ser.reports import format as text
from edge_ser.tensorrt.summary import EngineInspection

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.card import Adaptation, FrontendConfig, ModelCard
    from edge_ser.evaluation.inspect import OnnxInspection
    from edge_ser.evaluation.onnx_graph import Tensor
    from edge_ser.precision import Precision

Row = tuple[str, str]

_DIGEST = 12
"""Number of digest characters that are printed."""

_NO_CARD = (
    "not written by edge-ser: labels and front end are unknown, and `edge-ser run` cannot use it"
)


def print_inspection(console: Console, inspection: OnnxInspection | EngineInspection) -> None:
    """Print all tables of a model file."""
    rows: list[Row] = [
        ("file", inspection.file),
        ("size", f"{inspection.size_bytes:,} bytes"),
        ("SHA-256", inspection.sha256),
    ]
    _print_rows(console, "", rows)
    if isinstance(inspection, EngineInspection):
        _print_engine(console, inspection)
        return
    if inspection.card is None:
        _print_rows(console, "Card", [("none", _NO_CARD)])
    else:
        _print_rows(console, "Card", _card(inspection.card))
        _print_accuracy(console, inspection.card)
    _print_rows(console, "Graph", _graph(inspection))
    _print_rows(console, "Precision", _precision(inspection))
    _print_layers(console, inspection)


def _print_rows(console: Console, title: str, rows: Iterable[Row]) -> None:
    from rich.markup import escape

    table = facts_table(width=13)
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    if title:
        console.print(title, style="bold")
    console.print(table)
    console.print()


def _card(card: ModelCard) -> Iterator[Row]:
    yield "model", f"{card.name}: {card.architecture}, trained {card.created}, seed {card.seed}"
    yield "labels", ", ".join(card.labels)
    yield (
        "window",
        f"{card.window_s:g} s every {card.hop_s:g} s, {card.min_window_s:g} s at least",
    )
    yield "front end", _frontend(card.frontend) + ("; in the graph" * (card.input == "waveform"))
    modes = {"none": "none by default", "running": "running by default"}
    yield (
        "baseline",
        f"taken; {modes[card.baseline_default]}" if card.takes_baseline else "none taken",
    )
    yield "arousal", "given, high against low as acted" if card.arousal else "not given"
    for name, use in zip(_once("trained on"), card.corpora, strict=False):
        speakers = _count(len(use.speakers), "speaker")
        yield name, f"{use.name}: {use.n_clips} clips of {speakers}; {use.licence}"
    yield "distilled", "; ".join(card.taught_by) or "labels alone"
    if card.augmented_with:
        yield "mixed with", ", ".join(card.augmented_with)
    yield "temperature", f"{card.temperature:g}, already in the logits"
    if card.prior:
        ratios = ", ".join(f"{label} x {ratio:g}" for label, ratio in card.prior.items())
        yield "prior odds", f"{ratios}, already in the logits"
    if card.calibrated_on:
        yield "calibrated on", card.calibrated_on
    yield "abstain", f"below {card.abstain_below:g}" if card.abstain_below else "no advice"
    yield "licence", f"of the weights: {card.weights_licence}"
    if card.adapted is not None:
        yield from _adapted(card.adapted)


def _adapted(adapted: Adaptation) -> Iterator[Row]:
    counts = ", ".join(f"{label} {n}" for label, n in adapted.labels.items())
    speakers = _count(len(adapted.speakers), "known speaker")
    size = f"{adapted.n_clips} clips, {adapted.seconds:.0f} s, {speakers}"
    yield "adapted", f"{adapted.date} to {adapted.corpus}: {size} ({counts})"
    before, after = adapted.before, adapted.after
    uar = f"UAR {text.percent(before.uar)} → {text.percent(after.uar)}"
    loss = f"log loss {text.decimal(before.log_loss)} → {text.decimal(after.log_loss)}"
    yield "", f"held out ({adapted.protocol}): {uar}, {loss}"
    yield "", f"from SHA-256 {adapted.base_sha256[:_DIGEST]}…; `edge-ser adapt --undo` goes back"


def _print_accuracy(console: Console, card: ModelCard) -> None:
    from rich.markup import escape

    if not card.accuracy:
        console.print("Accuracy", style="bold")
        console.print("the card names none; `edge-ser evaluate` measures it\n", markup=False)
        return
    table = plain_table("corpus", "split", "protocol", right=("clips", "speakers", "WA", "UAR"))
    for a in card.accuracy:
        cells = map(escape, (a.corpus, a.split, a.protocol))
        counts = (str(a.n_clips), str(len(a.speakers)))
        table.add_row(*cells, *counts, text.percent(a.wa), text.percent(a.uar))
    console.print("Accuracy", style="bold")
    console.print(table)
    console.print()


def _frontend(frontend: FrontendConfig) -> str:
    deltas = ("", " with deltas", " with both deltas")[frontend.deltas]
    return (
        f"{frontend.n_mfcc} MFCCs{deltas} of {frontend.n_mels} mel bands, {frontend.fmin:g}–"
        f"{frontend.fmax:g} Hz, of audio at {frontend.sample_rate} Hz; {frontend.window} window "
        f"{frontend.win_length}, FFT {frontend.n_fft}, hop {frontend.hop_length}"
    )


def _graph(inspection: OnnxInspection) -> Iterator[Row]:
    opsets = ", ".join(
        f"{version}" if domain == "ai.onnx" else f"{domain} {version}"
        for domain, version in inspection.opsets.items()
    )
    yield "opset", f"{opsets} (IR {inspection.ir_version}), {inspection.n_nodes} nodes"
    yield "written by", inspection.producer or "no name"
    for name, tensor in zip(_once("input"), inspection.inputs, strict=False):
        yield name, _tensor(tensor)
    for name, tensor in zip(_once("output"), inspection.outputs, strict=False):
        yield name, _tensor(tensor)
    card = inspection.card
    stored = f"{inspection.n_parameters:,} numbers stored"
    if inspection.n_frontend_parameters:
        stored += f", and {inspection.n_frontend_parameters:,} of the front end"
    yield "parameters", stored + (f"; {card.n_parameters:,} trained (card)" if card else "")
    yield "MACs", _macs(inspection)


def _macs(inspection: OnnxInspection) -> str:
    if inspection.macs is None:
        no_card = "" if inspection.card else ", and there is no card with a window length"
        return "unknown: the graph does not state all shapes" + no_card
    macs = f"{inspection.macs:,}"
    if inspection.card:
        shape = " x ".join(str(length) for length in inspection.input_shape)
        macs += f" for one window of {inspection.card.window_s:g} s ({shape})"
    if inspection.frontend_macs:
        macs += f", {inspection.frontend_macs:,} of them in the front end"
    return macs


def _precision(inspection: OnnxInspection) -> Iterator[Row]:
    if inspection.precision is None:
        yield "record", "none: the file has no record of a conversion"
    else:
        yield from _record(inspection.precision)
    for name, share in zip(_once("layers"), inspection.precisions, strict=False):
        macs = "" if share.macs_share is None else f", {text.percent(share.macs_share)} of the MACs"
        yield name, f"{share.precision}: {share.n_layers}{macs}"
    if not inspection.precisions:
        yield "layers", "none that multiplies by weights"


def _record(precision: Precision) -> Iterator[Row]:
    how = [precision.kind]
    if precision.method:
        how += [precision.method, "per channel" if precision.per_channel else "per tensor"]
    yield "record", ", ".join(how)
    yield "made from", f"SHA-256 {precision.source_sha256[:_DIGEST]}…"
    if precision.calibration_digest:
        yield "calibrated on", f"{precision.calibration_digest[:_DIGEST]}…"
    if precision.excluded:
        yield "kept in float", ", ".join(precision.excluded)
    if precision.gate:
        yield "gate", ", ".join(f"{name} {value:.4g}" for name, value in precision.gate.items())


def _print_layers(console: Console, inspection: OnnxInspection) -> None:
    from rich.markup import escape

    if not inspection.layers:
        return
    table = plain_table("layer", "type", "precision", right=("MACs", "stored"))
    for layer in inspection.layers:
        macs = text.MISSING if layer.macs is None else _short(layer.macs)
        table.add_row(
            escape(layer.name), layer.operator, layer.precision, macs, f"{layer.n_parameters:,}"
        )
    console.print("Layers", style="bold")
    console.print(table)


def _print_engine(console: Console, inspection: EngineInspection) -> None:
    _print_rows(console, "Card", _card(inspection.card))
    _print_accuracy(console, inspection.card)
    fields = json.loads(inspection.manifest.to_json())
    shown = {k: v for k, v in fields.items() if k not in {"card", "layers"}}
    _print_rows(console, "Manifest", _flat(shown))
    built = list(inspection.built_layers.items())
    note = inspection.built_layers_note
    _print_rows(console, "Built layers", built or [("precision", note)])


def _flat(manifest: Mapping[str, Any], before: str = "") -> Iterator[Row]:
    """Yield the fields of a manifest; nested fields are named `outer.inner`."""
    for name, value in manifest.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, list):
            yield before + name, ", ".join(map(str, value)) or "none"
        else:
            yield before + name, "none" if value in ("", None, {}) else str(value)


def _tensor(tensor: Tensor) -> str:
    shape = ", ".join(str(length) for length in tensor.shape)
    return f"{tensor.name}: {tensor.type} [{shape}]"


def _short(count: int) -> str:
    """Return a count with three digits, e.g. `12.2 M`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            digits = 2 - (count >= 10 * size) - (count >= 100 * size)
            return f"{count / size:.{digits}f} {unit}"
    return str(count)


def _once(name: str) -> Iterator[str]:
    """Yield a name for the first row, then empty strings."""
    yield name
    while True:
        yield ""


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + "s" * (n != 1)
