"""What a profile listens to."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from edge_ser.errors import AudioError, ConfigError
from edge_ser.profiling.sound import level_dbfs, made_sound, recorded_sound, speech_share
from edge_ser.vad.detectors import open_detector


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_made_sound_is_speech_to_a_detector(rate):
    assert speech_share(made_sound(rate, length_s=10), open_detector("silero")) > 0.5


def test_made_sound_is_the_same_each_time_and_never_silent():
    sound = made_sound(16_000)
    assert np.array_equal(sound.samples, made_sound(16_000).samples)
    assert not np.array_equal(sound.samples, made_sound(16_000, seed=1).samples)
    assert sound.samples.dtype == np.float32
    assert np.abs(sound.samples).max() == pytest.approx(0.4)
    blocks = sound.samples[: 16_000 * 19].reshape(-1, 1600)
    assert (20 * np.log10(blocks.std(axis=1)) > -60).all()


def test_noise_is_no_speech():
    sound = made_sound(16_000, length_s=5)
    sound.samples[:] = 1e-3 * np.random.default_rng(0).standard_normal(len(sound.samples))
    assert speech_share(sound, open_detector("silero")) < 0.1
    assert level_dbfs(sound) == pytest.approx(-60, abs=0.5)


def test_recordings_follow_one_another_at_the_rate_of_the_first(tmp_path, example_clips):
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), 8000)
    soundfile.write(tmp_path / "b.wav", np.full(16_000, 0.2), 16_000)
    sound = recorded_sound([tmp_path])
    assert (sound.sample_rate, sound.length_s) == (8000, pytest.approx(2.0, abs=0.01))
    assert sound.name == "2 files, a.wav first"
    one = recorded_sound(example_clips[:1])
    assert one.name == example_clips[0].name
    assert speech_share(one, open_detector("silero")) > 0.3


def test_recordings_that_are_of_no_use(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.full(800, 0.1), 8000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 8000)
    with pytest.raises(ConfigError, match=r"\blength .*\b0\.1\b"):
        recorded_sound([tmp_path / "short.wav"])
    with pytest.raises(ConfigError, match="audio is 'all zeros'"):
        recorded_sound([tmp_path / "silent.wav"])
    with pytest.raises(AudioError):
        recorded_sound([tmp_path / "none.wav"])
    with pytest.raises(ConfigError, match="rate is 100"):
        made_sound(100)
