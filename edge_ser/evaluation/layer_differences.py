"""Comparison of two ONNX graphs of the same origin, tensor by tensor.

Both graphs run as they are written, without ONNX Runtime's fusions, which would remove the tensors:
a graph with Q/DQ rounds as its integer form does, and multiplies the rounded numbers in float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from edge_ser.evaluation.comparison import DIVERGES, LayerDifference, LayerDifferences
from edge_ser.evaluation.onnx_graph import constants, load_model
from edge_ser.inference.session import open_session

Float32 = NDArray[np.float32]

_LEAST_ENERGY = 1e-24
"""Lower bound of the divisor, for tensors that are all zero."""


@dataclass
class _Sums:
    energy: float = 0.0
    difference: float = 0.0
    largest: float = 0.0
    finite: bool = True


class LayerMeter:
    """Runs windows through two graphs and accumulates the differences of their common tensors."""

    def __init__(self, first: Path, other: Path, threads: int = 1) -> None:
        """Open both graphs.

        Raises:
            ModelError: a file that cannot be read.
        """
        models = load_model(first), load_model(other)
        self._common = common_tensors(models[0].graph, models[1].graph)
        self._sessions = [_session(model, self._common, threads) for model in models]
        self._sums = {name: _Sums() for name in self._common}
        self._n_windows = 0

    @property
    def n_common(self) -> int:
        """Number of tensors that both graphs have."""
        return len(self._common)

    def add(self, first: Float32, other: Float32) -> None:
        """Run one window, given as the input of each model."""
        values, others = (
            _run(session, inputs)
            for session, inputs in zip(self._sessions, (first, other), strict=True)
        )
        self._n_windows += 1
        for name in [name for name in self._sums if values[name].shape != others[name].shape]:
            del self._sums[name]
        for name, sums in self._sums.items():
            a, b = values[name].astype(np.float64), others[name].astype(np.float64)
            if not (np.isfinite(a).all() and np.isfinite(b).all()):
                sums.finite = False
                continue
            difference = b - a
            sums.energy += float(np.sum(a**2))
            sums.difference += float(np.sum(difference**2))
            sums.largest = max(sums.largest, float(np.abs(difference).max(initial=0.0)))

    def result(self, threshold: float = DIVERGES) -> LayerDifferences:
        """Return the differences, and the first one above the threshold."""
        differences = []
        for index, (name, node) in enumerate(self._common.items()):
            if name in self._sums:
                sums = self._sums[name]
                error = float(np.sqrt(sums.difference / max(sums.energy, _LEAST_ENERGY)))
                differences.append(
                    LayerDifference(
                        tensor=name,
                        node=node.name or name,
                        operator=node.op_type,
                        place=index,
                        error=error if sums.finite else None,
                        max_difference=sums.largest if sums.finite else None,
                    )
                )
        diverging = (
            layer for layer in differences if layer.error is None or layer.error > threshold
        )
        return LayerDifferences(
            threshold=threshold,
            n_windows=self._n_windows,
            n_other_shape=len(self._common) - len(differences),
            first=next(diverging, None),
            layers=tuple(sorted(differences, key=_largest_first)),
        )


def common_tensors(first: onnx.GraphProto, other: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Return the tensors to compare and the nodes of `first` that write them, in its order.

    A tensor is compared when a node of the same operator writes it in both graphs: a tool that folds
    a ReLU into the convolution before it keeps the name for what is now another tensor. Outputs of
    the graph are the same thing whoever writes them.
    """
    known = {name: node.op_type for node in other.node for name in node.output}
    outputs = {value.name for value in first.output} & {value.name for value in other.output}
    stored = set(constants(first)) | set(constants(other))
    return {
        name: node
        for node in first.node
        for name in node.output
        if name
        and name not in stored
        and name in known
        and (known[name] == node.op_type or name in outputs)
    }


def _session(
    model: onnx.ModelProto, names: Mapping[str, onnx.NodeProto], threads: int
) -> ort.InferenceSession:
    """Open a model that returns the tensors `names` too."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    known = {value.name for value in exposed.graph.output}
    exposed.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in names if name not in known
    )
    return open_session(exposed.SerializeToString(), threads, optimized=False)


def _run(session: ort.InferenceSession, inputs: Float32) -> dict[str, NDArray[Any]]:
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {session.get_inputs()[0].name: inputs})
    return dict(zip(names, values, strict=True))


def _largest_first(layer: LayerDifference) -> tuple[float, int]:
    return (-np.inf if layer.error is None else -layer.error), layer.place
