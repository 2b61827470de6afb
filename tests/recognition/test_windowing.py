"""Windows without a model: geometry, any chunk sizes, short clips, levels only."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import CARDS, RATE, in_chunks, noise, scene
from support import make_card

from edge_ser.audio.io import AudioChunk
from edge_ser.card import FrontendConfig
from edge_ser.errors import AudioError, ConfigError
from edge_ser.frontend import mfcc
from edge_ser.recognition.windowing import WindowConfig, WindowCutter, clip_inputs, clip_windows

CONFIG = WindowConfig.from_card(make_card())


def spans(windows):
    return [(window.start, window.stop) for window in windows]


def test_the_config_of_a_card_is_in_samples():
    config = WindowConfig.from_card(make_card(hop_s=0.254), min_level_dbfs=-60)

    assert (config.window_samples, config.hop_samples, config.min_samples) == (16_000, 4_000, 4_000)
    assert (config.window_s, config.hop_s, config.min_window_s) == (1.0, 0.25, 0.25)
    assert (config.sample_rate, config.hop_frames, config.min_level_dbfs) == (RATE, 25, -60)


@given(st.floats(0.02, 2.0))
def test_the_minimum_is_the_fewest_samples_that_last_so_long(min_window_s):
    config = WindowConfig.from_seconds(
        FrontendConfig(), "features", window_s=2.0, hop_s=0.5, min_window_s=min_window_s
    )

    assert config.min_samples / RATE >= min_window_s > (config.min_samples - 1) / RATE


@pytest.mark.parametrize("lengths", [{"window_s": 0.2}, {"window_s": 61}, {"hop_s": 0.001}])
def test_lengths_out_of_range_are_refused(lengths):
    with pytest.raises(ConfigError):
        WindowConfig.from_card(make_card(), **lengths)


@pytest.mark.parametrize("name", CARDS)
@given(sizes=st.lists(st.integers(0, 9_000), max_size=8))
def test_pieces_of_any_size_give_the_same_windows(name, sizes):
    config = WindowConfig.from_card(CARDS[name])
    samples = scene(1.1, 1.3, 0.3)

    one = list(clip_windows(in_chunks(samples, sizes), config))
    other = list(clip_windows([AudioChunk(samples, RATE)], config))

    assert spans(one) == spans(other)
    for a, b in zip(one, other, strict=True):
        assert (a.level_dbfs, a.clipped) == (b.level_dbfs, b.clipped)
        assert (a.inputs is None) == (b.inputs is None)
        if a.inputs is not None and b.inputs is not None:
            np.testing.assert_allclose(a.inputs, b.inputs, rtol=1e-5, atol=1e-3)


def test_the_first_window_holds_the_features_of_its_samples():
    samples = noise(RATE)

    (window,) = clip_windows([AudioChunk(samples, RATE)], CONFIG)

    np.testing.assert_allclose(window.inputs[0], mfcc(samples, CONFIG.frontend), atol=1e-3)
    assert window.inputs.flags.c_contiguous


@pytest.mark.parametrize("name", ["features", "waveform"])
def test_inputs_stay_as_they_are_while_the_stream_goes_on(name):
    cutter = WindowCutter(WindowConfig.from_card(CARDS[name]))
    (window,) = cutter.push(noise(RATE))
    before = window.inputs.copy()
    for _ in range(20):
        list(cutter.push(np.ones(RATE, np.float32)))

    np.testing.assert_array_equal(window.inputs, before)


def test_a_growing_window_reaches_the_full_length_a_hop_at_a_time():
    cutter = WindowCutter(CONFIG, first_s=0.5)

    found = spans(cutter.push(noise(24_000)))

    assert found == [(0, 8_000), (0, 12_000), (0, 16_000), (4_000, 20_000), (8_000, 24_000)]


def test_a_short_clip_is_one_window_or_none():
    chunks = [AudioChunk(noise(9_000), RATE)]

    assert spans(clip_windows(chunks, CONFIG)) == [(0, 9_000)]
    assert spans(clip_windows(chunks, CONFIG, short=False)) == []


def test_a_clip_below_the_minimum_is_refused_by_name():
    with pytest.raises(AudioError, match=r"a\.wav"):
        list(clip_windows([AudioChunk(noise(3_999), RATE)], CONFIG, "a.wav"))
    assert list(clip_windows([AudioChunk(noise(3_999), RATE)], CONFIG, short=False)) == []


def test_silent_windows_have_no_inputs():
    quiet, loud = clip_inputs([AudioChunk(scene(1.0, 0.25) * np.float32(0.01), RATE)], CONFIG)

    assert quiet is None
    assert loud is not None


def test_levels_alone_need_no_features():
    chunks = [AudioChunk(scene(1.0, 1.0), RATE)]
    quiet = dataclasses.replace(CONFIG, min_level_dbfs=-50)

    full = list(clip_windows(chunks, quiet))
    levels = list(clip_windows(chunks, quiet, levels_only=True))

    assert spans(levels) == spans(full)
    assert [w.level_dbfs for w in levels] == [w.level_dbfs for w in full]
    assert [w.inputs is None for w in levels] == [w.inputs is None for w in full]
    assert all(w.inputs is None or w.inputs.size == 0 for w in levels)


def test_models_with_equal_geometry_have_equal_configs():
    assert WindowConfig.from_card(make_card(name="other")) == CONFIG
    assert len({CONFIG, WindowConfig.from_card(make_card(hop_s=0.5))}) == 2
