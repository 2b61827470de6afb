"""The paper's network as one of the systems that are compared on the same folds."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge_ser.corpora import Clip
from edge_ser.protocols.fold import Fold
from edge_ser.protocols.paper import PAPER, paper_rows
from edge_ser.training.model import count_parameters
from edge_ser.training.paper.features import FeatureRows, Float32, Standardizer
from edge_ser.training.paper.settings import PAPER_EPOCHS, PaperConfig
from edge_ser.training.paper.trainer import PaperTrainer
from edge_ser.training.systems import Outcome


class PaperSystem:
    """The paper's features, network and optimiser, for a fixed number of epochs.

    Validation clips are not used: nothing is chosen by them, and they are not learned from.

    Args:
        config: the settings.
        checkpoints: a directory from which a killed training goes on; None to keep nothing. The
            checkpoint goes when the fold is predicted.
    """

    def __init__(self, config: PaperConfig | None = None, checkpoints: Path | None = None) -> None:
        self.config = config or PaperConfig()
        self._checkpoints = checkpoints
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._features = FeatureRows(self.config.seed)

    @property
    def name(self) -> str:
        """`paper`, or `paper-small` where a smaller network stands for it."""
        return "paper" if self.config.is_papers_network else "paper-small"

    @property
    def settings(self) -> Mapping[str, object]:
        """The settings, by name."""
        return asdict(self.config)

    def fit_predict(
        self, fold: Fold, labels: tuple[str, ...], progress: Callable[[str, float], None]
    ) -> Outcome:
        """Train on the fold and predict its test clips; see `System`."""
        started = time.perf_counter()
        train = training_rows(fold, self.config.copies)
        # The notebooks' vectors are as long as the longest one, on whichever side it stands.
        length = self._features.compute(
            (*train, *fold.test), lambda share: progress("features", share)
        )
        rows = self._features.matrix(train, length)
        standardize = Standardizer.fit(rows)
        rows, test = standardize(rows), standardize(self._features.matrix(fold.test, length))
        targets = tuple(labels.index(clip.emotion) for clip in train)
        identity = {
            "settings": self.settings,
            "labels": list(labels),
            "data": _digest(rows, test, targets),
        }
        place = self._checkpoints and self._checkpoints / _file_name(fold, identity)
        trainer = PaperTrainer(
            self.config, rows, targets, len(labels), self._device, place, identity
        )
        features_s = time.perf_counter() - started
        probs = _train(trainer, test, progress)
        return Outcome(
            probs=probs,
            n_parameters=count_parameters(trainer.network),
            train_s=features_s + sum(epoch.seconds for epoch in trainer.history),
            notes=_notes(self.config, fold),
        )


def training_rows(fold: Fold, copies: bool) -> tuple[Clip, ...]:
    """Return what is learned from: each training clip in four copies, or as the fold has them."""
    if fold.protocol == PAPER or not copies:
        return fold.train
    return paper_rows(fold.train)


def _train(
    trainer: PaperTrainer, test: Float32, progress: Callable[[str, float], None]
) -> NDArray[np.float64]:
    """Train, or go on with a killed training; return probabilities of the test rows."""
    trainer.resume()
    n_epochs = trainer.config.epochs
    for epoch in trainer.epochs(lambda share: progress("training", share)):
        what = f"epoch {epoch.epoch + 1} of {n_epochs}, loss {epoch.loss:.4f}"
        progress(what, (epoch.epoch + 1) / n_epochs)
    probs = trainer.predict(test)
    if trainer.checkpoint is not None:
        # Weights and moments of 37 million parameters are 450 MB a fold; the answer is enough.
        trainer.checkpoint.unlink(missing_ok=True)
    return probs


def _notes(config: PaperConfig, fold: Fold) -> tuple[str, ...]:
    """Return every way in which this is not the paper's own recipe."""
    notes = []
    if not config.is_papers_network:
        notes.append(
            f"a smaller network stands for the paper's: {config.channels} channels for 256, "
            f"stride {config.stride} for 1"
        )
    if config.epochs != PAPER_EPOCHS:
        notes.append(f"{config.epochs} epochs for the paper's {PAPER_EPOCHS}")
    if config.learning_rate != PaperConfig.learning_rate:
        rates = f"{config.learning_rate:g} for the paper's {PaperConfig.learning_rate:g}"
        notes.append(f"learning rate {rates}")
    if config.batch_size not in {16, 32}:
        notes.append(f"batches of {config.batch_size} for the paper's 16 or 32")
    if config.bf16:
        notes.append("computed in bfloat16, weights kept in float32")
    if not config.copies and fold.protocol != PAPER:
        notes.append("without the augmented copies of training clips")
    if fold.validation:
        notes.append("the validation clips are not used")
    return tuple(notes)


def _digest(rows: Float32, test: Float32, targets: tuple[int, ...]) -> str:
    digest = hashlib.sha256(json.dumps([rows.shape, test.shape, targets]).encode())
    digest.update(rows.tobytes())
    digest.update(test.tobytes())
    return digest.hexdigest()


def _file_name(fold: Fold, identity: Mapping[str, object]) -> str:
    # With other settings or clips a training begins anew, beside what another one left.
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    name = re.sub(r"[^\w.+-]+", "_", f"{fold.protocol}-{fold.name}")
    return f"{name}-{digest}.safetensors"
