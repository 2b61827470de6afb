"""Features of training equal those of the front end on the device."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import soundfile
import torch

from edge_ser.audio.io import load
from edge_ser.card import FrontendConfig
from edge_ser.corpora import Clip, PaperAugmentation
from edge_ser.errors import AudioError, ConfigError
from edge_ser.frontend import log_mel, mfcc
from edge_ser.training import features
from edge_ser.training.augmentation.scenes import SceneConfig, Scenes
from edge_ser.training.augmentation.sounds import Sounds
from edge_ser.training.augmentation.variants import WaveformAugmentation
from edge_ser.training.features import FeatureHead, build_bank, measure_normalization

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

    bank = build_bank(
        [clip_at(tmp_path / "tone.wav")], frontend, tuple(WaveformAugmentation(s) for s in speeds)
    )

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
def test_feature_head_equals_the_front_end(name, example_clips):
    frontend = FRONTENDS[name]
    samples = load(example_clips[0], frontend.sample_rate)
    log_mels = torch.from_numpy(log_mel(samples, frontend).T.copy())

    features = FeatureHead(frontend)(torch.stack([log_mels, log_mels + 1]))

    assert features.shape == (2, frontend.n_features, len(log_mels))
    expected = mfcc(samples, frontend)
    # The zeroth coefficient sums all bands, to 1000 dB and more: float32 holds seven digits of it.
    tolerance = max(1e-4, 1e-6 * np.abs(expected).max())
    np.testing.assert_allclose(features[0].numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("deltas", [0, 2])
def test_normalization_is_that_of_all_training_frames(job, deltas):
    frontend = dataclasses.replace(job.config.frontend, deltas=deltas)
    bank = build_bank(job.clips[:6], frontend, (WaveformAugmentation(), WaveformAugmentation(0.9)))

    normalization = measure_normalization(bank, FeatureHead(frontend))

    frames = [mfcc(load(clip.path, frontend.sample_rate), frontend) for clip in job.clips[:6]]
    joined = np.concatenate(frames, axis=1).astype(np.float64)
    np.testing.assert_allclose(normalization.mean, joined.mean(1), atol=1e-4)
    np.testing.assert_allclose(normalization.std, joined.std(1), rtol=1e-3, atol=1e-4)


def test_normalization_of_a_constant_feature_stays_above_zero(tmp_path):
    """Digital silence has no spread: dividing by it must not make infinities."""
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    bank = build_bank([clip_at(tmp_path / "silence.wav")], FrontendConfig())

    normalization = measure_normalization(bank, FeatureHead(FrontendConfig()))

    assert min(normalization.std) >= 1e-3


# --- the cache ---------------------------------------------------------------------------

VARIANTS = (
    WaveformAugmentation(),
    WaveformAugmentation(0.9),
    WaveformAugmentation(room=1),
    WaveformAugmentation(scene=1),
    WaveformAugmentation(scene=2),
)


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    """Scenes of rooms and narrow lines, for which no recordings are needed."""
    config = SceneConfig(
        scenes=2, room_share=1.0, noise_share=0.0, microphone_share=0.0, lines=("8k", "mulaw")
    )
    return Scenes(config, Sounds(), 16_000)


def equal(one, other) -> bool:
    names = ("frames", "starts", "lengths")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)


def test_cached_frames_are_identical(job, scenes, tmp_path, monkeypatch):
    clips, frontend = job.clips[:3], job.config.frontend
    plain = build_bank(clips, frontend, VARIANTS, scenes=scenes)
    first = build_bank(clips, frontend, VARIANTS, scenes=scenes, cache=tmp_path)
    monkeypatch.setattr(features, "load_copy", lambda *_: pytest.fail("a clip was decoded again"))

    again = build_bank(clips, frontend, VARIANTS, scenes=scenes, cache=tmp_path)

    assert equal(plain, first)
    assert equal(first, again)
    assert len(list(tmp_path.rglob("*.npy"))) == 3 * len(VARIANTS)
    # Scenes do not shorten a clip.
    assert torch.equal(again.lengths[:, 0], again.lengths[:, 3])
    assert not torch.equal(again.clip(0), again.clip(0, 3))


def test_only_what_is_new_is_computed(job, scenes, tmp_path, monkeypatch):
    clips, frontend = job.clips[:2], job.config.frontend
    build_bank(clips, frontend, VARIANTS[:4], scenes=scenes, cache=tmp_path)
    computed = []
    apply = WaveformAugmentation.apply
    monkeypatch.setattr(
        WaveformAugmentation, "apply", lambda *given: computed.append(given[0]) or apply(*given)
    )

    build_bank(clips, frontend, VARIANTS, scenes=scenes, cache=tmp_path)

    assert computed == [WaveformAugmentation(scene=2)] * 2


@pytest.mark.parametrize("change", ["front end", "scenes", "content", "channel", "copy", "name"])
def test_whatever_changes_the_frames_is_computed_again(scenes, tmp_path, change):
    rng = np.random.default_rng(0)
    path = tmp_path / "clip.wav"
    soundfile.write(path, 0.1 * rng.normal(size=(8_000, 2)), 16_000)
    clip, frontend, variants = clip_at(path, 0), FrontendConfig(), (WaveformAugmentation(scene=1),)
    cache = tmp_path / "cache"
    before = build_bank([clip], frontend, variants, scenes=scenes, cache=cache)

    if change == "front end":
        frontend = FrontendConfig(fmin=50.0)
    elif change == "scenes":
        config = dataclasses.replace(scenes.config, room_share=0.0, line_share=1.0)
        scenes = Scenes(config, Sounds(), 16_000)
    elif change == "content":
        soundfile.write(path, 0.1 * rng.normal(size=(8_000, 2)), 16_000)
    elif change == "channel":
        clip = clip_at(path, 1)
    elif change == "copy":
        clip = dataclasses.replace(clip, copy=PaperAugmentation.NOISE)
    else:
        clip = clip_at(path.rename(tmp_path / "other.wav"), 0)
    after = build_bank([clip], frontend, variants, scenes=scenes, cache=cache)

    assert not torch.equal(before.frames, after.frames)
    assert equal(after, build_bank([clip], frontend, variants, scenes=scenes))
    assert len(list(cache.rglob("*.npy"))) == 2


def test_a_clip_at_its_own_speed_is_found_whatever_it_is_called(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).normal(size=8_000), 16_000)
    cache = tmp_path / "cache"
    build_bank([clip_at(path)], FrontendConfig(), cache=cache)
    renamed = dataclasses.replace(clip_at(path.rename(tmp_path / "b.wav")), emotion="happy")

    build_bank([renamed], FrontendConfig(), cache=cache)

    assert len(list(cache.rglob("*.npy"))) == 1


@pytest.mark.parametrize("damage", [b"", b"no array", b"\x93NUMPY\x01\x00", "other"])
def test_damaged_cache_files_are_computed_again(job, tmp_path, damage):
    clips, frontend = job.clips[:1], job.config.frontend
    first = build_bank(clips, frontend, cache=tmp_path)
    (path,) = tmp_path.rglob("*.npy")
    if damage == "other":
        np.save(path, np.zeros((3, 3)))
    else:
        path.write_bytes(damage)

    assert equal(build_bank(clips, frontend, cache=tmp_path), first)
    np.testing.assert_array_equal(np.load(path), first.frames.numpy())


def test_a_cache_that_cannot_be_written_is_named(job, tmp_path):
    (tmp_path / "cache").touch()

    with pytest.raises(ConfigError, match="cache"):
        build_bank(job.clips[:1], job.config.frontend, cache=tmp_path / "cache")
