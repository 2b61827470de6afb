"""The compact network as a `System`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from edge_ser._util.callbacks import OnProgress
from edge_ser.corpora import Clip
from edge_ser.splits import Fold, SplitConfig, data_digest, refuse_leaks
from edge_ser.splits.digest import fold_digest
from edge_ser.training.augmentation.sounds import Sounds
from edge_ser.training.config import TrainConfig
from edge_ser.training.cross_validation.systems import SystemResult, checkpoint_name
from edge_ser.training.distillation.encoder_record import encoder_use
from edge_ser.training.job import Job, start
from edge_ser.training.model import count_parameters
from edge_ser.training.run_record import RUN_FILE
from edge_ser.training.scoring import cut_clips


class CompactSystem:
    """The compact network, trained and scored as by `edge-ser train`.

    Args:
        config: the settings.
        runs: a directory for the run of each fold; an interrupted training continues from it.
        cache: a directory for results per clip; see `job.start`.
        sounds: recordings for the scenes of the augmentation.
        encoder: a run of `edge-ser pretrain` that each fold starts from.
        gates: neutral clips, never trained on, that the network of each fold is also run on.
        variant: suffix of the system's name, to distinguish it from other settings.

    Raises:
        ConfigError: the scenes need recordings that are missing, or recordings are given in vain.
    """

    def __init__(
        self,
        config: TrainConfig,
        runs: Path,
        cache: Path | None = None,
        sounds: Sounds | None = None,
        encoder: Path | None = None,
        gates: Mapping[str, tuple[Clip, ...]] | None = None,
        variant: str = "",
    ) -> None:
        self.name = f"compact-{variant}" if variant else "compact"
        self.config = config
        self._runs, self._cache, self._sounds = runs, cache, sounds or Sounds()
        config.augment.scene.require_sounds(self._sounds)
        self._encoder, self._gates = encoder, gates or {}
        self._encoder_use = encoder and encoder_use(encoder)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def settings(self) -> Mapping[str, object]:
        """Settings by name; recordings for scenes are named by their folders."""
        settings = asdict(self.config)
        if self._encoder_use:
            settings["encoder"] = asdict(self._encoder_use)
        if self._sounds.digest:
            settings["sounds"] = {"names": self._sounds.names, "digest": self._sounds.digest}
        return settings

    def fit_predict(
        self, fold: Fold, labels: tuple[str, ...], progress: OnProgress
    ) -> SystemResult:
        """Train on the fold and predict its test clips; see `System`."""
        began = time.perf_counter()
        job = Job(
            config=self.config,
            sounds=self._sounds,
            corpora=(),
            split=SplitConfig(protocol=fold.protocol),
            fold=fold,
            leaks=refuse_leaks(fold),
            labels=labels,
            left_out={},
            digest=data_digest(fold.clips),
        )
        run = self._runs / self._run_name(fold, labels)
        resume = (run / RUN_FILE).is_file()
        trainer = start(
            job, run, self._device, progress, resume, self._cache, encoder=self._encoder
        )
        for epoch in trainer.epochs():
            share = (epoch.epoch + 1) / self.config.total_epochs
            progress(f"epoch {epoch.epoch + 1}, {epoch.phase}, loss {epoch.train_loss:.3f}", share)
        trainer.load_best()
        scores = trainer.score(trainer.scored["test"])
        neutral = labels.index("neutral") if "neutral" in labels else 0
        gates = {
            name: trainer.score(cut_clips(clips, [neutral] * len(clips), self.config))
            for name, clips in self._gates.items()
        }
        return SystemResult(
            probs=scores.probs,
            n_parameters=count_parameters(trainer.model),
            train_s=time.perf_counter() - began,
            scores=scores,
            gates=gates,
            notes=()
            if fold.validation
            else (f"no validation: epoch {self.config.total_epochs} is kept",),
        )

    def _run_name(self, fold: Fold, labels: tuple[str, ...]) -> str:
        identity = [self.settings, labels, fold_digest(fold)]
        return checkpoint_name(f"compact-{fold.protocol}-{fold.name}", identity)
