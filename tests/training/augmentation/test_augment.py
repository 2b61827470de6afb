"""Augmentation follows its settings, and changes nothing if they are 0."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.card import FrontendConfig
from edge_ser.frontend import mel_edges
from edge_ser.training.augmentation.augment import AugmentConfig, Augmenter, mixup
from edge_ser.training.features import FeatureBank

FRONTEND = FrontendConfig(n_mels=40, n_mfcc=20)
FLOOR_DB = -100.0
N_FRAMES = 60
NOTHING = AugmentConfig(
    speeds=(1.0,),
    stretch=0.0,
    vtlp=0.0,
    gain_db=0.0,
    response_db=0.0,
    noise_share=0.0,
    wrap_share=0.0,
    partial_share=0.0,
    time_mask=0,
    band_mask=0,
    mixup_alpha=0.0,
)


def bank_of(*lengths: int, n_speeds: int = 1, level_db: float | None = None) -> FeatureBank:
    """Return clips of so many frames: random powers, or all at one level."""
    total = sum(lengths) * n_speeds
    frames = 30 * torch.rand(total, 40, generator=torch.Generator().manual_seed(1)) - 60
    if level_db is not None:
        frames = torch.full_like(frames, level_db)
    sizes = torch.tensor(lengths)[:, None].repeat(1, n_speeds)
    starts = (sizes.flatten().cumsum(0) - sizes.flatten()).reshape(sizes.shape)
    return FeatureBank(frames, starts, sizes)


def windows(
    bank: FeatureBank, n: int = 1, seed: int = 0, n_frames: int = N_FRAMES, **changes: object
) -> torch.Tensor:
    """Return n windows of the bank's first clip, augmented by nothing but `changes`."""
    config = dataclasses.replace(NOTHING, **changes)
    augmenter = Augmenter(config, FRONTEND, n_frames, torch.device("cpu"))
    rng = torch.Generator().manual_seed(seed)
    return augmenter.windows(bank, torch.zeros(n, dtype=torch.long), rng)


# --- all together ------------------------------------------------------------------------


@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=5),
    n_frames=st.integers(10, 120),
    seed=st.integers(0, 1000),
)
def test_any_clip_gives_finite_windows_above_the_floor(lengths, n_frames, seed):
    bank = bank_of(*lengths, n_speeds=3)
    augmenter = Augmenter(AugmentConfig(), FRONTEND, n_frames, torch.device("cpu"))
    clips = torch.arange(len(lengths)).repeat(3)

    x = augmenter.windows(bank, clips, torch.Generator().manual_seed(seed))

    assert x.shape == (len(clips), n_frames, 40)
    assert torch.isfinite(x).all()
    assert x.min() >= FLOOR_DB


def test_the_generator_decides():
    bank = bank_of(100, 30, n_speeds=3)
    augmenter = Augmenter(AugmentConfig(), FRONTEND, N_FRAMES, torch.device("cpu"))
    clips = torch.tensor([0, 1, 1, 0])

    def draw(seed: int) -> torch.Tensor:
        return augmenter.windows(bank, clips, torch.Generator().manual_seed(seed))

    torch.manual_seed(1)
    first = draw(3)
    torch.manual_seed(2)
    assert torch.equal(first, draw(3))
    assert not torch.equal(first, draw(4))
    assert not torch.equal(first[1], first[2])


# --- cutting -----------------------------------------------------------------------------


@given(st.integers(N_FRAMES, 300), st.integers(0, 1000))
def test_without_augmentation_a_window_is_a_piece_of_the_clip(length, seed):
    bank = bank_of(length)

    x = windows(bank, seed=seed)[0]

    pieces = bank.frames.unfold(0, N_FRAMES, 1).transpose(1, 2)
    nearest = (pieces - x).abs().amax((1, 2)).min()
    assert nearest < 1e-3


def test_windows_come_from_everywhere_in_the_clip():
    bank = bank_of(200)
    bank.frames[:] = torch.arange(200.0)[:, None] / 10 - 60

    starts = 10 * (windows(bank, n=300)[:, 0, 0] + 60)

    assert starts.min() < 5
    assert starts.max() > 200 - N_FRAMES - 5


def test_clips_do_not_run_into_each_other():
    bank = bank_of(70, 70, 70, n_speeds=2)
    bank.frames[:] = torch.arange(6.0).repeat_interleave(70)[:, None] - 50
    augmenter = Augmenter(
        dataclasses.replace(NOTHING, stretch=0.1), FRONTEND, N_FRAMES, torch.device("cpu")
    )

    x = augmenter.windows(bank, torch.ones(50, dtype=torch.long), torch.Generator().manual_seed(0))

    audible = x[x > FLOOR_DB + 1]
    torch.testing.assert_close(audible, audible.round(), rtol=0, atol=1e-3)
    assert audible.round().unique().tolist() == [-48, -47]  # both speeds of clip 1


