"""Streams: what comes out in pieces is what comes out of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from front_ends import synthetic
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_ser.card import FrontendConfig
from edge_ser.frontend import DELTA_WIDTH, StreamingFeatures, mfcc

pytestmark = pytest.mark.usefixtures("each_kernel")


@st.composite
def small_configs(draw):
    """Few wide bands, so that any FFT size will do; hops beyond the window and the frame."""
    n_fft = draw(st.integers(128, 400))
    return FrontendConfig(
        n_fft=n_fft,
        win_length=draw(st.integers(2, n_fft)),
        hop_length=draw(st.integers(1, 600).map(lambda hop: max(hop, 20))),
        n_mels=6,
        n_mfcc=draw(st.integers(1, 6)),
        fmin=200.0,
        window=draw(st.sampled_from(["hann", "hamming", "boxcar"])),
        preemphasis=draw(st.sampled_from([0.0, 0.97])),
        deltas=draw(st.integers(0, 2)),
        center=draw(st.booleans()),
    )


def stream_in_chunks(samples: np.ndarray, config: FrontendConfig, sizes: list[int]) -> np.ndarray:
    """Push pieces of these sizes, then the rest, and put together what comes out."""
    stream = StreamingFeatures(config)
    pieces = np.split(samples, np.minimum(np.cumsum(sizes), len(samples)))
    return np.concatenate([stream.push(piece) for piece in pieces] + [stream.flush()], axis=1)


def assert_streams_as_offline(config: FrontendConfig, n_samples: int, sizes: list[int]) -> None:
    samples = synthetic("noise", 16_000)[:n_samples]

    streamed = stream_in_chunks(samples, config, sizes)

    assert streamed.dtype == np.float32
    assert streamed.shape == (config.n_features, config.n_frames(n_samples))
    if streamed.shape[1]:
        # rtol: one unit in the last place of a large zeroth coefficient is more than atol.
        np.testing.assert_allclose(streamed, mfcc(samples, config), rtol=1e-6, atol=1e-5)


@settings(max_examples=150, deadline=None)
@given(
    config=small_configs(),
    n_samples=st.integers(0, 6_000),
    sizes=st.lists(st.sampled_from([0, 1, 2, 7, 160, 399, 400, 1_601]), max_size=12),
)
@example(config=FrontendConfig.paper(), n_samples=6_000, sizes=[0, 1, 0, 2_047, 1])
@example(config=FrontendConfig(deltas=2, preemphasis=0.97), n_samples=6_000, sizes=[1] * 5 + [600])
def test_streaming_equals_offline(config, n_samples, sizes):
    assert_streams_as_offline(config, n_samples, sizes)


@pytest.mark.parametrize("center", [False, True])
def test_streaming_with_gaps_between_frames(center):
    """A hop longer than the frame: the samples between two frames count although no frame has them."""
    assert_streams_as_offline(FrontendConfig(hop_length=1_000, center=center), 6_000, [100] * 60)


def test_a_stream_sample_by_sample():
    assert_streams_as_offline(FrontendConfig(deltas=1, center=True), 1_500, [1] * 1_500)


@pytest.mark.parametrize("config", [FrontendConfig(), FrontendConfig.paper()])
def test_a_stream_without_audio_has_no_frames(config):
    stream = StreamingFeatures(config)
    assert stream.push(np.zeros(0, np.float32)).shape == (config.n_features, 0)
    assert stream.flush().shape == (config.n_features, 0)


def test_frames_come_with_their_last_sample():
    stream = StreamingFeatures(FrontendConfig())
    samples = synthetic("noise", 16_000)
    assert stream.push(samples[:511]).shape[1] == 0
    assert stream.push(samples[511:512]).shape[1] == 1
    assert stream.push(samples[512:671]).shape[1] == 0
    assert stream.push(samples[671:672]).shape[1] == 1


@pytest.mark.parametrize("end", ["flush", "reset"])
def test_after_the_end_a_new_stream_begins(end):
    config = FrontendConfig(deltas=1, preemphasis=0.97, center=True)
    samples = synthetic("chirp", 16_000)
    used = StreamingFeatures(config)
    used.push(synthetic("noise", 16_000)[:3_333])
    getattr(used, end)()

    again = np.concatenate([used.push(samples), used.flush()], axis=1)

    np.testing.assert_array_equal(again, stream_in_chunks(samples, config, []))


def test_a_long_stream_keeps_little():
    stream = StreamingFeatures(FrontendConfig(deltas=2))
    kept = set()
    for _ in range(200):
        stream.push(np.zeros(800, np.float32))
        kept.add((len(stream._samples), stream._static.shape))
    assert max(n_samples for n_samples, _ in kept) < 512
    assert {shape for _, shape in kept} <= {(40, n) for n in range(DELTA_WIDTH)}
