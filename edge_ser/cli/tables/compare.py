"""Tables of `compare`: the files, their differences from the first, accuracy and layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_ser.cli._shared.tables import plain_table
from edge_ser.reports import format as text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from edge_ser.evaluation.comparison import Agreement, Comparison, LayerDifferences

_N_LAYERS = 8
"""Number of layers that are printed; the record has all."""

_DIGEST = 12


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print all tables of a comparison. Models are named by letters in the given order."""
    _print_models(console, comparison)
    _print_how(console, comparison)
    console.print(f"Difference from {_letter(0)}", style="bold")
    console.print(_differences(comparison))
    _print_worst(console, comparison)
    if comparison.scores:
        console.print("Accuracy", style="bold")
        console.print(_scores(comparison))
        console.print("points: UAR against A, in percentage points\n", style="dim")
    for difference in comparison.differences:
        if difference.layers is not None:
            _print_layers(console, _letter(difference.model), difference.layers)
        for check, reason in difference.refused.items():
            console.print(
                f"{_letter(difference.model)}: {check} not compared, {reason}",
                style="yellow",
                markup=False,
            )


def _print_models(console: Console, comparison: Comparison) -> None:
    from rich.markup import escape

    table = plain_table("", "file", "model", "precision", "SHA-256", right=("bytes",))
    for index, model in enumerate(comparison.models):
        table.add_row(
            _letter(index),
            escape(model.file),
            escape(model.name),
            model.precision or text.MISSING,
            model.sha256[:_DIGEST],
            f"{model.size_bytes:,}",
        )
    console.print(table)
    console.print()


def _print_how(console: Console, comparison: Comparison) -> None:
    console.print(f"clips: {comparison.n_clips}, {comparison.protocol}", markup=False)
    if comparison.n_no_answer:
        console.print(f"without an answer: {comparison.n_no_answer}, silent or too short")
    for part in comparison.left_out:
        console.print(f"left out: {part.corpus}, {part.n_clips} clips {part.reason}", markup=False)
    if any(set(model.labels) != set(comparison.labels) for model in comparison.models):
        labels = ", ".join(comparison.labels)
        console.print(
            f"predictions are the most probable of the common labels: {labels}",
            style="yellow",
            markup=False,
        )
    console.print()


def _differences(comparison: Comparison) -> Table:
    table = plain_table("", right=("largest logit", "mean logit", "same label: windows", "clips"))
    for difference in comparison.differences:
        logits = difference.logits
        table.add_row(
            _letter(difference.model),
            f"{logits.max:.2g}" if logits else text.MISSING,
            f"{logits.mean:.2g}" if logits else text.MISSING,
            _agreement(difference.windows),
            _agreement(difference.clips),
        )
    return table


def _print_worst(console: Console, comparison: Comparison) -> None:
    for difference in comparison.differences:
        if difference.logits is not None and difference.logits.max > 0:
            console.print(
                f"{_letter(difference.model)} is furthest from A in {difference.logits.clip} "
                f"at {difference.logits.start_s:g} s",
                style="dim",
                markup=False,
            )
    console.print()


def _scores(comparison: Comparison) -> Table:
    from rich.markup import escape

    table = plain_table(
        "", "corpus", right=("clips", "speakers", "no answer", "WA", "UAR", "points")
    )
    first = {s.corpus: s for s in comparison.scores if s.model == 0}
    for corpus, reference in first.items():
        for score in (s for s in comparison.scores if s.corpus == corpus):
            other = score.model > 0
            table.add_row(
                _letter(score.model),
                escape(corpus),
                str(score.n_clips),
                str(score.n_speakers),
                str(score.n_no_answer),
                text.percent(score.wa),
                text.percent(score.uar),
                text.points(score.uar - reference.uar) if other else "",
            )
    return table


def _print_layers(console: Console, letter: str, layers: LayerDifferences) -> None:
    from rich.markup import escape

    console.print(f"Layers of {letter} against A", style="bold")
    note = (
        f"{len(layers.layers)} tensors that both graphs have, {layers.n_windows} windows; error: "
        "root mean square of the difference over that of A"
    )
    console.print(note, style="dim")
    if layers.n_other_shape:
        console.print(f"{layers.n_other_shape} more have other shapes", style="yellow")
    limit = text.percent(layers.threshold)
    if layers.first is None:
        console.print(f"none diverges: no error is above {limit}\n", markup=False)
    else:
        console.print(
            f"first above {limit}: {layers.first.node} ({layers.first.operator}), "
            f"{_error(layers.first.error)}\n",
            markup=False,
        )
    if all(layer.error == 0 for layer in layers.layers):
        return
    table = plain_table("layer, largest error first", "type", right=("error", "max"))
    for layer in layers.layers[:_N_LAYERS]:
        largest = layer.max_difference
        table.add_row(
            escape(layer.node),
            layer.operator,
            _error(layer.error),
            text.MISSING if largest is None else f"{largest:.2g}",
        )
    console.print(table)
    console.print()


def _error(error: float | None) -> str:
    return "not finite" if error is None else f"{100 * error:.2g}%"


def _agreement(agreement: Agreement | None) -> str:
    if agreement is None:
        return text.MISSING
    return f"{100 * agreement.share:.2f}% of {agreement.n}"


def _letter(index: int) -> str:
    """Return A, B, … Z, then A1, B1, …."""
    return chr(ord("A") + index % 26) + (str(index // 26) if index >= 26 else "")
