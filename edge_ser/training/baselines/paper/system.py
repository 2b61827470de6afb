"""The paper's network as a `System`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnProgress
from edge_ser.splits.digest import fold_digest
from edge_ser.splits.fold import Fold
from edge_ser.training.baselines.paper.features import FeatureRows, Float32, prepare
from edge_ser.training.baselines.paper.settings import PaperConfig, deviations
from edge_ser.training.baselines.paper.trainer import PaperTrainer
from edge_ser.training.cross_validation.systems import SystemResult, checkpoint_name
from edge_ser.training.model import count_parameters


class PaperSystem:
    """The paper's features, network and optimiser, for a fixed number of epochs.

    Validation clips are not used.

    Args:
        config: the settings.
        checkpoints: a directory for checkpoints, from which an interrupted training continues; None
            for no checkpoints. A checkpoint is removed when its fold is done.
    """

    def __init__(self, config: PaperConfig | None = None, checkpoints: Path | None = None) -> None:
        self.config = config or PaperConfig()
        self._checkpoints = checkpoints
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._features = FeatureRows(self.config.seed)

    @property
    def name(self) -> str:
        """`paper`, or `paper-small` for a smaller network."""
        return "paper" if self.config.is_papers_network else "paper-small"

    @property
    def settings(self) -> Mapping[str, object]:
        """Settings by name."""
        return asdict(self.config)

    def fit_predict(
        self, fold: Fold, labels: tuple[str, ...], progress: OnProgress
    ) -> SystemResult:
        """Train on the fold and predict its test clips; see `System`."""
        started = time.perf_counter()
        rows = prepare(
            fold,
            labels,
            self.config.copies,
            self._features,
            lambda share: progress("features", share),
        )
        # Without the number of epochs: the learning rate is constant, so a longer training can continue
        # a shorter one. Without the rows: their last bits depend on the number of threads.
        settings = {name: value for name, value in self.settings.items() if name != "epochs"}
        identity = {"settings": settings, "labels": labels, "fold": fold_digest(fold)}
        name = checkpoint_name(f"{fold.protocol}-{fold.name}", identity)
        checkpoint = self._checkpoints and self._checkpoints / f"{name}.safetensors"
        trainer = PaperTrainer(
            self.config, rows.train, rows.targets, len(labels), self._device, checkpoint, identity
        )
        features_s = time.perf_counter() - started
        probs = _train(trainer, rows.test, progress)
        return SystemResult(
            probs=probs,
            n_parameters=count_parameters(trainer.network),
            train_s=features_s + sum(epoch.seconds for epoch in trainer.history),
            notes=deviations(self.config, fold),
        )


def _train(trainer: PaperTrainer, test: Float32, progress: OnProgress) -> NDArray[np.float64]:
    """Train or resume, and return the probabilities of the test rows."""
    trainer.resume()
    n_epochs = trainer.config.epochs
    for epoch in trainer.epochs(lambda share: progress("training", share)):
        description = f"epoch {epoch.epoch + 1} of {n_epochs}, loss {epoch.loss:.4f}"
        progress(description, (epoch.epoch + 1) / n_epochs)
    probs = trainer.predict(test)
    if trainer.checkpoint is not None:
        # Weights and moments of 37 million parameters take 450 MB per fold.
        trainer.checkpoint.unlink(missing_ok=True)
    return probs
