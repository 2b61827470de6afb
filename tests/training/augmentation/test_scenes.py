"""Scenes: room, noise, microphone and line, drawn for each clip, aligned with the clip in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_ser.corpora import Clip
from edge_ser.errors import ConfigError
from edge_ser.training.augmentation.augment import AugmentConfig
from edge_ser.training.augmentation.scenes import (
    SceneConfig,
    Scenes,
    active_power,
    add_noise,
    convolve,
)
from edge_ser.training.augmentation.sounds import Sounds
from edge_ser.training.augmentation.variants import WaveformAugmentation

RATE = 16_000
CLIP = Clip(Path("a/clip.wav"), "own", "own/ann", "sad", "sad", None, "own/1", None)
NONE = {"room_share": 0.0, "noise_share": 0.0, "microphone_share": 0.0, "line_share": 0.0}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Sounds:
    root = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(1)
    for folder in ("noise", "mics"):
        (root / folder).mkdir()
    soundfile.write(root / "noise" / "hiss.wav", 0.05 * rng.standard_normal(4 * RATE), RATE)
    for name, delay in (("early", 3), ("late", 900)):
        response = np.zeros(2000)
        response[delay : delay + 60] = 0.9 * rng.standard_normal(60) * np.exp(-np.arange(60) / 8)
        response[delay] = 0.95
        soundfile.write(root / "mics" / f"{name}.wav", response, RATE)
    return Sounds.find([root / "noise"], [root / "mics"])


def only(part: str, **changes) -> SceneConfig:
    return SceneConfig(scenes=1, **{**NONE, f"{part}_share": 1.0, **changes})


def scenes_of(config: SceneConfig, sounds: Sounds) -> Scenes:
    used = Sounds(
        sounds.noise if config.noise_share else (),
        sounds.microphones if config.microphone_share else (),
        sounds.digest,
    )
    return Scenes(config, used, RATE)


def clicks() -> np.ndarray:
    """Return short bursts after silence, whose onsets mark their positions."""
    rng = np.random.default_rng(0)
    samples = np.zeros(2 * RATE, np.float32)
    for start in (8_000, 20_000):
        samples[start : start + 2_000] = 0.3 * rng.standard_normal(2_000)
    return samples


def beginning(samples: np.ndarray) -> int:
    """Return the first sample of the first burst: where power first is a twentieth of the most."""
    power = np.convolve(samples.astype(float) ** 2, np.ones(80) / 80, "same")
    return int(np.argmax(power > 0.05 * power[:18_000].max()))


@pytest.mark.parametrize("part", ["room", "noise", "microphone", "line"])
def test_every_part_keeps_length_and_time(sounds, part):
    scenes, samples = scenes_of(only(part), sounds), clicks()

    for seed in range(25):
        result = scenes.apply(samples, np.random.default_rng(seed))

        assert result.dtype == np.float32
        assert result.shape == samples.shape
        assert np.isfinite(result).all()
        if part != "noise":  # at 0 dB it hides the beginning
            assert abs(beginning(result) - beginning(samples)) <= 0.005 * RATE


def test_all_parts_together_are_aligned(sounds):
    config = SceneConfig(
        scenes=1,
        room_share=1.0,
        noise_share=1.0,
        microphone_share=1.0,
        line_share=1.0,
        snr_db=(30.0, 30.0),
        distance_m=(0.3, 1.0),
    )
    scenes, samples = scenes_of(config, sounds), clicks()

    for seed in range(25):
        result = scenes.apply(samples, np.random.default_rng(seed))

        assert abs(beginning(result) - beginning(samples)) <= 0.005 * RATE


@pytest.mark.parametrize("part", ["room", "microphone"])
def test_rooms_and_microphones_keep_the_level(sounds, part):
    scenes, samples = scenes_of(only(part), sounds), clicks()

    for seed in range(10):
        result = scenes.apply(samples, np.random.default_rng(seed))
        assert (result**2).sum() == pytest.approx((samples**2).sum(), rel=1e-3)


def test_noise_has_the_ratio_asked_for(sounds):
    scenes, samples = scenes_of(only("noise", snr_db=(6.0, 6.0)), sounds), clicks()

    added = scenes.apply(samples, np.random.default_rng(0)) - samples

    # The speech is loud in 4,000 of 32,000 samples: its pauses do not count.
    speech = np.mean(samples[8_000:10_000] ** 2)
    assert 10 * np.log10(speech / np.mean(added**2)) == pytest.approx(6, abs=0.7)


def test_ratios_are_drawn_within_their_range(sounds):
    scenes, samples = scenes_of(only("noise", snr_db=(-5.0, 20.0)), sounds), clicks()
    speech = active_power(samples, RATE)
    ratios = []
    for seed in range(60):
        added = scenes.apply(samples, np.random.default_rng(seed)) - samples
        ratios.append(10 * np.log10(speech / np.mean(added**2)))
    assert -5.5 < min(ratios) < 0
    assert 15 < max(ratios) < 20.5


def test_without_any_part_a_clip_stays_as_it_is(sounds):
    samples = clicks()

    result = scenes_of(SceneConfig(scenes=1, **NONE), sounds).apply(
        samples, np.random.default_rng(0)
    )

    np.testing.assert_array_equal(result, samples)


def test_parts_come_as_often_as_their_shares_say(sounds):
    samples = clicks()
    scenes = scenes_of(only("microphone", microphone_share=0.3), sounds)

    changed = sum(
        not np.array_equal(scenes.apply(samples, np.random.default_rng(seed)), samples)
        for seed in range(200)
    )

    assert 40 <= changed <= 80


def test_one_share_does_not_change_what_is_drawn_for_another(sounds):
    samples = clicks()
    alone = scenes_of(only("noise"), sounds).apply(samples, np.random.default_rng(7))
    without = scenes_of(only("noise", microphone_share=1e-12), sounds).apply(
        samples, np.random.default_rng(7)
    )

    np.testing.assert_array_equal(alone, without)


def test_each_scene_of_a_clip_is_another_one_and_stays_the_same(sounds):
    scenes, samples = scenes_of(only("noise"), sounds), clicks()

    def scene(number: int, clip: Clip = CLIP) -> np.ndarray:
        return WaveformAugmentation(scene=number).apply(clip, samples, RATE, scenes)

    np.testing.assert_array_equal(scene(1), scene(1))
    assert np.abs(scene(1) - scene(2)).max() > 0.001
    other = Clip(Path("a/other.wav"), "own", "own/ann", "sad", "sad", None, "own/1", None)
    assert np.abs(scene(1) - scene(1, other)).max() > 0.001


def test_a_scene_without_scenes_is_refused():
    with pytest.raises(ConfigError, match="expected scenes"):
        WaveformAugmentation(scene=1).apply(CLIP, clicks(), RATE)


def test_silence_and_short_clips_pass(sounds):
    config = SceneConfig(
        scenes=1, room_share=1.0, noise_share=1.0, microphone_share=1.0, line_share=1.0
    )
    scenes = scenes_of(config, sounds)
    for n in (1, 100, 5_000):
        for seed in range(8):
            result = scenes.apply(np.zeros(n, np.float32), np.random.default_rng(seed))
            assert result.shape == (n,)
            assert np.isfinite(result).all()


def test_the_variants_of_a_clip():
    config = AugmentConfig(speeds=(1.0, 0.9), rooms=1, scene=SceneConfig(scenes=2))

    assert config.variants == (
        WaveformAugmentation(),
        WaveformAugmentation(0.9),
        WaveformAugmentation(room=1),
        WaveformAugmentation(scene=1),
        WaveformAugmentation(scene=2),
    )


def test_the_number_of_scenes_does_not_change_them(sounds):
    two, four = (scenes_of(SceneConfig(scenes=n), sounds).digest for n in (2, 4))
    other = scenes_of(SceneConfig(scenes=2, line_share=0.4), sounds).digest

    assert two == four != other


@pytest.mark.parametrize(
    "changes",
    [
        {"scenes": -1},
        {"rooms": 0},
        {"room_share": 1.1},
        {"noise_share": -0.1},
        {"microphone_share": float("nan")},
        {"line_share": 2.0},
        {"snr_db": (10.0, 5.0)},
        {"snr_db": (10.0,)},
        {"room_size_m": (0.1, 5.0)},
        {"reverberation_s": (0.2, float("inf"))},
        {"distance_m": (0.0, 1.0)},
        {"lines": ("fax",)},
        {"lines": ()},
    ],
    ids=str,
)
def test_scenes_that_cannot_be(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        SceneConfig(**changes)


@pytest.mark.parametrize(
    ("config", "sounds_given", "option"),
    [
        (SceneConfig(scenes=1), Sounds(microphones=("m",)), "--noise DIR"),
        (SceneConfig(scenes=1), Sounds(noise=("n",)), "--microphones DIR"),
        (SceneConfig(), Sounds(noise=("n",)), "expected no --noise"),
        (SceneConfig(scenes=1, noise_share=0.0), Sounds(("n",), ("m",)), "expected no --noise"),
        (
            SceneConfig(scenes=1, microphone_share=0.0),
            Sounds(("n",), ("m",)),
            "expected no --microphones",
        ),
    ],
)
def test_recordings_that_lack_or_are_given_in_vain(config, sounds_given, option):
    with pytest.raises(ConfigError, match=option):
        config.require_sounds(sounds_given)


def test_recordings_that_fit():
    SceneConfig().require_sounds(Sounds())
    SceneConfig(scenes=1).require_sounds(Sounds(("n",), ("m",)))
    SceneConfig(scenes=1, noise_share=0, microphone_share=0).require_sounds(Sounds())


def test_a_response_that_begins_late_is_moved_back():
    samples, response = clicks(), np.zeros(500, np.float32)
    response[400] = 2.0

    np.testing.assert_allclose(convolve(samples, response, 400), samples, atol=1e-6)


def test_silent_noise_adds_nothing():
    samples = clicks()

    np.testing.assert_array_equal(add_noise(samples, np.zeros_like(samples), 0.0, RATE), samples)
