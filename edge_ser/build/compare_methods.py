"""All calibration methods side by side, with scales by channel and by tensor."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from edge_ser._util.callbacks import OnItem
from edge_ser.build.judge import Score, interleaved_ms
from edge_ser.build.quantize import Quantizer, Wish
from edge_ser.build.ranges import METHODS

_N_ROUNDS = 200


@dataclass(frozen=True)
class MethodRow:
    """One method, before any layer is kept in float for the gate."""

    method: str
    per_channel: bool
    score: Score
    size: float
    """Of the file, as a share of the FP32 file's."""
    speed: float
    """Median time of FP32 over median time of this, one window on one core in ONNX Runtime."""


def compare_methods(
    quantizer: Quantizer, wish: Wish, progress: OnItem = lambda: None
) -> tuple[MethodRow, ...]:
    """Quantise by every method and measure each.

    Args:
        quantizer: of the model.
        wish: what else is asked for; its method and granularity are not looked at.
        progress: called after each row.
    """
    layers = [layer.name for layer in quantizer.candidates(wish)]
    source, window = quantizer.source, quantizer.calibration.windows[:1]
    rows = []
    for per_channel in (True, False):
        for method in METHODS:
            asked = dataclasses.replace(wish, int8=True, method=method, per_channel=per_channel)
            network = quantizer.network(asked, layers)
            score = quantizer.judge.score(network)
            fp32_ms, ms = interleaved_ms([source.body, network], window, _N_ROUNDS)
            n_bytes = quantizer.assemble(asked, network, layers, score).ByteSize()
            size, speed = n_bytes / source.n_bytes, fp32_ms / ms
            rows.append(MethodRow(method, per_channel, score, size, speed))
            progress()
    return tuple(rows)
