"""The front end in the graph equals the one in NumPy, with plain operators."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import both_card, network
from onnx import TensorProto, helper

from edge_ser.audio.io import load
from edge_ser.card import FrontendConfig
from edge_ser.frontend import mfcc
from edge_ser.quantization.frontend_graph import frontend_graph, with_frontend

SMALL = FrontendConfig(n_mels=26, n_mfcc=13)
CONFIGS = {
    "default": FrontendConfig(),
    "paper": FrontendConfig.paper(),
    "centred": FrontendConfig(center=True),
    "preemphasis": FrontendConfig(preemphasis=0.97),
    "deltas": FrontendConfig(n_mfcc=13, deltas=1),
    "both deltas, centred": FrontendConfig(n_mfcc=13, deltas=2, center=True, preemphasis=0.95),
    "htk": FrontendConfig(mel_scale="htk"),
    "unscaled": dataclasses.replace(SMALL, dct_norm="none"),
    "hamming": dataclasses.replace(SMALL, window="hamming"),
    "blackman": dataclasses.replace(SMALL, window="blackman"),
    "boxcar": dataclasses.replace(SMALL, window="boxcar"),
    "whole window": dataclasses.replace(SMALL, win_length=512),
    "odd window": dataclasses.replace(SMALL, win_length=401, hop_length=161),
    "odd window, centred": dataclasses.replace(SMALL, win_length=401, center=True),
    "odd FFT": dataclasses.replace(SMALL, n_fft=511, win_length=400),
    "odd FFT, centred": dataclasses.replace(SMALL, n_fft=511, win_length=400, center=True),
    "one sample less": dataclasses.replace(SMALL, n_fft=512, win_length=511),
    "all bins": dataclasses.replace(SMALL, fmin=0.0, fmax=8_000.0),
    "telephone": FrontendConfig(
        sample_rate=8_000, n_fft=256, win_length=200, hop_length=80, n_mels=26, n_mfcc=13, fmax=4e3
    ),
    "high floor": dataclasses.replace(SMALL, log_floor=1e-4),
}
OPERATORS = {"Conv", "Mul", "Max", "Log", "Slice", "Unsqueeze", "Pad", "Concat", "Identity"}


@lru_cache(maxsize=32)
def session_of(config: FrontendConfig) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        frontend_graph(config).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def in_graph(audio: np.ndarray, config: FrontendConfig) -> np.ndarray:
    return session_of(config).run(None, {"waveform": audio})[0]


def assert_equal(got: np.ndarray, expected: np.ndarray) -> None:
    """Compare within 1e-5 of the largest feature.

    The graph's DFT sums in float32, NumPy's in float64; features reach some hundred dB, so this is
    a few thousandths of a dB.
    """
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", CONFIGS)
def test_speech_gives_the_same_features(name, example_clips):
    config = CONFIGS[name]
    for clip in example_clips:
        samples = load(clip, config.sample_rate)
        assert_equal(in_graph(samples[None], config)[0], mfcc(samples, config))


@pytest.mark.parametrize("name", CONFIGS)
def test_noise_gives_the_same_features(name):
    config = CONFIGS[name]
    rng = np.random.default_rng(0)
    audio = np.array([[0.5], [0.01], [1e-4]]) * rng.normal(size=(3, 12_345))
    audio = audio.astype(np.float32)

    got = in_graph(audio, config)

    assert_equal(got, np.stack([mfcc(samples, config) for samples in audio]))


@pytest.mark.parametrize("name", ["default", "both deltas, centred"])
def test_silence_lies_on_the_floor(name):
    config = CONFIGS[name]
    silence = np.zeros((2, 8_000), np.float32)

    got = in_graph(silence, config)

    assert np.isfinite(got).all()
    assert_equal(got[1], mfcc(silence[1], config))


@given(st.sampled_from(sorted(CONFIGS)), st.integers(0, 3_000), st.integers(1, 3))
def test_the_number_of_frames_is_the_same(name, extra, batch):
    config = CONFIGS[name]
    n_samples = config.n_fft + extra

    got = in_graph(np.zeros((batch, n_samples), np.float32), config)

    assert got.shape == (batch, config.n_features, config.n_frames(n_samples))


@pytest.mark.parametrize("name", CONFIGS)
def test_only_operators_that_every_tensorrt_runs(name):
    model = frontend_graph(CONFIGS[name])

    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} <= OPERATORS
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)


def shape_of(value: onnx.ValueInfoProto) -> list[int | str]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def test_shapes_are_stated():
    graph = frontend_graph(CONFIGS["deltas"]).graph

    assert shape_of(graph.input[0]) == ["batch", "samples"]
    assert shape_of(graph.output[0]) == ["batch", 26, "frames"]


def test_a_model_with_the_front_end_takes_audio():
    """The mean over time of the features stands for a network."""
    config = CONFIGS["odd window"]
    network = helper.make_model(
        helper.make_graph(
            [helper.make_node("ReduceMean", ["features"], ["logits"], axes=[2], keepdims=0)],
            "network",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 13, "frames"])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 13])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )

    whole = with_frontend(network, config)

    onnx.checker.check_model(whole, full_check=True)
    assert [(entry.domain, entry.version) for entry in whole.opset_import] == [("", 17)]
    assert [shape_of(v) for v in (*whole.graph.input, *whole.graph.output)] == [
        ["batch", "samples"],
        ["batch", 13],
    ]
    audio = 0.1 * np.random.default_rng(0).normal(size=(2, 9_999)).astype(np.float32)
    session = onnxruntime.InferenceSession(
        whole.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (logits,) = session.run(None, {"waveform": audio})
    assert_equal(logits, np.stack([mfcc(samples, config).mean(1) for samples in audio]))


def test_an_arousal_stays_with_the_front_end():
    card = both_card()
    whole = with_frontend(network(card), card.frontend)

    onnx.checker.check_model(whole, full_check=True)
    assert [(v.name, shape_of(v)) for v in whole.graph.input] == [
        ("waveform", ["batch", "samples"])
    ]
    assert [(v.name, shape_of(v)) for v in whole.graph.output] == [
        ("logits", ["batch", 3]),
        ("arousal", ["batch", 1]),
    ]
