"""The baselines compared with scikit-learn, on functionals computed by openSMILE."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import opensmile
import pytest
import soundfile
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from support import EXAMPLES, clips_of

from edge_ser.corpora import PaperAugmentation, load_corpus
from edge_ser.errors import AudioError, ConfigError, TrainingError
from edge_ser.metrics import confusion, unweighted_average_recall
from edge_ser.splits.fold import Fold
from edge_ser.training.baselines import FeatureSet, Functionals, FunctionalsSvm, Majority, SvmConfig
from edge_ser.training.baselines.svm import _decide

LABELS = ("neutral", "happy", "sad", "angry")


def silent(*_):
    """Take progress."""


def by_speaker(clips, test, validation=()) -> Fold:
    return Fold(
        "speaker-independent",
        "one",
        tuple(c for c in clips if c.speaker not in {*test, *validation}),
        tuple(c for c in clips if c.speaker in validation),
        tuple(c for c in clips if c.speaker in test),
    )


@pytest.fixture(scope="module")
def clips(corpus):
    """Two takes of every label by four speakers."""
    wanted = {"synth/s1", "synth/s2", "synth/s3", "synth/s4"}
    return [c for c in load_corpus(corpus) if c.speaker in wanted and c.path.stem in {"0", "1"}]


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


# --- majority -----------------------------------------------------------------------------


def test_majority_predicts_the_largest_class_of_the_training_clips():
    clips = clips_of("X", "a", n=3) + clips_of("X", "b", n=2, emotions=("happy",))
    test = tuple(clips_of("X", "c", n=5, emotions=("angry",)))
    fold = Fold("speaker-independent", "c", tuple(clips[:3]), tuple(clips[3:]), test)

    outcome = Majority().fit_predict(fold, ("sad", "happy", "angry"), silent)

    assert outcome.probs.tolist() == [[0, 1, 0]] * 5  # sad 2, happy 1 + 2; angry is the test's
    assert outcome.n_parameters == 0


def test_validation_clips_that_are_tested_too_are_not_learned_from():
    train = tuple(clips_of("X", "a", n=1, emotions=("sad",)))
    test = tuple(clips_of("X", "b", n=4, emotions=("happy",)))
    fold = Fold("paper", "rows", train, test, test)

    assert Majority().fit_predict(fold, ("happy", "sad"), silent).probs[:, 1].all()


# --- functionals --------------------------------------------------------------------------


@pytest.mark.parametrize(("feature_set", "n"), [("eGeMAPSv02", 88), ("ComParE_2016", 6373)])
def test_functionals_are_those_that_opensmile_gives_for_the_file(feature_set, n, tmp_path):
    (clip,) = clips_of("X", "a", n=1)
    path = EXAMPLES / "1013_ITH_ANG_XX.wav"
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet[feature_set],
        feature_level=opensmile.FeatureLevel.Functionals,
    )

    ours = Functionals(FeatureSet(feature_set), tmp_path).matrix(
        [dataclasses.replace(clip, path=path)]
    )

    assert ours.shape == (1, n)
    np.testing.assert_allclose(ours, smile.process_file(str(path)).to_numpy(), rtol=1e-6)


def test_functionals_are_computed_once_for_the_same_audio(clips, tmp_path, monkeypatch):
    first = Functionals(FeatureSet.EGEMAPS, tmp_path).matrix(clips[:3])
    again = Functionals(FeatureSet.EGEMAPS, tmp_path)
    monkeypatch.setattr(again, "_compute", lambda *_: pytest.fail("computed again"))

    np.testing.assert_array_equal(again.matrix(clips[:3]), first)
    assert len(list(tmp_path.rglob("*.npy"))) == 3
    assert again.version in str(next(tmp_path.rglob("*.npy")))


def test_other_audio_under_the_same_name_is_computed_anew(clips, tmp_path):
    clip = dataclasses.replace(clips[0], path=tmp_path / "clip.wav")
    values = []
    for source in clips[:2]:
        clip.path.write_bytes(source.path.read_bytes())
        values.append(Functionals(FeatureSet.EGEMAPS, tmp_path / "cache").matrix([clip]))

    assert not np.array_equal(*values)


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"not numbers at all"])
def test_a_damaged_cache_is_computed_again(clips, tmp_path, damage):
    first = Functionals(FeatureSet.EGEMAPS, tmp_path).matrix(clips[:1])
    (kept,) = tmp_path.rglob("*.npy")
    whole = kept.read_bytes()
    kept.write_bytes(damage)

    np.testing.assert_array_equal(
        Functionals(FeatureSet.EGEMAPS, tmp_path).matrix(clips[:1]), first
    )
    assert kept.read_bytes() == whole


def test_an_augmented_copy_has_functionals_of_its_own(clips, cache):
    noisy = dataclasses.replace(clips[0], copy=PaperAugmentation.NOISE)

    rows = Functionals(FeatureSet.EGEMAPS, cache).matrix([clips[0], noisy])

    assert not np.array_equal(rows[0], rows[1])


def test_the_channel_of_a_clip_is_read(clips, tmp_path):
    one, other = (soundfile.read(c.path)[0][:8000] for c in clips[:2])
    soundfile.write(tmp_path / "two.wav", np.stack([one, other], axis=1), 16_000)
    soundfile.write(tmp_path / "one.wav", other, 16_000)
    both = [
        dataclasses.replace(clips[0], path=tmp_path / "two.wav", channel=1),
        dataclasses.replace(clips[0], path=tmp_path / "one.wav"),
    ]

    rows = Functionals(FeatureSet.EGEMAPS, tmp_path).matrix(both)

    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-3, atol=1e-3)


def test_a_clip_that_is_too_short_is_named(clips, tmp_path):
    soundfile.write(tmp_path / "short.wav", np.full(50, 0.1), 16_000)
    clip = dataclasses.replace(clips[0], path=tmp_path / "short.wav")

    with pytest.raises(AudioError, match=r"short\.wav.*not numbers"):
        Functionals(FeatureSet.COMPARE, tmp_path).matrix([clip])


# --- SVM ----------------------------------------------------------------------------------


@pytest.fixture
def numbers():
    """Features [120, 30] of which few separate three classes, targets, and 8 groups."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 120)
    features = rng.normal(size=(120, 30)) * 10 ** rng.uniform(-3, 3, 30)
    features[:, 4] += 0.8 * targets * features[:, 4].std()
    features[:, 9] -= 0.8 * (targets == 1) * features[:, 9].std()
    return features, targets, rng.integers(0, 8, 120)


