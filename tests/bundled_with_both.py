"""The bundled model with usual outputs, and an arousal if it has none, put on by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_ser.card import CARD_KEY, ModelCard
from edge_ser.inference.loader import bundled_model

EXCITED = ("angry", "happy", "fearful")


USUAL = (0.4, -0.3, 0.2, -0.1, 0.0, 0.1, -0.5)
"""Outputs that it says are usual for neutral speech: six logits and the arousal's."""


def write_bundled_with_both(path: Path, **changes: object) -> Path:
    """Write the bundled model, its logits as they were, which takes a baseline and gives an arousal.

    Args:
        path: where to.
        changes: of the card.
    """
    model = onnx.load(str(bundled_model()))
    card = ModelCard.from_json(next(p.value for p in model.metadata_props if p.key == CARD_KEY))
    if not card.arousal:
        _add_arousal(model.graph, card)
    values = {"usual_outputs": USUAL, **changes}
    both = dataclasses.replace(card, arousal=True, **values)  # type: ignore[arg-type]
    helper.set_model_props(model, {CARD_KEY: both.to_json()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return path


def _add_arousal(graph: onnx.GraphProto, card: ModelCard) -> None:
    excited = np.array([card.labels.index(x) for x in EXCITED], np.int64)
    node = helper.make_node
    logits = graph.output[0].name
    graph.node.extend(
        [
            node("Softmax", [logits], ["both_probs"], "both_softmax", axis=1),
            node("Gather", ["both_probs", "both_excited"], ["both_chosen"], "both_gather", axis=1),
            node("ReduceSum", ["both_chosen", "both_classes"], ["arousal"], "both_sum", keepdims=1),
        ]
    )
    graph.initializer.append(numpy_helper.from_array(excited, "both_excited"))
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "both_classes"))
    graph.output.append(helper.make_tensor_value_info("arousal", TensorProto.FLOAT, ["batch", 1]))
    del graph.value_info[:]
