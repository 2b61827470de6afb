"""Cross-validation: the right folds, each cached at once, and a record that can be trusted."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from edge_ser.errors import ConfigError, LeakError, TrainingError
from edge_ser.evaluation.results import RunResult
from edge_ser.splits import PROTOCOLS, SplitConfig
from edge_ser.training.cross_validation import crossval
from edge_ser.training.cross_validation.crossval import compare, cross_validate
from edge_ser.training.cross_validation.systems import SystemResult

LOSO = SplitConfig("speaker-independent", "leave-one-speaker-out", validation_speakers="none")


class Oracle:
    """Knows the truth of all clips but those of one speaker; counts its trainings."""

    name = "oracle"

    def __init__(self, stop_after: int = 99, **settings: object) -> None:
        self.settings = {"seed": 7, "shape": (1, 2), **settings}
        self.trained: list[str] = []
        self.stop_after = stop_after

    def fit_predict(self, fold, labels, progress):
        if len(self.trained) == self.stop_after:
            raise KeyboardInterrupt
        self.trained.append(fold.name)
        progress("thinking", 1.0)
        probs = np.eye(len(labels))[
            [0 if c.speaker.endswith("s3") else labels.index(c.emotion) for c in fold.test]
        ]
        return SystemResult(probs, n_parameters=len(fold.train), train_s=1.234, notes=("knows",))


@pytest.fixture(scope="module")
def comparison(corpus):
    return compare([corpus], LOSO)


def test_every_fold_is_trained_and_summed_up(comparison, tmp_path):
    steps = []
    run = cross_validate(
        Oracle(), comparison, "how", tmp_path, progress=lambda *step: steps.append(step)
    )

    assert [fold.test_speakers for fold in run.folds] == [(f"synth/s{n}",) for n in range(1, 7)]
    assert [fold.wa for fold in run.folds] == [1, 1, 0.25, 1, 1, 1]
    assert run.mean_wa == pytest.approx(5.25 / 6)
    assert run.mean_uar == pytest.approx(5.25 / 6)  # every speaker has every label equally often
    assert np.trace(run.confusion) == 5 * 16 + 4
    assert (run.n_folds, run.n_parameters, run.seeds) == (6, 80, (0, 7))
    assert run.protocol == "speaker-independent"
    assert run.folding == "leave-one-speaker-out"
    assert run.corpora == ("synth",)
    assert run.settings["shape"] == [1, 2]
    assert run.notes == ("knows",)
    assert run.wa_interval[0] < run.mean_wa <= run.wa_interval[1] == 1
    assert steps[0] == ("synth/s1", "thinking", 1.0)
    assert "synth" not in json.dumps(dataclasses.asdict(run)["versions"])


def test_the_record_contains_no_paths(comparison, corpus_dir, tmp_path):
    run = cross_validate(Oracle(), comparison, "how", tmp_path)

    path = run.save(tmp_path)

    assert str(corpus_dir) not in path.read_text()
    assert RunResult.load(path) == run


def test_an_interrupted_run_goes_on(comparison, tmp_path):
    whole = cross_validate(Oracle(), comparison, "how", tmp_path / "whole")
    stopped, later = Oracle(stop_after=2), Oracle()
    with pytest.raises(KeyboardInterrupt):
        cross_validate(stopped, comparison, "how", tmp_path / "parts")

    run = cross_validate(later, comparison, "how", tmp_path / "parts", resume=True)

    assert stopped.trained + later.trained == [fold.name for fold in comparison.folds]
    assert run == whole


@pytest.mark.parametrize("change", ["settings", "labels", "folds"])
def test_results_of_other_settings_are_not_reused(comparison, tmp_path, change):
    cross_validate(Oracle(), comparison, "how", tmp_path)
    again = Oracle(**({"depth": 3} if change == "settings" else {}))
    if change == "labels":
        comparison = dataclasses.replace(comparison, labels=comparison.labels[::-1])
    if change == "folds":
        fewer = tuple(dataclasses.replace(fold, train=fold.train[1:]) for fold in comparison.folds)
        comparison = dataclasses.replace(comparison, folds=fewer)

    cross_validate(again, comparison, "how", tmp_path, resume=True)

    assert len(again.trained) == 6


def test_without_resume_everything_is_computed_again(comparison, tmp_path):
    cross_validate(Oracle(), comparison, "how", tmp_path)
    again = Oracle()

    cross_validate(again, comparison, "how", tmp_path)

    assert len(again.trained) == 6


def test_damaged_cached_results_are_named(comparison, tmp_path):
    cross_validate(Oracle(), comparison, "how", tmp_path)
    kept = sorted(tmp_path.glob("*.json"))
    kept[0].write_text(kept[0].read_text().replace('"wa": 1.0', '"wa": 0.5', 1)[:-20])

    with pytest.raises(ConfigError, match=kept[0].name):
        cross_validate(Oracle(), comparison, "how", tmp_path, resume=True)


@pytest.mark.parametrize("bad", [np.full((16, 4), np.nan), np.ones((16, 4)), np.ones((16, 1))])
def test_predictions_that_are_not_probabilities_are_refused(comparison, tmp_path, bad):
    class Broken(Oracle):
        def fit_predict(self, *_):
            return SystemResult(bad, 1, 1.0)

    with pytest.raises(TrainingError, match="oracle"):
        cross_validate(Broken(), comparison, "how", tmp_path)
    assert not list(tmp_path.glob("*.json"))


def test_a_commit_in_the_meantime_is_not_claimed(comparison, tmp_path, monkeypatch):
    commits = iter("abcdefgh")
    monkeypatch.setattr(crossval, "revision", lambda: next(commits))

    assert cross_validate(Oracle(), comparison, "how", tmp_path).revision == "a"


def test_a_clip_without_a_prediction_is_an_error(comparison, tmp_path):
    class Deaf(Oracle):
        def fit_predict(self, *arguments):
            outcome = super().fit_predict(*arguments)
            outcome.probs[0] = 0.0
            return outcome

    result = cross_validate(Deaf(), comparison, "how", tmp_path)

    first = result.folds[0]
    assert first.wa == 1 - 1 / first.n_test
    assert np.array(first.confusion)[:, -1].sum() == 1
    assert np.array(result.confusion)[:, -1].sum() == len(result.folds)
    assert RunResult.load(result.save(tmp_path)) == result


def test_single_folds_are_marked_as_a_part(corpus, tmp_path):
    some = compare([corpus], LOSO, ["s5", "synth/s2"])

    run = cross_validate(Oracle(), some, "how", tmp_path)

    assert [fold.name for fold in run.folds] == ["synth/s5", "synth/s2"]
    assert run.n_folds == 6


def test_declared_leaks_are_recorded(corpus, tmp_path):
    run = cross_validate(Oracle(), compare([corpus], SplitConfig("paper")), "how", tmp_path)

    assert {overlap.kind for overlap in run.folds[0].shared} == {"speakers", "copies"}
    assert run.folds[0].declares == PROTOCOLS["paper"].declares


def test_undeclared_leaks_stop_before_any_training(corpus_dir, tmp_path):
    twice = tmp_path / "twice"
    for speaker in ("a", "b", "c"):
        for label in ("happy", "sad"):
            folder = twice / label / speaker
            folder.mkdir(parents=True)
            for take in range(2):
                source = corpus_dir / label / ("s1" if speaker != "c" else "s2") / f"{take}.wav"
                (folder / f"{take}.wav").write_bytes(source.read_bytes())

    with pytest.raises(LeakError, match="same audio"):
        compare([f"folder:twice={twice}"], LOSO)


def test_only_labels_that_all_corpora_have_are_compared(corpus_dir, tmp_path):
    other = tmp_path / "other"
    for label in ("happy", "sad"):
        for speaker in ("t1", "t2", "t3"):
            folder = other / label / speaker
            folder.mkdir(parents=True)
            (folder / "x.wav").write_bytes(f"{label} {speaker}".encode())
    specs = [f"folder:synth={corpus_dir}", f"folder:other={other}"]

    comparison = compare(specs, SplitConfig("cross-corpus", validation_speakers="none"))

    assert comparison.labels == ("happy", "sad")
    assert {clip.emotion for clip in comparison.clips} == {"happy", "sad"}
    (other / "happy").rename(other / "joyous")
    with pytest.raises(ConfigError, match="1 label"):
        compare(specs, SplitConfig("cross-corpus"))
