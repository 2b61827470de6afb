"""Layers of a network with weights, and the role of each."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import onnx

from edge_ser.card import AROUSAL_OUTPUT

WEIGHTED = ("Conv", "Gemm", "MatMul")
"""Operators whose second input is a weight tensor."""

TRUNK, GATE, POOLING, AROUSAL = "trunk", "gate", "pooling", "arousal"

LEAST_SHARE = 0.015
"""Smallest share of the weights for INT8; the Q and DQ of smaller layers cost more than INT8 saves."""

_ENDS = {"Sigmoid": GATE, "Softmax": POOLING}


@dataclass(frozen=True)
class Layer:
    """Node with weights."""

    name: str
    operator: str
    n_weights: int
    share: float
    """Share of the network's weights, in [0, 1]."""
    role: str
    """`arousal`: feeds the arousal, not the logits; `gate`: feeds sigmoids only; `pooling`: feeds
    softmaxes only; `trunk`: all others."""


def weighted_layers(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """Return the layers in the order of the graph. Nodes must have names."""
    sizes = {w.name: math.prod(w.dims) for w in model.graph.initializer}
    nodes = [n for n in model.graph.node if n.op_type in WEIGHTED and n.input[1] in sizes]
    total = sum(sizes[node.input[1]] for node in nodes)
    users, arousal = consumers(model), arousal_branch(model)
    return tuple(
        Layer(
            name=node.name,
            operator=node.op_type,
            n_weights=sizes[node.input[1]],
            share=sizes[node.input[1]] / total,
            role=AROUSAL if node.name in arousal else _role(node, users),
        )
        for node in nodes
    )


def worth_quantizing(layers: tuple[Layer, ...]) -> tuple[str, ...]:
    """Return the names of the layers worth quantising: large ones outside attention gates.

    On the bundled model, gates in INT8 save 0.6% of the file and slow it down by 5%; the classifier
    saves 0.7% and makes the error of the logits a third larger. The layers that score frames for the
    pooling are 8% of the file, and their loss in INT8 is not measurable. The smallest shortcut, 2% of
    the weights, saves 4% of the file and 5% of the time, because its input is already INT8.
    """
    outside = (GATE, AROUSAL)
    return tuple(x.name for x in layers if x.role not in outside and x.share >= LEAST_SHARE)


def arousal_branch(model: onnx.ModelProto) -> set[str]:
    """Return the names of the nodes that the arousal needs and the logits do not. Nodes must have names.

    They stay in float: one row of numbers per window, at negligible cost.
    """
    found = set()
    needed = {o.name for o in model.graph.output if o.name != AROUSAL_OUTPUT}
    for node in reversed(model.graph.node):
        if needed.isdisjoint(node.output):
            found.add(node.name)
        else:
            needed.update(node.input)
    return found


def consumers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the nodes that read each tensor."""
    users: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            users[name].append(node)
    return users


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Return the node that produces each tensor; inputs and weights have none."""
    return {name: node for node in model.graph.node for name in node.output}


def _role(node: onnx.NodeProto, users: dict[str, list[onnx.NodeProto]]) -> str:
    """Return the role of a node, by following its output up to sigmoids and softmaxes."""
    ends, waiting, seen = set(), list(node.output), set(node.output)
    while waiting:
        reached = users.get(waiting.pop(), [])
        ends |= {TRUNK} if not reached else set()
        for user in reached:
            if user.op_type in _ENDS:
                ends.add(_ENDS[user.op_type])
                continue
            waiting += [name for name in user.output if name not in seen]
            seen.update(user.output)
    return ends.pop() if len(ends) == 1 else TRUNK
