"""What `quantize` prints: the layers by what they cost, the methods side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_ser.cli._shared.tables import plain_table
from edge_ser.reports.format import MISSING, percent, points

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import Console
    from rich.table import Table

    from edge_ser.quantization.accuracy_gate import Score
    from edge_ser.quantization.quantizer import MethodRow
    from edge_ser.quantization.sensitivity import Sensitivity

_WIDTH = 140


def sensitivity_table(report: Sensitivity, quantized: Collection[str]) -> Table:
    """Return the layers, the most costly first, and which of them are in INT8."""
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
            percent(layer.share),
            f"{score.mean_error:.4f}",
            f"{score.max_error:.3f}",
            percent(score.agreement),
            uar_change(score),
            "yes" if layer.name in quantized else "no",
        )
    return table


def methods_table(rows: Sequence[MethodRow]) -> Table:
    """Return one row a method and granularity, FP32 first."""
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
            MISSING if score.uar is None else percent(score.uar),
            uar_change(score),
            percent(score.agreement),
            f"{score.mean_error:.4f}",
            f"{score.max_error:.3f}",
            percent(row.size),
            f"{row.speed:.2f}×",
        )
    return table


def uar_change(score: Score) -> str:
    """Return the change of UAR in points, negative where it fell."""
    return MISSING if score.uar_loss is None else points(0.0 - score.uar_loss)


def output_console() -> Console:
    """Return where tables go: wide enough for the names of layers, where it is no terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDTH
    return console