def reference(cost):
    return make_pipeline(StandardScaler(), SVC(C=cost, kernel="linear", class_weight="balanced"))


def test_decisions_are_those_of_scikit_learns_pipeline(numbers):
    features, targets, _ = numbers
    costs = (1e-3, 1e-1, 10.0)

    ours = _decide(features[:80], targets[:80], features[80:], costs)

    for cost, row in zip(costs, ours, strict=True):
        theirs = reference(cost).fit(features[:80], targets[:80]).predict(features[80:])
        np.testing.assert_array_equal(row, theirs)


def test_c_is_the_best_over_inner_folds_of_speakers(numbers, cache):
    features, targets, groups = numbers
    config = SvmConfig(costs=(1e-5, 1e-3, 1e-1, 10.0), inner_folds=4)
    system = FunctionalsSvm("svm", FeatureSet.EGEMAPS, cache, config)

    chosen = system._choose(features, targets, groups, silent)

    recall = []
    for cost in config.costs:
        predicted = np.empty_like(targets)
        for train, test in GroupKFold(4).split(features, targets, groups):
            assert not set(groups[train]) & set(groups[test])
            machine = reference(cost).fit(features[train], targets[train])
            predicted[test] = machine.predict(features[test])
        recall.append(unweighted_average_recall(confusion(targets, predicted, 3)))
    assert len(set(recall)) > 1
    assert chosen == config.costs[int(np.argmax(recall))]


def test_an_svm_recognises_emotions_of_new_speakers(clips, cache):
    fold = by_speaker(clips, {"synth/s4"}, {"synth/s3"})
    steps = []

    system = FunctionalsSvm("svm-egemaps", FeatureSet.EGEMAPS, cache)
    outcome = system.fit_predict(fold, LABELS, lambda doing, share: steps.append((doing, share)))

    truth = [LABELS.index(clip.emotion) for clip in fold.test]
    assert np.mean(outcome.probs.argmax(1) == truth) >= 0.75
    assert set(outcome.probs.ravel()) == {0.0, 1.0}
    assert outcome.n_parameters == 6 * 89  # pairs of four classes, 88 weights and an offset each
    assert "training speakers" in outcome.notes[0]
    assert {doing.split(" ")[0] for doing, _ in steps} == {"functionals", "choosing", "training"}
    assert all(0 <= share <= 1 for _, share in steps)


def test_one_training_speaker_chooses_by_clips(clips, cache):
    fold = by_speaker([c for c in clips if c.speaker in {"synth/s1", "synth/s2"}], {"synth/s1"})

    outcome = FunctionalsSvm("svm", FeatureSet.EGEMAPS, cache).fit_predict(fold, LABELS, silent)

    assert "training clips" in outcome.notes[0]


def test_the_test_clips_change_nothing_in_training(clips, cache):
    """Neither the scaler nor the choice of C may have seen them."""
    fold = by_speaker(clips, {"synth/s4"})
    system = FunctionalsSvm("svm", FeatureSet.EGEMAPS, cache)
    whole = system.fit_predict(fold, LABELS, silent)

    fewer = dataclasses.replace(fold, test=fold.test[:2])
    part = system.fit_predict(fewer, LABELS, silent)

    np.testing.assert_array_equal(part.probs, whole.probs[:2])
    assert part.notes == whole.notes


def test_one_emotion_is_not_enough(clips, cache):
    sad = [clip for clip in clips if clip.emotion == "sad"]

    with pytest.raises(TrainingError, match="1 emotion"):
        FunctionalsSvm("svm", FeatureSet.EGEMAPS, cache).fit_predict(
            by_speaker(sad, {"synth/s4"}), LABELS, silent
        )


@pytest.mark.parametrize("wrong", [{"costs": ()}, {"costs": (1.0, 0.1)}, {"costs": (0.0, 1.0)}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match="costs"):
        SvmConfig(**wrong)
    with pytest.raises(ConfigError, match="inner_folds"):
        SvmConfig(inner_folds=1)


def test_settings_contain_everything_that_determines_the_result(cache):
    system = FunctionalsSvm("svm-compare", FeatureSet.COMPARE, cache, SvmConfig(costs=(0.5,)))

    assert system.name == "svm-compare"
    assert system.settings["features"] == "ComParE_2016"
    assert system.settings["costs"] == (0.5,)
    assert system.settings["sample_rate"] == 16_000


def test_baselines_work_without_torch():
    code = (
        "import sys\nsys.modules['torch'] = None\n"
        "from edge_ser.training.baselines import FeatureSet, Functionals, FunctionalsSvm\n"
        "from edge_ser.training.cross_validation import crossval, registry\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
