"""Sensitivity analysis: the accuracy cost of quantising each layer alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ser._util.callbacks import OnItem
from edge_ser._util.files import write_text
from edge_ser.quantization.accuracy_gate import Score
from edge_ser.quantization.layers import Layer


@dataclass(frozen=True)
class LayerCost:
    """Score with one layer in INT8 and all others in float."""

    layer: Layer
    score: Score


@dataclass(frozen=True)
class Sensitivity:
    """Cost of all layers, the highest first."""

    method: str
    per_channel: bool
    measured_on: str
    """Description of the clips."""
    costs: tuple[LayerCost, ...]

    def save(self, path: Path) -> None:
        """Write the report as JSON.

        Raises:
            ConfigError: the file cannot be written.
        """
        write_text(path, json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n")


def ranked(
    layers: Sequence[Layer], score: Callable[[str], Score], progress: OnItem
) -> tuple[LayerCost, ...]:
    """Quantise each layer alone and rank them by mean logit error, the largest first.

    The change of UAR by one layer is a clip or two, so a ranking by it would be noise.

    Args:
        layers: the layers to try.
        score: function from the name of a layer to the score with only that layer in INT8.
        progress: called after each layer.
    """
    costs = []
    for layer in layers:
        costs.append(LayerCost(layer, score(layer.name)))
        progress()
    return tuple(sorted(costs, key=lambda cost: -cost.score.mean_error))
