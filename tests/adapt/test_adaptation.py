"""Folds, choices and the gate, on embeddings whose classes are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from adaptable import site_clips

from edge_ser.adapt.adaptation import STRENGTHS, AdaptConfig, fit_site, n_steps
from edge_ser.adapt.embed import SiteClips
from edge_ser.adapt.fitting import group_clips
from edge_ser.adapt.head import Head
from edge_ser.errors import ConfigError
from edge_ser.scores import Scores

LABELS = ("low", "middle", "high")
FLAT = Head(np.zeros((3, 13)), np.zeros(3))
RIGHT = Head(np.pad(4 * np.eye(3), ((0, 0), (0, 10))), np.zeros(3))


def test_a_head_that_knew_nothing_learns(tmp_path):
    site = site_clips(tmp_path / "a")
    steps: list[int] = []
    fitted = fit_site(FLAT, site, LABELS, 0.5, progress=lambda: steps.append(1))
    later = site_clips(tmp_path / "b", n=200)
    new = Scores(tuple(fitted.head.logits(own) for own in later.embeddings), later.truth)

    assert fitted.refusal == ""
    assert fitted.by == "speaker"
    assert fitted.n_folds == 4
    assert fitted.after.uar > 0.8 > fitted.before.uar
    assert fitted.gain.log_loss == pytest.approx(fitted.after.log_loss - fitted.before.log_loss)
    assert (
        fitted.gain.log_loss_interval[0] < fitted.gain.log_loss < fitted.gain.log_loss_interval[1]
    )
    assert new.predicted.tolist().count(1) == 0 or fitted.head.bias[1] == 0
    assert (new.predicted == new.truth).mean() > 0.8
    assert fitted.prior == {"low": 0.5, "middle": 0.0, "high": 0.5}
    assert len(steps) <= n_steps(len(site.clips))


def test_labels_at_random_are_refused(tmp_path):
    site = site_clips(tmp_path / "a", shift=0.0)
    fitted = fit_site(RIGHT.scaled(100), site, LABELS, 0.5)
    wrong = dataclasses.replace(fitted, gain=dataclasses.replace(fitted.gain, uar=-0.1))

    assert fitted.strength == STRENGTHS[0] or fitted.after.log_loss > 0.6
    assert "UAR" in wrong.refusal
    assert (
        "log loss"
        in dataclasses.replace(fitted, gain=dataclasses.replace(fitted.gain, log_loss=0.0)).refusal
    )


def test_balanced_classes_count_alike(tmp_path):
    site = site_clips(tmp_path / "a", n=60, classes=(0, 0, 0, 0, 2), shift=0.5)
    plain = fit_site(FLAT, site, LABELS, 0.0)
    even = fit_site(FLAT, site, LABELS, 0.0, AdaptConfig(balanced=True))

    assert even.after.recall["high"] > plain.after.recall["high"]


def few(site: SiteClips, n: int) -> SiteClips:
    return SiteClips(site.clips[:n], site.embeddings[:n], site.truth[:n], site.seconds[:n], {})


def test_too_few_clips_are_named(tmp_path):
    site = site_clips(tmp_path / "a")

    with pytest.raises(ConfigError, match=r"got 32 s of 8 clips \(low 4, high 4\)"):
        fit_site(FLAT, few(site, 8), LABELS, 0.0)
    with pytest.raises(ConfigError, match=r"120 s .* 48 s"):
        fit_site(FLAT, few(site, 12), LABELS, 0.0)
    with pytest.raises(ConfigError, match="2 classes"):
        fit_site(FLAT, site_clips(tmp_path / "b", classes=(1,)), LABELS, 0.0)


def test_a_speaker_and_the_same_audio_stay_on_one_side(tmp_path):
    site = site_clips(tmp_path / "a", n=20, speakers=5)
    # The first clips of speakers 0 and 1 hold the same audio: both speakers become one.
    site.clips[2].path.write_bytes(site.clips[0].path.read_bytes())
    everything = np.arange(20)
    by_speaker = group_clips(site.clips, site.truth)
    by_clip = group_clips(site.clips, site.truth, known_speakers=True)

    speakers = np.array([clip.speaker for clip in site.clips])
    for held in by_speaker.folds(everything, 0):
        assert not set(speakers[held]) & set(speakers[~held])
        assert held[0] == held[2]
    assert len(by_speaker.folds(everything, 0)) == 4
    folds = by_clip.folds(everything, 0)
    assert by_clip.by == "clip"
    assert np.sum(folds, axis=0).tolist() == [1] * 20
    assert all(held[0] == held[2] for held in folds)
    assert all(0 < site.truth[held].sum() < 2 * held.sum() for held in folds)


def test_clips_of_unknown_speakers_are_held_out_by_clip(tmp_path):
    site = site_clips(tmp_path / "a", n=10)
    clips = [dataclasses.replace(clip, speaker="site/?") for clip in site.clips]

    assert group_clips(clips, site.truth).by == "clip"


def test_one_recording_cannot_be_divided(tmp_path):
    site = site_clips(tmp_path / "a", n=2)
    site.clips[1].path.write_bytes(site.clips[0].path.read_bytes())

    with pytest.raises(ConfigError):
        group_clips(site.clips, site.truth).folds(np.arange(2), 0)
