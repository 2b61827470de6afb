"""Training in two phases: imitation without labels, then the labels; resuming changes nothing."""

from __future__ import annotations

import dataclasses
import shutil
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file

from edge_ser.errors import ConfigError, LeakError, TrainingError
from edge_ser.splits import SplitConfig
from edge_ser.training.checkpoint import BEST, LAST
from edge_ser.training.distillation.encoder_record import EncoderRecord, encoder_use
from edge_ser.training.distillation.pretrain import (
    plan_pretraining,
    replan_pretraining,
    start_pretraining,
)
from edge_ser.training.job import finish, plan, start
from edge_ser.training.schedule import IMITATION, LABELS, Phase

CPU = torch.device("cpu")
SPLIT = SplitConfig(test_speakers="s6", validation_speakers="s3")


@pytest.fixture(scope="module")
def two_phases(distilled_config):
    return dataclasses.replace(distilled_config, imitation_epochs=2, epochs=2, learning_rate=1e-3)


@pytest.fixture(scope="module")
def other_speech(tmp_path_factory, corpus_dir):
    """Speech of speaker s1 and s2 alone, without labels."""
    folder = tmp_path_factory.mktemp("other")
    for path in sorted(corpus_dir.glob("*/s[12]/*.wav")):
        shutil.copy(path, folder / f"{path.parts[-3]}-{path.parts[-2]}-{path.name}")
    return folder


def test_rates_rise_and_fall_within_a_phase():
    phase = Phase(LABELS, epochs=10, peak_rate=0.01, warmup_share=0.1)
    rates = [phase.learning_rate(step, 8) for step in range(80)]

    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.01)
    assert peak == pytest.approx(8, abs=1)
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 0.0005


def test_the_first_phase_trains_the_encoder_alone(loudness_teacher, corpus, two_phases, tmp_path):
    trainer = start(plan([corpus], two_phases, split=SPLIT), tmp_path / "run", CPU)
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}

    history = list(islice(trainer.epochs(), 2))

    assert [epoch.phase for epoch in history] == [IMITATION, IMITATION]
    assert history[1].train_loss < history[0].train_loss
    assert all(epoch.uar is None and not epoch.best for epoch in history)
    for name, value in trainer.model.named_parameters():
        is_classifier = name.startswith(("pool.", "head."))
        assert torch.equal(value, before[name]) == is_classifier, name


