"""The compact network among the systems: the same figures as `edge-ser train`, and resumable."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import soundfile

from edge_ser.errors import ConfigError
from edge_ser.splits import SplitConfig
from edge_ser.training.augmentation.scenes import SceneConfig
from edge_ser.training.augmentation.sounds import Sounds
from edge_ser.training.cross_validation.compact_system import CompactSystem
from edge_ser.training.job import plan


def silent(what, share):
    assert what
    assert 0 <= share <= 1


@pytest.fixture(scope="module")
def fold_and_labels(corpus, config):
    job = plan([corpus], config, split=SplitConfig(test_speakers="s6", validation_speakers="none"))
    return job.fold, job.labels


def test_it_learns_and_repeats_itself(fold_and_labels, config, tmp_path):
    fold, labels = fold_and_labels
    first = CompactSystem(config, tmp_path / "a").fit_predict(fold, labels, silent)
    second = CompactSystem(config, tmp_path / "b").fit_predict(fold, labels, silent)

    assert first.probs.shape == (len(fold.test), len(labels))
    np.testing.assert_allclose(first.probs.sum(1), 1)
    np.testing.assert_array_equal(first.probs, second.probs)
    truth = [labels.index(clip.emotion) for clip in fold.test]
    assert np.mean(first.probs.argmax(1) == truth) > 0.5  # chance is 0.25
    assert first.notes == (f"no validation: epoch {config.epochs} is kept",)
    assert first.n_parameters > 100_000


def test_a_killed_training_goes_on_to_the_same_result(fold_and_labels, config, tmp_path):
    fold, labels = fold_and_labels
    whole = CompactSystem(config, tmp_path / "whole").fit_predict(fold, labels, silent)

    class KilledError(Exception):
        pass

    def kill(what, share):
        if what.startswith("epoch 3"):
            raise KilledError

    system = CompactSystem(config, tmp_path / "killed")
    with pytest.raises(KilledError):
        system.fit_predict(fold, labels, kill)
    resumed = system.fit_predict(fold, labels, silent)

    np.testing.assert_array_equal(resumed.probs, whole.probs)


def test_other_settings_begin_anew(fold_and_labels, config, tmp_path):
    fold, labels = fold_and_labels
    short = dataclasses.replace(config, epochs=1)
    CompactSystem(short, tmp_path).fit_predict(fold, labels, silent)
    CompactSystem(dataclasses.replace(short, seed=1), tmp_path).fit_predict(fold, labels, silent)

    assert len(list(tmp_path.iterdir())) == 2


def test_recordings_for_scenes_are_among_its_settings(config, tmp_path):
    (tmp_path / "street").mkdir()
    soundfile.write(tmp_path / "street" / "a.wav", np.full(16_000, 0.1), 16_000)
    sounds = Sounds.find([tmp_path / "street"])
    scene = SceneConfig(scenes=1, microphone_share=0.0)
    scenic = dataclasses.replace(config, augment=dataclasses.replace(config.augment, scene=scene))

    system = CompactSystem(scenic, tmp_path / "runs", sounds=sounds)

    assert system.settings["sounds"] == {"names": ("street",), "digest": sounds.digest}
    assert str(tmp_path) not in str(system.settings)
    assert "sounds" not in CompactSystem(config, tmp_path / "runs").settings
    with pytest.raises(ConfigError, match="--noise DIR"):
        CompactSystem(scenic, tmp_path / "runs")
