"""The paper's network as a system: training clips, predictions, and resuming."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import numpy as np
import pytest

from edge_ser.corpora import PaperAugmentation
from edge_ser.errors import TrainingError
from edge_ser.training.baselines.paper.features import training_rows
from edge_ser.training.baselines.paper.settings import PaperConfig, deviations
from edge_ser.training.baselines.paper.system import PaperSystem


def silent(_what, _share):
    return None


# --- what is learned from ----------------------------------------------------------------


def test_honest_folds_train_on_four_copies_of_training_clips(honest_fold):
    rows = training_rows(honest_fold, copies=True)

    assert Counter(row.copy for row in rows) == dict.fromkeys(
        PaperAugmentation, len(honest_fold.train)
    )
    assert {row.path for row in rows} == {clip.path for clip in honest_fold.train}
    assert training_rows(honest_fold, copies=False) == honest_fold.train


@pytest.mark.parametrize("copies", [True, False])
def test_the_papers_rows_are_taken_as_they_are(paper_fold, copies):
    assert training_rows(paper_fold, copies) == paper_fold.train


# --- predictions ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outcomes(small, honest_fold, paper_fold, labels):
    """One system over two folds, and the reported progress."""
    system, reported = PaperSystem(dataclasses.replace(small, epochs=6)), []
    folds = (honest_fold, paper_fold)
    return [
        system.fit_predict(fold, labels, lambda *step: reported.append(step)) for fold in folds
    ], reported


def test_probabilities_are_of_the_test_clips(outcomes, honest_fold, paper_fold):
    for outcome, fold in zip(outcomes[0], (honest_fold, paper_fold), strict=True):
        assert outcome.probs.shape == (len(fold.test), 4)
        assert outcome.probs.dtype == np.float64
        assert np.allclose(outcome.probs.sum(1), 1)
        assert outcome.train_s > 0
        assert outcome.n_parameters > 1000


def test_copies_of_the_test_clips_are_recognised(outcomes, paper_fold, labels):
    truth = [labels.index(clip.emotion) for clip in paper_fold.test]

    assert (outcomes[0][1].probs.argmax(1) == truth).mean() > 0.7  # chance is 0.25


def test_progress_runs_from_the_features_to_the_last_epoch(outcomes):
    reported = outcomes[1]

    assert {what for what, _ in reported if not what.startswith("epoch")} == {
        "features",
        "training",
    }
    assert all(0 < share <= 1 for _, share in reported)
    assert reported[-1][0].startswith("epoch 6 of 6, loss ")
    assert reported[-1][1] == 1


def test_the_notes_name_every_deviation(outcomes, paper_fold, honest_fold, small):
    assert deviations(PaperConfig(), paper_fold) == ()
    assert deviations(PaperConfig(batch_size=32), honest_fold) == ()
    assert [re.findall(r"\d[\d.e-]*", note) for note in outcomes[0][0].notes] == [
        ["8", "256", "2", "1"],
        ["6", "100"],
        ["0.003", "1e-05"],
        ["8", "16", "32"],
    ]
    odd = PaperConfig(bf16=True, copies=False)
    watched = dataclasses.replace(honest_fold, validation=honest_fold.test)
    precision, copies, validation = deviations(odd, watched)
    assert "bfloat16" in precision
    assert "float32" in precision
    assert "copies" in copies
    assert "validation" in validation


def test_its_name_shows_whether_it_is_the_papers_network(small):
    assert PaperSystem().name == "paper"
    assert PaperSystem(small).name == "paper-small"
    assert PaperSystem(small).settings == dataclasses.asdict(small)
    assert PaperConfig() == PaperConfig(256, 1, 100, 1e-5, 16, True, 0, False)  # noqa: FBT003


# --- killed ------------------------------------------------------------------------------


class Killed(Exception):
    """Stands for the end of the process."""


def killed_after(epoch):
    def progress(what, _share):
        if what.startswith(f"epoch {epoch} "):
            raise Killed

    return progress


def test_a_killed_training_ends_with_the_same_probabilities(small, paper_fold, labels, tmp_path):
    whole = PaperSystem(small).fit_predict(paper_fold, labels, silent)
    with pytest.raises(Killed):
        PaperSystem(small, tmp_path).fit_predict(paper_fold, labels, killed_after(2))
    (left,) = tmp_path.iterdir()
    assert re.fullmatch(r"paper-rows-[0-9a-f]{12}\.safetensors", left.name)

    reported = []
    again = PaperSystem(small, tmp_path).fit_predict(
        paper_fold, labels, lambda what, _: reported.append(what)
    )

    assert np.array_equal(again.probs, whole.probs)
    assert [what.split(",")[0] for what in reported if what.startswith("epoch")] == ["epoch 3 of 3"]
    assert list(tmp_path.iterdir()) == []


def test_other_settings_and_other_clips_begin_anew(small, paper_fold, labels, tmp_path):
    fewer = dataclasses.replace(paper_fold, train=paper_fold.train[1:])
    for fold, seed in ((paper_fold, 0), (fewer, 0), (paper_fold, 1)):
        system = PaperSystem(dataclasses.replace(small, seed=seed), tmp_path)
        with pytest.raises(Killed):
            system.fit_predict(fold, labels, killed_after(1))

    assert len(list(tmp_path.iterdir())) == 3


def test_a_foreign_checkpoint_is_refused_by_name(small, paper_fold, labels, tmp_path):
    for seed in (0, 1):
        system = PaperSystem(dataclasses.replace(small, seed=seed), tmp_path / str(seed))
        with pytest.raises(Killed):
            system.fit_predict(paper_fold, labels, killed_after(1))
    (mine,), (foreign,) = ((tmp_path / str(seed)).iterdir() for seed in (1, 0))
    foreign.replace(mine)

    with pytest.raises(TrainingError, match=rf"{mine} .*\bsettings\b"):
        system.fit_predict(paper_fold, labels, silent)


def test_a_training_may_end_earlier_than_it_was_begun_for(small, paper_fold, labels, tmp_path):
    """The rate is constant: two epochs of three are a training of two."""
    two = dataclasses.replace(small, epochs=2)
    whole = PaperSystem(two).fit_predict(paper_fold, labels, silent)
    with pytest.raises(Killed):
        PaperSystem(small, tmp_path).fit_predict(paper_fold, labels, killed_after(2))

    again = PaperSystem(two, tmp_path).fit_predict(paper_fold, labels, silent)

    assert np.array_equal(again.probs, whole.probs)
    with pytest.raises(Killed):
        PaperSystem(small, tmp_path).fit_predict(paper_fold, labels, killed_after(2))
    with pytest.raises(TrainingError, match=r"\b2 epochs, 1 "):
        PaperSystem(dataclasses.replace(small, epochs=1), tmp_path).fit_predict(
            paper_fold, labels, silent
        )
