"""The front end as ONNX nodes, from the same tables as `edge_ser.frontend`.

The DFT is a convolution with windowed cosines and sines, the mel bands and the DCT are 1x1
convolutions: operators that ONNX Runtime and all TensorRT versions run efficiently. TensorRT lowers
the ONNX operator STFT to convolutions, and older versions do not support it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_ser.card import FrontendConfig
from edge_ser.frontend import DELTA_WIDTH, dct_basis, delta_kernels, mel_filterbank, window

OPSET = 17
"""Newest opset that TensorRT 8.6 (JetPack 6.0) supports."""

IR_VERSION = 8
"""ONNX IR version of opset 17."""


def frontend_graph(config: FrontendConfig) -> onnx.ModelProto:
    """Return a model from `waveform` [batch, n_samples] to `features` [batch, n_features, n_frames].

    Args:
        config: the front end; the waveform has `config.sample_rate`.
    """
    graph = _Graph()
    x = graph.add("Unsqueeze", "waveform", graph.constant(np.array([1])))
    if config.preemphasis:
        kernel = np.array([[[-config.preemphasis, 1.0]]])
        x = graph.convolve(x, kernel, pads=[1, 0])
    x = _power(graph, x, config)
    x = graph.add("Max", x, graph.constant(np.array(config.log_floor, np.float32)))
    x = graph.add("Log", x)
    to_db = 10.0 / np.log(10.0)
    x = graph.convolve(x, to_db * dct_basis(config)[:, :, None])
    if config.deltas:
        x = _deltas(graph, x, config)
    graph.add("Identity", x, output="features")
    return graph.model(config)


def with_frontend(model: onnx.ModelProto, config: FrontendConfig) -> onnx.ModelProto:
    """Prepend the front end to a model whose input is `features`; metadata are not copied."""
    front = frontend_graph(config)
    front = onnx.compose.add_prefix(front, "frontend/", rename_inputs=False, rename_outputs=False)
    merged: onnx.ModelProto = onnx.compose.merge_models(
        front, model, io_map=[("features", "features")]
    )
    # Both parts declare the opset, and the merged model would declare it twice.
    del merged.opset_import[1:]
    return merged


def _power(graph: _Graph, x: str, config: FrontendConfig) -> str:
    """Return the mel power [batch, n_mels, n_frames] of [batch, 1, n_samples]."""
    mel = mel_filterbank(config).astype(np.float64)
    used = np.flatnonzero(mel.any(axis=0))
    before = config.window_offset
    after = config.n_fft - config.win_length - before
    phase = 2 * np.pi * np.outer(used, np.arange(config.win_length)) / config.n_fft
    kernels = np.concatenate([np.cos(phase), np.sin(phase)]) * window(config)
    pads = [0, 0]
    if config.center:
        pads = [config.n_fft // 2 - before, config.n_fft // 2 - after]
    elif before or after:
        # Cut the samples outside the window of the first and last frame, so that the number of
        # frames is that of complete frames of n_fft samples.
        ends = [-after] if after else [np.iinfo(np.int64).max]
        x = graph.add(
            "Slice",
            x,
            graph.constant(np.array([before])),
            graph.constant(np.array(ends)),
            graph.constant(np.array([2])),
        )
    x = graph.convolve(x, kernels[:, None, :], stride=config.hop_length, pads=pads)
    x = graph.add("Mul", x, x)
    # Power is the sum of two squares: the bands sum both halves at once.
    return graph.convolve(x, np.concatenate([mel[:, used], mel[:, used]], axis=1)[:, :, None])


def _deltas(graph: _Graph, x: str, config: FrontendConfig) -> str:
    half = DELTA_WIDTH // 2
    padding = graph.constant(np.array([0, 0, half, 0, 0, half]))
    padded = graph.add("Pad", x, padding, mode="edge")
    rows = [x]
    for kernel in delta_kernels(config.deltas):
        weights = np.repeat(kernel[None, None, :], config.n_mfcc, axis=0)
        rows.append(graph.convolve(padded, weights, group=config.n_mfcc))
    return graph.add("Concat", *rows, axis=1)


class _Graph:
    """Graph builder; each output is named after its operator and index."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def convolve(
        self,
        x: str,
        kernels: NDArray[np.floating],
        stride: int = 1,
        pads: list[int] | None = None,
        group: int = 1,
    ) -> str:
        weights = self.constant(kernels.astype(np.float32))
        return self.add("Conv", x, weights, strides=[stride], pads=pads or [0, 0], group=group)

    def model(self, config: FrontendConfig) -> onnx.ModelProto:
        tensor = helper.make_tensor_value_info
        graph = helper.make_graph(
            self._nodes,
            "frontend",
            [tensor("waveform", TensorProto.FLOAT, ["batch", "samples"])],
            [tensor("features", TensorProto.FLOAT, ["batch", config.n_features, "frames"])],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model
