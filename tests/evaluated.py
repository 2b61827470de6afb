"""Labelled clips that a small model has partly been trained on, and what it says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import make_card, write_tiny_model

from edge_ser.card import Accuracy, CorpusUse, ModelCard
from edge_ser.corpora import Clip, load_corpora
from edge_ser.evaluation.evaluate import evaluate
from edge_ser.evaluation.noise import open_noise
from edge_ser.evaluation.report import Evaluation
from edge_ser.evaluation.selection import select
from edge_ser.recognition.recognizer import Recognizer

RATE = 16_000
LABELS = ("low", "middle", "high")


@pytest.fixture(scope="session")
def site_dir(tmp_path_factory) -> Path:
    """LABEL/SPEAKER/CLIP.wav: four labels, one of them foreign, and four speakers of two clips."""
    root = tmp_path_factory.mktemp("site")
    rng = np.random.default_rng(0)
    for label, height in (("low", 200), ("middle", 800), ("high", 3000), ("odd", 500)):
        for speaker in range(1, 5):
            folder = root / label / f"s{speaker}"
            folder.mkdir(parents=True)
            for take in range(2):
                t = np.arange(int(RATE * rng.uniform(0.6, 1.6))) / RATE
                tone = np.sin(2 * np.pi * height * (1 + 0.1 * speaker) * t)
                noise = rng.normal(size=len(t)) * 0.05 * speaker
                soundfile.write(folder / f"{take}.wav", 0.2 * (tone + noise), RATE)
    soundfile.write(root / "low" / "s3" / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(root / "high" / "s4" / "short.wav", np.full(RATE // 10, 0.1), RATE)
    return root


@pytest.fixture(scope="session")
def site(site_dir) -> tuple[Clip, ...]:
    return load_corpora([f"folder:site={site_dir}"])


@pytest.fixture(scope="session")
def card() -> ModelCard:
    """Trained on speaker s1, its epoch chosen by s2."""
    return make_card(
        corpora=(CorpusUse("site", 6, ("site/s1",), "own", ""),),
        accuracy=(
            Accuracy("speaker-independent", "validation", "site", ("site/s2",), 6, 0.5, 0.5),
        ),
        abstain_below=0.35,
    )


@pytest.fixture(scope="session")
def model(card, tmp_path_factory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "site.onnx", card)


@pytest.fixture(scope="session")
def evaluation(model, site, card) -> Evaluation:
    """Unheard speakers, without noise and at 20 and 0 dB."""
    return evaluate(
        Recognizer(model),
        select(site, card),
        model_file=model,
        noise=open_noise("pink", RATE, seed=0),
        snr_db=(0, 20),
        n_draws=200,
    )


@pytest.fixture(scope="session")
def heard_evaluation(model, site, card) -> Evaluation:
    """With speakers heard in training."""
    selection = select(site, card, include_trained=True)
    return evaluate(Recognizer(model), selection, model_file=model, n_draws=200)
