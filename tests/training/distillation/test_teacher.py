"""The teacher: output, cache, missing files, and imitation by the network."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys

import numpy as np
import pytest
import torch
from support import skip_or_fail

from edge_ser.audio.io import load
from edge_ser.cli import main
from edge_ser.errors import ConfigError, MissingDependency, TrainingError
from edge_ser.splits import SplitConfig
from edge_ser.training.augmentation.variants import WaveformAugmentation
from edge_ser.training.config import TrainConfig
from edge_ser.training.distillation import teacher
from edge_ser.training.distillation.teacher import (
    WIDTH,
    Teacher,
    TeacherFeatures,
    build_teacher_features,
    whisper_log_mel,
)
from edge_ser.training.export import export
from edge_ser.training.job import finish, plan, start
from edge_ser.training.temperature import Calibration

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def package():
    """Return where the package with the teacher lies; none of its own imports are needed."""
    spec = importlib.util.find_spec("pipecat")
    if spec is None:
        skip_or_fail("pipecat-ai is not installed; run: pip install --no-deps pipecat-ai==1.14.0")
    return teacher._find().parents[1]


@pytest.mark.parametrize("n_samples", [16_000, 47_111, 128_000])
def test_the_spectrum_is_that_of_its_makers(package, n_samples):
    spec = importlib.util.spec_from_file_location("reference", package / "_whisper_features.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    samples = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
    padded = np.pad(samples, (128_000 - n_samples, 0))

    expected = reference.compute_whisper_log_mel_features(padded)

    np.testing.assert_allclose(whisper_log_mel(padded), expected, atol=1e-5)


def test_output_has_a_frame_every_20_ms(package, example_clips):
    samples = load(example_clips[0], 16_000)

    output = Teacher().encode(samples)

    assert output.shape == (len(samples) // 320, WIDTH)
    assert output.dtype == np.float16
    assert np.isfinite(output).all()
    # Neighbours are alike, frames far from each other are not: the order is that of time.
    centred = output.astype(float) - output.mean(0)
    near = (centred[1:] * centred[:-1]).sum() / (centred**2).sum()
    far = (centred[50:] * centred[:-50]).sum() / (centred**2).sum()
    assert near > far + 0.3


def test_long_recordings_are_processed_in_pieces(package):
    samples = np.random.default_rng(1).normal(0, 0.1, 200_000).astype(np.float32)
    encoder = Teacher()

    output = encoder.encode(samples)

    assert len(output) == 625
    np.testing.assert_array_equal(output[:400], encoder.encode(samples[:128_000]))


def test_times_are_found_at_each_speed():
    frames = torch.arange(10, dtype=torch.float16)[:, None].expand(10, WIDTH)
    bank = TeacherFeatures(frames, torch.tensor([[0, 4], [6, 8]]), torch.tensor([[4, 2], [2, 2]]))

    output = bank.at(
        torch.tensor([0, 0, 1]),
        torch.tensor([0, 1, 0]),
        torch.tensor([[-1.0, 0.0, 0.029, 9.0], [0.0, 0.02, 0.04, 0.06], [0.0, 0.01, 0.021, 0.5]]),
    )

    assert output.shape == (3, WIDTH, 4)
    assert output[:, 0].tolist() == [[0, 0, 1, 3], [4, 5, 5, 5], [6, 6, 7, 7]]


VARIANTS = (WaveformAugmentation(), WaveformAugmentation(1.1), WaveformAugmentation(room=1))


def test_output_is_cached_by_content(package, corpus, tmp_path, monkeypatch):
    job = plan([corpus], TrainConfig())
    clips = job.fold.train[:3]
    first = build_teacher_features(clips, VARIANTS, tmp_path)

    monkeypatch.setattr(Teacher, "encode", lambda *_: pytest.fail("the teacher ran again"))
    again = build_teacher_features(clips, VARIANTS, tmp_path)

    assert torch.equal(first.frames, again.frames)
    assert len(list(tmp_path.iterdir())) == 6
    # The target in a room is the output for the clip without it.
    assert torch.equal(again.starts[:, 2], again.starts[:, 0])
    assert torch.equal(again.lengths[:, 2], again.lengths[:, 0])


@pytest.mark.parametrize("damage", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_damaged_cache_files_are_computed_again(loudness_teacher, job, tmp_path, damage):
    first = build_teacher_features(job.fold.train[:1], (WaveformAugmentation(),), tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)

    again = build_teacher_features(job.fold.train[:1], (WaveformAugmentation(),), tmp_path)

    assert torch.equal(first.frames, again.frames)
    assert loudness_teacher == [1, 1]
    assert len(np.load(path)) == len(first.frames)


def test_progress_names_what_is_done(loudness_teacher, corpus, distilled_config, tmp_path):
    seen = []
    job = plan([corpus], distilled_config)

    start(job, tmp_path / "run", CPU, lambda *step: seen.append(step))

    learned, scored = len(job.fold.train), len(job.clips) - len(job.fold.train)
    stages = {"features": learned, "teacher": learned, "clips to score": scored}
    assert seen == [(name, done / n) for name, n in stages.items() for done in range(1, n + 1)]


def test_without_a_teacher_there_is_no_run(corpus, distilled_config, tmp_path, monkeypatch):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"something else")
    monkeypatch.setattr(teacher, "_find", lambda: other)

    with pytest.raises(TrainingError, match=rf"^{other} .*pip install"):
        start(plan([corpus], distilled_config), tmp_path / "run", CPU)

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", ["option", "default"])
def test_the_command_caches_the_output(
    loudness_teacher, corpus, distilled_config, tmp_path, monkeypatch, capsys, place
):
    settings = tmp_path / "taught.json"
    settings.write_text(json.dumps(dataclasses.asdict(distilled_config)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    cache = {"option": tmp_path / "mine", "default": tmp_path / "home" / "edge-ser"}[place]
    options = ("--cache", str(cache)) if place == "option" else ()

    for run in ("first", "second"):
        arguments = ("--config", str(settings), "--epochs", "1", "--device", "cpu", *options)
        out = ("--threads", "1", "--out", str(tmp_path / run))
        monkeypatch.setattr(
            sys, "argv", ["edge-ser", "train", "--corpus", corpus, *arguments, *out]
        )
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 0, capsys.readouterr().err

    kept = list((cache / "teacher").glob("*.npy"))
    assert len(kept) == len(loudness_teacher)  # the second run asked for nothing
    assert len(loudness_teacher) == 2 * len(plan([corpus], distilled_config).fold.train)


def test_the_network_learns_the_same_output(package, corpus, distilled_config, tmp_path):
    split = SplitConfig(test_speakers="s6", validation_speakers="none")
    job = plan([corpus], distilled_config, split=split)
    trainer = start(job, tmp_path / "run", CPU, cache=tmp_path / "cache")
    rng = torch.Generator().manual_seed(0)
    clips = torch.arange(32)

    def error():
        trainer.model.eval()
        windows = trainer.augmenter.placed(trainer.bank, clips, rng.manual_seed(0))
        with torch.no_grad():
            output = trainer.model.embed(trainer.feature_head(windows.log_mels))
            return float(trainer._teacher_error(output, clips, windows))

    before = error()
    list(trainer.epochs())

    assert error() < 0.8 * before
    accuracies, calibration = finish(job, trainer)
    assert calibration == Calibration()  # there is nobody to calibrate on
    assert accuracies[0].uar > 0.5  # chance is 0.25
    card, parity = export(trainer.run, tmp_path / "model.onnx")
    assert card.taught_by == (teacher.TEACHER,)
    assert (card.temperature, card.abstain_below) == (1.0, 0.0)
    assert parity.max_difference < parity.tolerance


def test_mixup_is_refused_with_a_teacher():
    with pytest.raises(ConfigError, match=r"^mixup\w* .* 0 .*\bteacher\b"):
        TrainConfig(teacher_weight=1.0)


def test_a_missing_teacher_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    with pytest.raises(MissingDependency, match=r"--no-deps 'pipecat-ai==1\.14\.0'"):
        Teacher()


def test_another_file_is_not_taken_for_it(tmp_path, monkeypatch):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"something else")
    monkeypatch.setattr(teacher, "_find", lambda: other)

    with pytest.raises(TrainingError, match=rf"^{other} .*pip install"):
        Teacher()
