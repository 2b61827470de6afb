"""The bundled model with a baseline and an arousal put on by hand: for tests of everything around."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_ser.card import CARD_KEY, ModelCard
from edge_ser.runtime.runner import bundled_model

EXCITED = ("angry", "happy", "fearful")


def write_bundled_with_both(path: Path, weight: float = 0.0, **changes: object) -> Path:
    """Write the bundled model, its logits as they were without a baseline.

    Args:
        path: where to.
        weight: of every deviation of the baseline, in standard deviations, in every channel of the
            first convolution; 0 for a baseline that is wired and does nothing.
        changes: of the card.
    """
    model = onnx.load(str(bundled_model()))
    card = ModelCard.from_json(next(p.value for p in model.metadata_props if p.key == CARD_KEY))
    graph = model.graph
    stored = [
        numpy_helper.from_array(np.asarray(values, dtype), name)
        for name, values, dtype in (
            ("both_mean", card.normalization.mean, np.float32),
            ("both_std", card.normalization.std, np.float32),
            ("both_axis", [2], np.int64),
            ("both_excited", [card.labels.index(x) for x in EXCITED], np.int64),
            ("both_classes", [1], np.int64),
        )
    ]
    first = next(node for node in graph.node if node.op_type == "Conv")
    n_out = next(w.dims[0] for w in graph.initializer if w.name == first.input[1])
    weights = np.full((len(card.normalization.mean), n_out), weight, np.float32)
    stored.append(numpy_helper.from_array(weights, "both_weights"))
    output, first.output[0] = first.output[0], f"{first.output[0]}_unshifted"
    node = helper.make_node
    shift = [
        node("Sub", ["baseline", "both_mean"], ["both_centred"], "both_centre"),
        node("Div", ["both_centred", "both_std"], ["both_scaled"], "both_scale"),
        node("MatMul", ["both_scaled", "both_weights"], ["both_bias"], "both_weigh"),
        node("Unsqueeze", ["both_bias", "both_axis"], ["both_over_time"], "both_spread"),
        node("Add", [first.output[0], "both_over_time"], [output], "both_shift"),
    ]
    place = list(graph.node).index(first) + 1
    for offset, added in enumerate(shift):
        graph.node.insert(place + offset, added)
    logits = graph.output[0].name
    graph.node.extend(
        [
            node("Softmax", [logits], ["both_probs"], "both_softmax", axis=1),
            node("Gather", ["both_probs", "both_excited"], ["both_chosen"], "both_gather", axis=1),
            node("ReduceSum", ["both_chosen", "both_classes"], ["arousal"], "both_sum", keepdims=1),
        ]
    )
    graph.initializer.extend(stored)
    value = helper.make_tensor_value_info
    rows = card.frontend.n_features
    graph.input.append(value("baseline", TensorProto.FLOAT, ["batch", rows]))
    graph.output.append(value("arousal", TensorProto.FLOAT, ["batch", 1]))
    del graph.value_info[:]
    both = dataclasses.replace(card, baseline=True, arousal=True, **changes)  # type: ignore[arg-type]
    helper.set_model_props(model, {CARD_KEY: both.to_json()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return path