@pytest.mark.parametrize("length", [1, 2, 25, N_FRAMES - 1])
def test_a_short_clip_stands_in_silence(length):
    x = windows(bank_of(length, level_db=-30.0), n=40)

    audible = (x > FLOOR_DB).all(2)
    torch.testing.assert_close(x[audible], torch.full_like(x[audible], -30.0), rtol=0, atol=1e-3)
    assert (x[~audible] == FLOOR_DB).all()
    assert ((audible.sum(1) - length).abs() <= 1).all()
    inside = audible.int().diff(dim=1).abs().sum(1)  # silence, clip, silence: at most two changes
    assert (inside <= 2).all()


def test_a_wrapped_clip_fills_the_window():
    x = windows(bank_of(25, level_db=-30.0), n=20, wrap_share=1.0)

    torch.testing.assert_close(x, torch.full_like(x, -30.0), rtol=0, atol=1e-3)


@pytest.mark.parametrize("length", [15, 40, N_FRAMES, 90, 300])
def test_a_partial_clip_fills_the_least_part_of_the_window(length):
    """Utterances that begin or end in the window; a wrapped one would begin again."""
    x = windows(
        bank_of(length, level_db=-30.0),
        n=300,
        partial_share=1.0,
        partial_least=0.4,
        wrap_share=1.0,
    )

    audible = (x > FLOOR_DB).all(2)
    assert (x[~audible] == FLOOR_DB).all()
    assert audible.sum(1).min() >= min(length, 0.4 * N_FRAMES) - 1
    assert (audible.int().diff(dim=1).abs().sum(1) <= 2).all()
    assert not audible[:, 0].all()  # some begin in the window
    assert not audible[:, -1].all()  # some end in it


def test_clips_are_partial_in_the_asked_share():
    """A clip as long as the window is whole in it, unless it is drawn to be partial."""
    x = windows(bank_of(N_FRAMES, level_db=-30.0), n=1000, partial_share=0.3)

    partial = (x == FLOOR_DB).any(2).any(1)
    assert partial.float().mean() == pytest.approx(0.3, abs=0.05)


def test_stretch_changes_how_fast_frames_follow():
    bank = bank_of(400)
    bank.frames[:] = torch.arange(400.0)[:, None] / 10 - 60

    x = windows(bank, n=200, stretch=0.1)[:, :, 0]

    rates = 10 * (x[:, -1] - x[:, 0]) / (N_FRAMES - 1)
    assert 0.899 < rates.min() < 0.92
    assert 1.08 < rates.max() < 1.101


def test_frames_beyond_the_digits_of_float32_are_found():
    """A corpus of two days has more frames than float32 can count."""
    frontend = FrontendConfig(n_mels=2, n_mfcc=1)
    first = 2**24 + 1
    frames = torch.from_numpy(np.zeros((first + 101, 2), np.float32))  # calloc: costs no memory
    frames[first:] = -60 + torch.arange(101.0)[:, None]
    bank = FeatureBank(frames, torch.tensor([[first]]), torch.tensor([[101]]))
    augmenter = Augmenter(NOTHING, frontend, 101, torch.device("cpu"))

    x = augmenter.windows(bank, torch.tensor([0]), torch.Generator().manual_seed(0))

    torch.testing.assert_close(x[0], frames[first:], rtol=0, atol=1e-3)


# --- colour ------------------------------------------------------------------------------


def test_gain_is_one_sum_for_the_whole_window():
    plain, louder = windows(bank_of(N_FRAMES), 50), windows(bank_of(N_FRAMES), 50, gain_db=6.0)

    gains = louder - plain
    torch.testing.assert_close(
        gains, gains[:, :1, :1].expand_as(gains).contiguous(), rtol=0, atol=1e-3
    )
    assert -6 <= gains.min() < -5
    assert 5 < gains.max() <= 6.001


def test_the_response_is_one_smooth_curve_over_bands():
    plain = windows(bank_of(N_FRAMES), 50)
    curves = windows(bank_of(N_FRAMES), 50, response_db=3.0) - plain

    torch.testing.assert_close(
        curves, curves[:, :1].expand_as(curves).contiguous(), rtol=0, atol=1e-3
    )
    assert 3 < curves.abs().max() <= 9.001
    assert curves[:, 0].diff(dim=1).abs().max() < 3 * (1 + 2 + 3) * np.pi / 39