def test_the_second_phase_begins_with_the_average_and_a_fresh_optimizer(
    loudness_teacher, corpus, two_phases, tmp_path, monkeypatch
):
    trainer = start(plan([corpus], two_phases, split=SPLIT), tmp_path / "run", CPU)
    list(islice(trainer.epochs(), 2))
    averaged = {name: value.clone() for name, value in trainer.averaged.state_dict().items()}
    assert trainer.optimizer.state_dict()["state"]

    trainer._begin_phase()

    assert not trainer.optimizer.state_dict()["state"]
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, averaged[name]), name


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_stop_in_any_phase_changes_nothing(loudness_teacher, corpus, two_phases, tmp_path, stop):
    job = plan([corpus], two_phases, split=SPLIT)
    whole = start(job, tmp_path / "whole", CPU)
    list(whole.epochs())

    list(islice(start(job, tmp_path / "parts", CPU).epochs(), stop))
    torch.manual_seed(99)
    parts = start(job, tmp_path / "parts", CPU, resume=True)
    list(parts.epochs())

    assert parts.history == whole.history
    for file in (LAST, BEST):
        one, other = load_file(tmp_path / "parts" / file), load_file(tmp_path / "whole" / file)
        assert one.keys() == other.keys()
        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_stop_changes_nothing_for_voices(corpus, config, tmp_path):
    """The usual outputs for neutral speech go on too."""
    changed = dataclasses.replace(config, epochs=3, baseline_share=0.8, arousal_weight=0.5)
    job = plan([corpus], changed, split=SPLIT)
    whole = start(job, tmp_path / "whole", CPU)
    list(whole.epochs())

    list(islice(start(job, tmp_path / "parts", CPU).epochs(), 1))
    parts = start(job, tmp_path / "parts", CPU, resume=True)
    list(parts.epochs())

    assert parts.history == whole.history
    one, other = (load_file(tmp_path / run / LAST) for run in ("parts", "whole"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_patience_counts_epochs_with_labels_only(
    loudness_teacher, corpus, two_phases, tmp_path, monkeypatch
):
    config = dataclasses.replace(two_phases, imitation_epochs=3, epochs=4, patience=1)
    monkeypatch.setattr("edge_ser.training.trainer.unweighted_average_recall", lambda _: 0.5)
    trainer = start(plan([corpus], config, split=SPLIT), tmp_path / "run", CPU)

    list(trainer.epochs())

    assert [epoch.phase for epoch in trainer.history] == [IMITATION] * 3 + [LABELS] * 2
    assert trainer.best.epoch == 3


def test_unlabelled_speech_lengthens_the_first_phase_alone(
    loudness_teacher, corpus, two_phases, other_speech, tmp_path
):
    split = SplitConfig(test_speakers="s6,s5", validation_speakers="s4,s3")
    config = dataclasses.replace(two_phases, batch_size=16)
    job = plan([corpus, f"unlabelled:other={other_speech}"], config, split=split)
    trainer, steps = start(job, tmp_path / "run", CPU), []

    epochs = trainer.epochs(lambda _done, of: steps.append(of))
    list(epochs)

    assert len(job.unlabelled) == 32
    assert len(job.fold.train) == 32
    assert steps == [4] * 4 * 2 + [2] * 2 * 2  # two epochs of 64 clips, then two of 32


def test_speech_to_be_scored_is_refused_as_unlabelled(corpus, corpus_dir, two_phases):
    with pytest.raises(LeakError, match=rf"^{corpus_dir}/.* unlabelled:"):
        plan([corpus, f"unlabelled:all={corpus_dir}"], two_phases, split=SPLIT)


def test_imitation_needs_a_teacher(config):
    with pytest.raises(ConfigError, match="teacher"):
        dataclasses.replace(config, imitation_epochs=3)


# --- a pretrained encoder ---------------------------------------------------------------------


@pytest.fixture
def encoder(loudness_teacher, two_phases, other_speech, tmp_path):
    job = plan_pretraining([f"unlabelled:other={other_speech}"], two_phases)
    run = tmp_path / "encoder"
    list(start_pretraining(job, run, CPU).epochs())
    return run


def test_a_training_starts_from_an_encoder(encoder, corpus, two_phases, tmp_path):
    split = SplitConfig(test_speakers="s6", validation_speakers="s5")
    trainer = start(plan([corpus], two_phases, split=split), tmp_path / "run", CPU, encoder=encoder)
    learned = load_file(encoder / BEST)

    for name, value in trainer.model.state_dict().items():
        same = value.shape == learned[name].shape and torch.equal(value, learned[name])
        assert same or name.startswith(("pool.", "head.")), name
    assert trainer.record.encoder == encoder_use(encoder)
    assert trainer.record.normalization == EncoderRecord.load(encoder).normalization
    list(trainer.epochs())
    accuracies, _ = finish(plan([corpus], two_phases, split=split), trainer)
    assert {a.split for a in accuracies} == {"validation", "test"}


def test_a_training_that_was_killed_in_its_first_epoch_starts_from_the_encoder_too(
    encoder, corpus, two_phases, tmp_path
):
    job = plan(
        [corpus], two_phases, split=SplitConfig(test_speakers="s6", validation_speakers="s5")
    )
    whole = start(job, tmp_path / "whole", CPU, encoder=encoder)
    list(whole.epochs())

    start(job, tmp_path / "parts", CPU, encoder=encoder)
    parts = start(job, tmp_path / "parts", CPU, resume=True)
    list(parts.epochs())

    assert parts.history == whole.history


def test_an_encoder_that_knows_the_test_clips_is_refused(encoder, corpus, two_phases, tmp_path):
    job = plan([corpus], two_phases, split=SplitConfig(test_speakers="s1"))
    with pytest.raises(LeakError, match="pretrained"):
        start(job, tmp_path / "run", CPU, encoder=encoder)


def test_an_encoder_of_another_size_is_refused(encoder, corpus, two_phases, tmp_path):
    config = dataclasses.replace(two_phases, channels=(32, 32, 32, 32))
    split = SplitConfig(test_speakers="s6", validation_speakers="s5")
    with pytest.raises(TrainingError, match="channels"):
        start(plan([corpus], config, split=split), tmp_path / "run", CPU, encoder=encoder)


def test_a_run_is_no_encoder(trained, corpus, two_phases, tmp_path):
    with pytest.raises(TrainingError, match="pretrain"):
        start(plan([corpus], two_phases, split=SPLIT), tmp_path / "run", CPU, encoder=trained)


def test_pretraining_goes_on_after_a_stop(
    loudness_teacher, two_phases, other_speech, encoder, tmp_path
):
    run = tmp_path / "parts"
    job = plan_pretraining([f"unlabelled:other={other_speech}"], two_phases)
    next(start_pretraining(job, run, CPU).epochs())

    resumed = start_pretraining(replan_pretraining(run), run, CPU, resume=True)
    list(resumed.epochs())

    one, other = load_file(run / BEST), load_file(encoder / BEST)
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_pretraining_on_other_speech_is_not_resumed(
    loudness_teacher, two_phases, other_speech, encoder
):
    (other_speech / "more.wav").write_bytes(
        (next(other_speech.glob("*.wav"))).read_bytes() + b"more"
    )
    try:
        with pytest.raises(TrainingError, match="restore them"):
            start_pretraining(replan_pretraining(encoder), encoder, CPU, resume=True)
    finally:
        (other_speech / "more.wav").unlink()
