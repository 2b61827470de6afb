"""Baselines of voices: means of other clips of the speaker, augmented as the window is."""

from __future__ import annotations

import dataclasses

import torch
from support import clips_of

from edge_ser.corpora import UNKNOWN_SPEAKER
from edge_ser.training.augment import AugmentConfig, Augmenter
from edge_ser.training.features import FeatureBank
from edge_ser.training.voice_baseline import BaselineBank, speech_mean


def bank_of(n_clips: int, n_mels: int = 64, n_frames: int = 50) -> FeatureBank:
    """Return clips whose frames are all equal to their number, in dB."""
    frames = torch.arange(n_clips).float().repeat_interleave(n_frames)[:, None].expand(-1, n_mels)
    starts = torch.arange(0, n_clips * n_frames, n_frames)[:, None]
    return FeatureBank(frames.contiguous(), starts, torch.full((n_clips, 1), n_frames))


def test_a_baseline_is_of_other_clips_of_the_speaker():
    clips = clips_of("own", "ann", "bob", n=3)
    baselines = BaselineBank.of(bank_of(6), clips)
    rng = torch.Generator().manual_seed(0)

    for _ in range(20):
        values, has = baselines.draw(torch.tensor([0, 4]), 1.0, rng)
        assert has.all()
        assert 1 <= float(values[0].mean()) <= 2  # clips 1 and 2 of ann, never 0
        assert 3 <= float(values[1].mean()) <= 5


def test_the_share_is_kept():
    baselines = BaselineBank.of(bank_of(4), clips_of("own", "ann", n=4))
    _, has = baselines.draw(
        torch.zeros(2000, dtype=torch.long), 0.3, torch.Generator().manual_seed(1)
    )

    assert 0.25 < float(has.float().mean()) < 0.35


def test_unknown_speakers_and_single_clips_have_none():
    unknown = [
        dataclasses.replace(clip, speaker=f"own/{UNKNOWN_SPEAKER}")
        for clip in clips_of("own", "x", n=3)
    ]
    clips = unknown + clips_of("own", "alone", n=1)
    _, has = BaselineBank.of(bank_of(4), clips).draw(
        torch.arange(4), 1.0, torch.Generator().manual_seed(0)
    )

    assert not has.any()


def test_pauses_are_not_speech():
    frames = torch.cat([torch.full((10, 4), -20.0), torch.full((30, 4), -90.0)])
    torch.testing.assert_close(speech_mean(frames), torch.full((4,), -20.0))


def test_a_baseline_gets_the_gain_and_microphone_of_its_window(config):
    settings = AugmentConfig(
        speeds=(1.0,), stretch=0, vtlp=0.1, gain_db=20, response_db=5, noise_share=0, time_mask=0,
        band_mask=0, mixup_alpha=0, wrap_share=1.0,
    )  # fmt: skip
    frontend = dataclasses.replace(config.frontend, n_mels=64)
    augmenter = Augmenter(settings, frontend, 40, torch.device("cpu"))
    bank = bank_of(3)
    baselines = torch.stack([bank.clip(i)[:1] for i in range(3)])  # of the very clip

    windows = augmenter.placed(
        bank, torch.arange(3), torch.Generator().manual_seed(2), baselines=baselines
    )

    torch.testing.assert_close(windows.baseline, windows.log_mels[:, 0])
