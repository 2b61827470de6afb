"""What the network learns from is what the front end gives on the device."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import soundfile
import torch

from edge_ser.audio import load
from edge_ser.card import FrontendConfig
from edge_ser.corpora import Clip
from edge_ser.errors import AudioError
from edge_ser.frontend import log_mel, mfcc
from edge_ser.training.features import Cepstrum, build_bank, measure_normalization
from edge_ser.training.variants import Variant

FRONTENDS = {
    "default": FrontendConfig(),
    "deltas": FrontendConfig(n_mfcc=20, deltas=1),
    "both deltas": FrontendConfig(n_mels=40, n_mfcc=13, deltas=2),
    "paper": FrontendConfig.paper(),
    "other tables": FrontendConfig(
        mel_scale="htk", dct_norm="none", window="hamming", preemphasis=0.97, center=True, deltas=2
    ),
}


def clip_at(path, channel=None) -> Clip:
    return Clip(path, "own", "own/ann", "sad", "sad", None, str(path), channel)


def test_the_bank_holds_each_clips_log_mel_spectrum(job, bank):
    assert len(bank.starts) == len(job.fold.train) == 64
    assert bank.frames.dtype == torch.float32
    for index, clip in enumerate(job.fold.train):
        samples = load(clip.path, job.config.frontend.sample_rate)
        expected = log_mel(samples, job.config.frontend).T
        np.testing.assert_array_equal(bank.clip(index).numpy(), expected)


def test_a_speed_changes_length_and_pitch(tmp_path):
    frontend = FrontendConfig()
    t = np.arange(2 * frontend.sample_rate) / frontend.sample_rate
    soundfile.write(tmp_path / "tone.wav", 0.3 * np.sin(2 * np.pi * 1000 * t), 16_000)
    speeds = (1.0, 0.8, 1.25)

    bank = build_bank([clip_at(tmp_path / "tone.wav")], frontend, tuple(Variant(s) for s in speeds))

    for place, speed in enumerate(speeds):
        assert abs(int(bank.lengths[0, place]) - frontend.n_frames(round(len(t) / speed))) <= 1
    loudest = [int(bank.clip(0, place).mean(0).argmax()) for place in range(3)]
    assert loudest[1] < loudest[0] < loudest[2]


def test_the_bank_takes_the_clips_channel(tmp_path):
    rng = np.random.default_rng(0)
    stereo = 0.1 * rng.normal(size=(16_000, 2))
    soundfile.write(tmp_path / "stereo.wav", stereo, 16_000, subtype="FLOAT")

    bank = build_bank([clip_at(tmp_path / "stereo.wav", channel=1)], FrontendConfig())

    expected = log_mel(stereo[:, 1].astype(np.float32), FrontendConfig()).T
    np.testing.assert_array_equal(bank.clip(0).numpy(), expected)


def test_each_clip_is_reported_when_done(job):
    done = []
    build_bank(job.clips[:3], job.config.frontend, progress=lambda: done.append(1))
    assert len(done) == 3


def test_a_clip_too_short_for_one_frame_is_named(tmp_path):
    path = tmp_path / "click.wav"
    soundfile.write(path, np.zeros(100), 16_000)

    with pytest.raises(AudioError, match=r"click\.wav"):
        build_bank([clip_at(path)], FrontendConfig())


@pytest.mark.parametrize("name", FRONTENDS)
def test_cepstrum_equals_the_front_end(name, example_clips):
    frontend = FRONTENDS[name]
    samples = load(example_clips[0], frontend.sample_rate)
    log_mels = torch.from_numpy(log_mel(samples, frontend).T.copy())

    features = Cepstrum(frontend)(torch.stack([log_mels, log_mels + 1]))

    assert features.shape == (2, frontend.n_features, len(log_mels))
    expected = mfcc(samples, frontend)
    # The zeroth coefficient sums all bands, to 1000 dB and more: float32 holds seven digits of it.
    tolerance = max(1e-4, 1e-6 * np.abs(expected).max())
    np.testing.assert_allclose(features[0].numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("deltas", [0, 2])
def test_normalization_is_that_of_all_training_frames(job, deltas):
    frontend = dataclasses.replace(job.config.frontend, deltas=deltas)
    bank = build_bank(job.clips[:6], frontend, (Variant(), Variant(0.9)))

    normalization = measure_normalization(bank, Cepstrum(frontend))

    frames = [mfcc(load(clip.path, frontend.sample_rate), frontend) for clip in job.clips[:6]]
    joined = np.concatenate(frames, axis=1).astype(np.float64)
    np.testing.assert_allclose(normalization.mean, joined.mean(1), atol=1e-4)
    np.testing.assert_allclose(normalization.std, joined.std(1), rtol=1e-3, atol=1e-4)


def test_normalization_of_a_constant_feature_stays_above_zero(tmp_path):
    """Digital silence has no spread: dividing by it must not make infinities."""
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    bank = build_bank([clip_at(tmp_path / "silence.wav")], FrontendConfig())

    normalization = measure_normalization(bank, Cepstrum(FrontendConfig()))

    assert min(normalization.std) >= 1e-3