@pytest.mark.parametrize("band", [8, 20, 30])
def test_a_longer_vocal_tract_moves_a_band_down_and_a_shorter_one_up(band):
    """The same relative step in frequency for all, as far as the bands are fine enough."""
    bank = bank_of(N_FRAMES, level_db=-90.0)
    bank.frames[:, band] = -20.0
    centres = mel_edges(FRONTEND)[1:-1]

    power = 10 ** (windows(bank, n=400, vtlp=0.1)[:, 0].double().numpy() / 10)
    audible = (power * centres).sum(1) / power.sum(1) / centres[band]

    width = (centres[band + 1] - centres[band - 1]) / 2 / centres[band]
    assert audible.max() == pytest.approx(1 / 0.9, abs=width)
    assert audible.min() == pytest.approx(1 / 1.1, abs=width)
    assert np.median(audible) == pytest.approx(1, abs=width)


def test_the_same_draw_moves_low_and_high_bands_the_same_way():
    centres = mel_edges(FRONTEND)[1:-1]
    moved = []
    for band in (10, 28):
        bank = bank_of(N_FRAMES, level_db=-90.0)
        bank.frames[:, band] = -20.0
        power = 10 ** (windows(bank, n=100, vtlp=0.1)[:, 0].double().numpy() / 10)
        moved.append((power * centres).sum(1) / power.sum(1) / centres[band])
    assert np.corrcoef(moved)[0, 1] > 0.9


# --- noise and masks ---------------------------------------------------------------------


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 25.0])
@pytest.mark.parametrize("length", [25, N_FRAMES])
def test_noise_has_the_asked_level(snr_db, length):
    bank = bank_of(length)

    def power(x: torch.Tensor) -> torch.Tensor:
        return 10 ** (x.double() / 10)

    plain = power(windows(bank, 200))
    noisy = power(windows(bank, 200, noise_share=1.0, snr_db=(snr_db, snr_db)))

    audible = (plain > 1e-9).any(2)
    speech = (plain.sum(2) * audible).sum(1) / audible.sum(1)
    noise = (noisy - plain).sum(2).mean(1)
    measured = 10 * torch.log10(speech / noise)
    assert measured.mean() == pytest.approx(snr_db, abs=0.5)
    assert measured.std() < 1


def test_noise_comes_in_the_asked_share():
    bank = bank_of(N_FRAMES)

    noisy = windows(bank, 1000, noise_share=0.3)
    changed = ((noisy - windows(bank, 1000)).abs() > 1e-2).any(2).any(1)

    assert changed.float().mean() == pytest.approx(0.3, abs=0.05)


def test_masks_hide_no_more_than_stated():
    bank = bank_of(N_FRAMES)
    plain = windows(bank, 300)

    in_time = (windows(bank, 300, time_mask=12) - plain).abs() > 1e-3
    in_bands = (windows(bank, 300, band_mask=6) - plain).abs() > 1e-3

    frames, bands = in_time.any(2).sum(1), in_bands.any(1).sum(1)
    assert 12 < frames.max() <= 24
    assert 6 < bands.max() <= 12
    assert in_time.any(2)[frames > 0].any(0).float().mean() > 0.9  # everywhere in the window


def test_a_mask_takes_the_windows_mean():
    bank = bank_of(N_FRAMES)
    plain, masked = windows(bank, 50), windows(bank, 50, time_mask=20)

    hidden = (masked - plain).abs().amax(2) > 1e-3
    for x, y, rows in zip(plain, masked, hidden, strict=True):
        torch.testing.assert_close(y[rows], x.mean().expand_as(y[rows]), rtol=0, atol=1e-3)


# --- mixup -------------------------------------------------------------------------------


@given(st.integers(2, 20), st.floats(0.05, 2), st.integers(0, 1000))
def test_mixup_blends_features_and_targets_alike(n, alpha, seed):
    rng = torch.Generator().manual_seed(seed)
    classes = torch.randint(5, (n,), generator=rng)
    targets = torch.nn.functional.one_hot(classes, 5).float()[:, None]
    features = targets.repeat(1, 7, 1)

    mixed, blended = mixup(features, targets, alpha, rng)

    torch.testing.assert_close(blended.sum(2), torch.ones(n, 1))
    torch.testing.assert_close(mixed, blended.repeat(1, 7, 1))
    own = blended[:, 0].gather(1, classes[:, None])
    assert (own >= 0.5 - 1e-6).all()  # the own part is the larger


def test_mixup_of_nothing_returns_the_batch_itself():
    features, targets = torch.randn(3, 4, 5), torch.eye(3)

    mixed, blended = mixup(features, targets, 0.0, torch.Generator())

    assert mixed is features
    assert blended is targets
