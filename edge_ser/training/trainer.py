"""The training loop: seeded, resumable after every epoch, stopped by speakers it does not train on.

Without such speakers it trains for as many epochs as it was told, and the last one is kept.

Several processes may train together, each on its part of every batch; only the first of them scores
and writes. Nothing here prints: each epoch comes back as a record, for the command line to show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edge_ser.errors import TrainingError
from edge_ser.metrics import unweighted_average_recall, weighted_accuracy
from edge_ser.scores import Scores
from edge_ser.training.augment import Augmenter, Windows, mixup
from edge_ser.training.checkpoint import (
    foreign_checkpoint,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    strip_prefix,
    with_prefix,
)
from edge_ser.training.classes import Classes, masked_cross_entropy
from edge_ser.training.distributed import ALONE, Team
from edge_ser.training.features import Cepstrum, FeatureBank
from edge_ser.training.model import CompactAttentionCnn
from edge_ser.training.scoring import HeardClips, score
from edge_ser.training.settings import RunRecord
from edge_ser.training.teacher import TeacherBank

LAST = "last.safetensors"
BEST = "best.safetensors"


@dataclass(frozen=True)
class Epoch:
    """What one epoch brought.

    `uar` and `wa` are of the validation speakers, in [0, 1]; they and `validation_loss` are None where
    there are none.
    """

    epoch: int
    train_loss: float
    validation_loss: float | None
    wa: float | None
    uar: float | None
    learning_rate: float
    best: bool


class Trainer:
    """One training run: iterate over `epochs` until it ends.

    Args:
        record: what was decided before.
        bank: the clips that are learned from.
        classes: of the clips of the bank.
        heard: clips of other speakers by part; by those of `validation` the epoch is chosen. Where
            that part is empty the last epoch is.
        run: the run directory.
        device: where the network lives.
        lessons: what the teacher says of the clips of the bank, where there is one.
        team: the processes that train together.
    """

    def __init__(
        self,
        record: RunRecord,
        bank: FeatureBank,
        classes: Classes,
        heard: Mapping[str, HeardClips],
        run: Path,
        device: torch.device,
        lessons: TeacherBank | None = None,
        team: Team = ALONE,
    ) -> None:
        self.record, self.heard, self.team = record, heard, team
        self.run, self.device = run, device
        self.history: list[Epoch] = []
        config = record.config
        torch.manual_seed(config.seed)
        self.bank = bank.to(device)
        self.cepstrum = Cepstrum(config.frontend).to(device)
        self.model = CompactAttentionCnn(record.model, record.normalization).to(device)
        self.averaged = CompactAttentionCnn(record.model, record.normalization).to(device)
        self.averaged.load_state_dict(self.model.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.augmenter = Augmenter(config.augment, config.frontend, config.window_frames, device)
        self._lessons = lessons and lessons.to(device)
        if self._lessons:
            self._lesson_mean, self._lesson_std = self._lessons.moments()
        self._classes = classes.to(device)
        self._n_clips = len(classes.targets)
        self._steps_per_epoch = max(1, self._n_clips // config.batch_size)

    def epochs(self, on_step: Callable[[int, int], None] = lambda *_: None) -> Iterator[Epoch]:
        """Train, yielding after each epoch, when its checkpoint is safely written.

        Args:
            on_step: called with (step, steps of the epoch) after each step.

        Raises:
            TrainingError: the loss is not finite, or the processes of the team do not agree.
        """
        config = self.record.config
        self.team.require_same(self.model)
        while len(self.history) < config.epochs and self.stale_epochs < config.patience:
            number = len(self.history)
            loss = self._train_epoch(number, on_step)
            self.team.require_same(self.model)
            if self.team.leads:
                epoch = self._judge(number, loss)
                self.history.append(epoch)
                self._save(epoch.best)
            self.history = self.team.share(self.history)
            yield self.history[-1]

    def _judge(self, number: int, loss: float) -> Epoch:
        """Score the validation speakers; an epoch without them is better than the one before."""
        rate = self.optimizer.param_groups[0]["lr"]
        if not self.heard["validation"].windows:
            return Epoch(number, loss, None, None, None, rate, best=True)
        scores = self.score(self.heard["validation"])
        counts = scores.confusion
        uar = unweighted_average_recall(counts)
        best_before = max((e.uar for e in self.history if e.uar is not None), default=-1.0)
        return Epoch(
            epoch=number,
            train_loss=loss,
            validation_loss=scores.loss,
            wa=weighted_accuracy(counts),
            uar=uar,
            learning_rate=rate,
            best=uar > best_before,
        )

    @property
    def stale_epochs(self) -> int:
        """Epochs since the best one."""
        best = max((e.epoch for e in self.history if e.best), default=-1)
        return len(self.history) - 1 - best if self.history else 0

    @property
    def best(self) -> Epoch:
        """The epoch whose weights are kept."""
        return [e for e in self.history if e.best][-1]

    def score(self, clips: HeardClips) -> Scores:
        """Score the averaged weights."""
        return score(self.averaged, clips)

    def load_best(self) -> None:
        """Take the weights of the best epoch.

        Raises:
            TrainingError: no such checkpoint, a damaged one, or one of another network.
        """
        load_weights(self.averaged, self.run / BEST)

    def resume(self) -> None:
        """Continue from the last complete epoch; from the start when there was none.

        Raises:
            TrainingError: a damaged checkpoint, or one of another network.
        """
        path = self.run / LAST
        if not path.exists():
            return
        tensors, header = load_checkpoint(path)
        try:
            self.model.load_state_dict(strip_prefix("model", tensors))
            self.averaged.load_state_dict(strip_prefix("averaged", tensors))
            self._load_optimizer(strip_prefix("optimizer", tensors))
            self.history = [Epoch(**epoch) for epoch in header["history"]]
        except (RuntimeError, KeyError, TypeError) as error:
            raise foreign_checkpoint(path, error) from None

    def _train_epoch(self, number: int, on_step: Callable[[int, int], None]) -> float:
        config = self.record.config
        # All randomness of an epoch comes from its number, so that a resumed run draws the same.
        torch.manual_seed(1_000_003 * config.seed + number)
        rng = torch.Generator().manual_seed(1_000_003 * config.seed + number)
        order = torch.randperm(self._n_clips, generator=rng)
        if not self.team.leads:
            mixed = np.random.SeedSequence((config.seed, number, self.team.rank))
            own = int(mixed.generate_state(1)[0])
            torch.manual_seed(own)
            rng.manual_seed(own)
        self.model.train()
        total = 0.0
        for step in range(self._steps_per_epoch):
            clips = order[step * config.batch_size : (step + 1) * config.batch_size]
            done = number * self._steps_per_epoch + step
            for group in self.optimizer.param_groups:
                group["lr"] = self._learning_rate(done)
            loss = self._loss(self.team.part(clips), rng)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.team.average([*_gradients(self.model), *_running_statistics(self.model)])
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
            self.optimizer.step()
            self._average(done)
            total += float(loss.detach())
            on_step(step + 1, self._steps_per_epoch)
        total = float(self.team.mean(torch.tensor(total, dtype=torch.float64, device=self.device)))
        mean = total / self._steps_per_epoch
        if not math.isfinite(mean):
            raise TrainingError(
                f"the loss of epoch {number + 1} is {mean}; try a smaller --learning-rate"
            )
        return mean

    def _loss(self, clips: Tensor, rng: torch.Generator) -> Tensor:
        config = self.record.config
        windows = self.augmenter.placed(self.bank, clips, rng)
        targets = self._classes.one_hot(clips.to(self.device))
        features, targets = mixup(
            self.cepstrum(windows.log_mels), targets, config.augment.mixup_alpha, rng
        )
        truth, possible = targets.unbind(1)
        embedded = self.model.embed(features)
        loss, weight = masked_cross_entropy(
            self.model.classify(embedded),
            truth,
            possible,
            self._classes.weights,
            config.label_smoothing,
        )
        # By the team's mean weight, the mean of all losses is that of the whole batch.
        loss = loss / self.team.mean(weight)
        if self._lessons is None:
            return loss
        return loss + config.teacher_weight * self._lesson_error(embedded, clips, windows)

    def _lesson_error(self, embedded: Tensor, clips: Tensor, windows: Windows) -> Tensor:
        """Return the mean squared error against the teacher's frames, in its deviations."""
        assert self._lessons is not None  # noqa: S101 (for the type checker)
        frontend, stride = self.record.config.frontend, self.model.stride
        centres = windows.positions[:, ::stride] * frontend.hop_length + frontend.n_fft / 2
        said = self._lessons.at(
            clips.to(self.device), windows.variants, centres / frontend.sample_rate
        )
        wanted = (said - self._lesson_mean) / self._lesson_std
        heard = windows.heard[:, None, ::stride].float()
        errors = (embedded - wanted).square().mean(1, keepdim=True) * heard
        return errors.sum() / self.team.mean(heard.sum()).clamp_min(1)

    def _learning_rate(self, step: int) -> float:
        config = self.record.config
        total = self._steps_per_epoch * config.epochs
        warmup = max(1.0, config.warmup_share * total)
        if step < warmup:
            return config.learning_rate * (step + 1) / warmup
        progress = (step - warmup) / max(1.0, total - warmup)
        return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    @torch.no_grad()
    def _average(self, step: int) -> None:
        # A young average would remember the random start: its decay grows with the steps.
        decay = min(self.record.config.ema_decay, (1 + step) / (10 + step))
        for mean, value in zip(
            self.averaged.state_dict().values(), self.model.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def _save(self, best: bool) -> None:
        header = {"history": [asdict(epoch) for epoch in self.history]}
        if best:
            save_checkpoint(self.run / BEST, self.averaged.state_dict(), header)
        tensors = {
            **with_prefix("model", self.model.state_dict()),
            **with_prefix("averaged", self.averaged.state_dict()),
            **with_prefix("optimizer", self._optimizer_tensors()),
        }
        save_checkpoint(self.run / LAST, tensors, header)

    def _optimizer_tensors(self) -> dict[str, Tensor]:
        state = self.optimizer.state_dict()["state"]
        return {
            f"{index}.{name}": torch.as_tensor(value)
            for index, values in state.items()
            for name, value in values.items()
        }

    def _load_optimizer(self, tensors: dict[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            index, _, name = key.partition(".")
            state.setdefault(int(index), {})[name] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def _gradients(model: torch.nn.Module) -> list[Tensor]:
    return [value.grad for value in model.parameters() if value.grad is not None]


def _running_statistics(model: torch.nn.Module) -> list[Tensor]:
    """Return what batch normalisation remembers: it saw another part of the batch in each process."""
    return [value for name, value in model.named_buffers() if "running_" in name]
