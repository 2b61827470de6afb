"""A small synthetic corpus, a run trained on it in seconds, and its exported models."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import skip_or_fail

HERE = Path(__file__).parent
HAS_TORCH = importlib.util.find_spec("torch") is not None
RATE = 16_000
LABELS = ("neutral", "happy", "sad", "angry")


class NeedsTorch(pytest.Module):
    """A test module that cannot be imported without torch."""

    def collect(self):
        skip_or_fail("torch is not installed; run: pip install 'edge-ser[train]'")


def pytest_pycollect_makemodule(module_path, parent):
    if HAS_TORCH:
        return None
    return NeedsTorch.from_parent(parent, path=module_path)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent == HERE:
            item.add_marker("torch")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Two threads for networks this small only wait for each other."""
    if HAS_TORCH:
        import torch

        torch.set_num_threads(1)


def voice(label: str, pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return harmonics of `pitch` Hz whose tilt, trembling and noise depend on the label."""
    t = np.arange(round(seconds * RATE)) / RATE
    tilt = {"neutral": 1.0, "happy": 0.4, "sad": 2.0, "angry": 0.8}[label]
    tone = sum(k**-tilt * np.sin(2 * np.pi * k * pitch * t) for k in range(1, 3000 // int(pitch)))
    if label == "happy":
        tone *= 1 + 0.8 * np.sin(2 * np.pi * 6 * t)
    noise = rng.normal(size=len(t)) * (1.0 if label == "angry" else 0.02)
    mixed = tone / np.abs(tone).max() + noise
    return (rng.uniform(0.1, 0.5) * mixed / np.abs(mixed).max()).astype(np.float32)


@pytest.fixture(scope="session")
def make_voice() -> Callable[..., np.ndarray]:
    return voice


@pytest.fixture(scope="session")
def corpus_dir(tmp_path_factory) -> Path:
    """Clips of 0.7 to 1.5 s in label/speaker/clip.wav: 4 labels, 6 speakers, 4 clips of each."""
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for label in LABELS:
        for speaker in range(6):
            folder = root / label / f"s{speaker + 1}"
            folder.mkdir(parents=True)
            for take in range(4):
                pitch = (100 + 25 * speaker) * rng.uniform(0.97, 1.03)
                samples = voice(label, pitch, rng.uniform(0.7, 1.5), rng)
                soundfile.write(folder / f"{take}.wav", samples, RATE)
    return root


@pytest.fixture(scope="session")
def corpus(corpus_dir) -> str:
    return f"folder:synth={corpus_dir}"


@pytest.fixture(scope="session")
def config():
    """Settings with which the corpus is learned within six epochs."""
    from edge_ser.card import FrontendConfig
    from edge_ser.training.augmentation.augment import AugmentConfig
    from edge_ser.training.config import TrainConfig

    return TrainConfig(
        epochs=6,
        batch_size=8,
        learning_rate=3e-3,
        ema_decay=0.9,
        window_s=1.0,
        frontend=FrontendConfig(n_mels=40, n_mfcc=20),
        augment=AugmentConfig(speeds=(1.0, 0.9)),
    )


@pytest.fixture(scope="session")
def job(corpus, config):
    from edge_ser.splits import SplitConfig
    from edge_ser.training.job import plan

    split = SplitConfig(test_speakers="s6", validation_speakers="s3")
    return plan([corpus], config, split=split)


@pytest.fixture(scope="session")
def bank(job):
    from edge_ser.training.features import build_bank

    return build_bank(job.fold.train, job.config.frontend, job.config.augment.variants)


@pytest.fixture(scope="session")
def validation(job):
    return job.cut_clips(job.fold.validation)


@pytest.fixture(scope="session")
def _trained(job, tmp_path_factory):
    import torch

    from edge_ser.training.job import finish, start

    trainer = start(job, tmp_path_factory.mktemp("runs") / "first", torch.device("cpu"))
    for _ in trainer.epochs():
        pass
    finish(job, trainer)
    return trainer


@pytest.fixture(scope="session")
def trainer(_trained):
    """The trainer of a run that ended, with the weights of its best epoch; not to be changed."""
    return _trained


@pytest.fixture(scope="session")
def trained(_trained) -> Path:
    """The directory of that run; not to be changed."""
    return _trained.run


@pytest.fixture
def run_copy(trained, tmp_path) -> Path:
    """A copy of that run, to be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


@pytest.fixture
def make_trainer(trainer, job, bank, validation):
    """Make a fresh trainer of a small network on the session's features."""
    import torch

    from edge_ser.training.classes import Classes
    from edge_ser.training.model import ModelConfig
    from edge_ser.training.trainer import Trainer

    small = ModelConfig(
        n_features=20, n_classes=4, channels=(16, 16, 24), strides=(1, 2, 2), attention_channels=8
    )

    def make(run: Path, **changes: object) -> Trainer:
        settings = dataclasses.replace(job.config, **changes)
        record = dataclasses.replace(trainer.record, config=settings, model=small)
        record.save(run)
        classes = Classes.of(job.targets(job.fold.train), job.possible(job.fold.train))
        return Trainer(record, bank, classes, {"validation": validation}, run, torch.device("cpu"))

    return make


@pytest.fixture
def loudness_teacher(monkeypatch) -> list:
    """Replace the teacher by one that returns the loudness; return a list with an entry per clip."""
    from edge_ser.training.distillation import teacher

    calls = []

    class LoudnessTeacher:
        def encode(self, samples):
            calls.append(1)
            frames = samples[: len(samples) // 320 * 320].reshape(-1, 320)
            loudness = np.abs(frames).max(1, keepdims=True)
            return np.repeat(loudness, teacher.WIDTH, 1).astype(np.float16)

    monkeypatch.setattr(teacher, "Teacher", LoudnessTeacher)
    return calls


@pytest.fixture(scope="session")
def distilled_config(config):
    """The settings of `config` with a teacher."""
    from edge_ser.training.augmentation.augment import AugmentConfig

    return dataclasses.replace(
        config,
        teacher_weight=20.0,
        strides=(2, 1, 1, 1),
        augment=AugmentConfig(speeds=(1.0, 1.1), mixup_alpha=0.0, time_mask=0, band_mask=0),
    )


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory) -> dict:
    """Path, card and parity of the trained run's models, by kind of input."""
    from edge_ser.training.export import export

    folder = tmp_path_factory.mktemp("models")
    result = {}
    for kind in ("features", "waveform"):
        path = folder / f"{kind}.onnx"
        result[kind] = (path, *export(trained, path, waveform=kind == "waveform", gate_clips=8))
    return result


@pytest.fixture(scope="session")
def edge_ser():
    """Run the command line in a process of its own."""

    def run(*arguments: object, code: int = 0, **options: object) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "edge_ser", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
            env={**os.environ, "COLUMNS": "200"},
            **options,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run
