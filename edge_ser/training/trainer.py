"""Training loop: seeded, resumable after every epoch, with early stopping on validation speakers.

Training has one or two phases. In the first, the network imitates the teacher on labelled and
unlabelled speech. In the second, it learns the labels, starting from the averaged weights of the first
phase with a new optimizer and a new average.

Without validation speakers, training runs for the configured number of epochs and keeps the last one.

Several processes can train together, each on its shard of every batch; only the main process scores
and writes files. Nothing is printed: each epoch is returned as a record.
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
from edge_ser.training.arousal import arousal_loss
from edge_ser.training.augmentation.augment import Augmenter, MixStyle, Windows, mixup
from edge_ser.training.checkpoint import (
    BEST,
    LAST,
    foreign_checkpoint,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    strip_prefix,
    with_prefix,
)
from edge_ser.training.classes import Classes, masked_cross_entropy
from edge_ser.training.config import RunRecord
from edge_ser.training.distillation.encoder_record import EncoderRecord
from edge_ser.training.distillation.teacher import TeacherFeatures
from edge_ser.training.distributed import SINGLE_PROCESS, ProcessGroup
from edge_ser.training.features import FeatureBank, FeatureHead
from edge_ser.training.model import CompactAttentionCnn
from edge_ser.training.schedule import IMITATION, LABELS, Phase
from edge_ser.training.scoring import ClipWindows, score
from edge_ser.training.voices import Voices

_USUAL = "voices.usual"
"""Name of the tensor `Voices.usual` in a checkpoint."""


@dataclass(frozen=True)
class Epoch:
    """Losses and accuracies of one epoch.

    `uar` and `wa` are those of the validation speakers, in [0, 1]. They and `validation_loss` are None
    without validation speakers.
    """

    epoch: int
    train_loss: float
    validation_loss: float | None
    wa: float | None
    uar: float | None
    learning_rate: float
    best: bool
    phase: str = LABELS
    """`imitation` or `labels`; in the first, the loss is the error against the teacher only."""


class Trainer:
    """One training run; iterate over `epochs` to train.

    Args:
        record: the settings, the network's sizes and the normalisation.
        bank: the training clips: first those with a class, then those without, which are used for
            the imitation of the teacher only.
        classes: classes of the first clips of the bank.
        scored: windows of the clips to score, by part. The best epoch is selected by `validation`;
            it is the last epoch if that part is empty.
        run: the run directory.
        device: device of the network.
        teacher_targets: the teacher's features of the clips of the bank; None without a teacher.
        group: the processes that train together.
        sampling: weights [n_clips of the bank] to draw clips by; None to take each once an epoch.
        voices: speakers of the first clips of the bank, to train with baselines; None without.
    """

    def __init__(
        self,
        record: RunRecord | EncoderRecord,
        bank: FeatureBank,
        classes: Classes,
        scored: Mapping[str, ClipWindows],
        run: Path,
        device: torch.device,
        teacher_targets: TeacherFeatures | None = None,
        group: ProcessGroup = SINGLE_PROCESS,
        sampling: Tensor | None = None,
        voices: Voices | None = None,
    ) -> None:
        self._sampling, self._voices = sampling, voices
        self.record, self.scored, self.group = record, scored, group
        self.run, self.device = run, device
        self.history: list[Epoch] = []
        config = record.config
        self.phases = record.phases
        torch.manual_seed(config.seed)
        self.bank = bank.to(device)
        self.feature_head = FeatureHead(config.frontend).to(device)
        self.model = CompactAttentionCnn(record.model, record.normalization).to(device)
        self.averaged = CompactAttentionCnn(record.model, record.normalization).to(device)
        self.averaged.load_state_dict(self.model.state_dict())
        self.optimizer = self._new_optimizer()
        self.augmenter = Augmenter(config.augment, config.frontend, config.window_frames, device)
        self._teacher_targets = teacher_targets and teacher_targets.to(device)
        if self._teacher_targets:
            self._teacher_mean, self._teacher_std = self._teacher_targets.moments()
        self._classes = classes.to(device)
        self._n_clips = {LABELS: len(classes.targets), IMITATION: len(bank.starts)}

    def epochs(self, on_step: Callable[[int, int], None] = lambda *_: None) -> Iterator[Epoch]:
        """Train, yielding after each epoch, when its checkpoint is safely written.

        Args:
            on_step: called with (step, steps of the epoch) after each step.

        Raises:
            TrainingError: the loss is not finite, or the processes of the group do not agree.
        """
        config = self.record.config
        self.group.require_same(self.model)
        total = sum(phase.epochs for phase in self.phases)
        while len(self.history) < total and self.stale_epochs < config.patience:
            number = len(self.history)
            if number > 0 and self._epoch_of_phase(number) == 0:
                self._begin_phase()
            loss = self._train_epoch(number, on_step)
            self.group.require_same(self.model)
            if self.group.is_main:
                epoch = self._validate(number, loss)
                self.history.append(epoch)
                self._save(epoch.best)
            self.history = self.group.broadcast(self.history)
            yield self.history[-1]

    def _validate(self, number: int, loss: float) -> Epoch:
        """Score the validation speakers; without them, every epoch counts as better than the last."""
        rate = self.optimizer.param_groups[0]["lr"]
        if (phase := self._phase(number)).name != LABELS:
            last = phase == self.phases[-1]
            return Epoch(number, loss, None, None, None, rate, best=last, phase=phase.name)
        if not self.scored["validation"].windows:
            return Epoch(number, loss, None, None, None, rate, best=True)
        scores = self.score(self.scored["validation"])
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
        """Number of epochs of the labels phase since the best one."""
        labelled = [e for e in self.history if e.phase == LABELS]
        best = max((e.epoch for e in labelled if e.best), default=-1)
        return len(self.history) - 1 - best if labelled else 0

    @property
    def best(self) -> Epoch:
        """The best epoch so far, whose weights are saved."""
        return [e for e in self.history if e.best][-1]

    def score(self, clips: ClipWindows) -> Scores:
        """Return the scores of the averaged weights on clips."""
        return score(self.averaged, clips)

    def load_best(self) -> None:
        """Load the weights of the best epoch.

        Raises:
            TrainingError: the checkpoint is missing, damaged, or of another network.
        """
        load_weights(self.averaged, self.run / BEST)

    def start_from(self, encoder: Path) -> None:
        """Load the layers that imitate the teacher from a run of `edge-ser pretrain`.

        Raises:
            TrainingError: the checkpoint is missing, damaged, or of another network.
        """
        tensors, _ = load_checkpoint(encoder / BEST)
        current = self.model.state_dict()
        shared = {
            n: t for n, t in tensors.items() if not n.startswith(("pool.", "head.", "arousal."))
        }
        if any(n not in current or current[n].shape != t.shape for n, t in shared.items()):
            raise TrainingError(
                f"expected an encoder with the channels and strides of this training, got another in "
                f"{encoder}; run edge-ser pretrain with the same --config"
            )
        self.model.load_state_dict({**current, **shared})
        self.averaged.load_state_dict(self.model.state_dict())
        # A training that is interrupted in its first epoch resumes from here too.
        if self.group.is_main:
            self._save(best=False)

    def resume(self) -> None:
        """Continue from the last complete epoch, or from the start if there is none.

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
            if self._voices:
                self._voices.usual = tensors.get(_USUAL)
            self.history = [Epoch(**epoch) for epoch in header["history"]]
        except (RuntimeError, KeyError, TypeError) as error:
            raise foreign_checkpoint(path, error) from None

    def _train_epoch(self, number: int, on_step: Callable[[int, int], None]) -> float:
        config = self.record.config
        # All randomness of an epoch comes from its number, so that a resumed run draws the same.
        torch.manual_seed(1_000_003 * config.seed + number)
        rng = torch.Generator().manual_seed(1_000_003 * config.seed + number)
        phase, n_steps = self._phase(number), self._steps_per_epoch(number)
        order = self._order(phase, rng)
        if not self.group.is_main:
            mixed = np.random.SeedSequence((config.seed, number, self.group.rank))
            seed = int(mixed.generate_state(1)[0])
            torch.manual_seed(seed)
            rng.manual_seed(seed)
        self.model.train()
        total = 0.0
        losses = {IMITATION: self._imitation_loss, LABELS: self._loss}
        first_step = self._epoch_of_phase(number) * n_steps
        for step in range(n_steps):
            clips = order[step * config.batch_size : (step + 1) * config.batch_size]
            done = first_step + step
            for group in self.optimizer.param_groups:
                group["lr"] = phase.learning_rate(done, n_steps)
            loss = losses[phase.name](self.group.shard(clips), rng)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.group.average([*_gradients(self.model), *_running_statistics(self.model)])
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
            self.optimizer.step()
            self._average(done)
            total += float(loss.detach())
            on_step(step + 1, n_steps)
        total = float(self.group.mean(torch.tensor(total, dtype=torch.float64, device=self.device)))
        mean = total / n_steps
        if not math.isfinite(mean):
            raise TrainingError(
                f"the loss of epoch {number + 1} is {mean}; try a smaller --learning-rate"
            )
        return mean

    def _phase(self, number: int) -> Phase:
        """Return the phase that an epoch belongs to."""
        return self.phases[0 if number < self.phases[0].epochs else -1]

    def _epoch_of_phase(self, number: int) -> int:
        """Return the number of an epoch within its phase."""
        return number if number < self.phases[0].epochs else number - self.phases[0].epochs

    def _steps_per_epoch(self, number: int) -> int:
        return max(1, self._n_drawn(self._phase(number)) // self.record.config.batch_size)

    def _order(self, phase: Phase, rng: torch.Generator) -> Tensor:
        """Return the clip indices of an epoch: each once, or drawn by the sampling weights."""
        n = self._n_clips[phase.name]
        if self._sampling is None:
            return torch.randperm(n, generator=rng)
        n_drawn = self._n_drawn(phase)
        if self._voices and phase.name == LABELS:
            return self._voices.order(self._sampling[:n], n_drawn, rng)
        return torch.multinomial(self._sampling[:n], n_drawn, replacement=True, generator=rng)

    def _n_drawn(self, phase: Phase) -> int:
        return self.record.config.epoch_clips or self._n_clips[phase.name]

    def _begin_phase(self) -> None:
        """Start a phase from the averaged weights of the previous one, with a new optimizer."""
        self.model.load_state_dict(self.averaged.state_dict())
        self.optimizer = self._new_optimizer()

    def _new_optimizer(self) -> torch.optim.AdamW:
        config = self.record.config
        return torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def _imitation_loss(self, clips: Tensor, rng: torch.Generator) -> Tensor:
        windows = self._windows(clips, rng)
        embedded = self.model.embed(self.feature_head(windows.log_mels))
        return self._teacher_error(embedded, clips, windows)

    def _windows(self, clips: Tensor, rng: torch.Generator) -> Windows:
        config = self.record.config
        n_frames = None
        if config.shortest_window_s:
            lengths = (config.shortest_frames, config.window_frames + 1)
            n_frames = int(torch.randint(*lengths, (1,), generator=rng))
        return self.augmenter.placed(self.bank, clips, rng, n_frames)

    def _loss(self, clips: Tensor, rng: torch.Generator) -> Tensor:
        config = self.record.config
        windows = self._windows(clips, rng)
        targets = self._classes.one_hot(clips.to(self.device))
        features, targets = mixup(
            self.feature_head(windows.log_mels), targets, config.augment.mixup_alpha, rng
        )
        truth, possible = targets.unbind(1)
        mix = MixStyle(config.mixstyle_share, rng) if config.mixstyle_share else None
        embedded = self.model.embed(features, mix)
        arousal = None
        if config.arousal_weight:
            logits, arousal = self.model.classify_with_arousal(embedded)
        else:
            logits = self.model.classify(embedded)
        if self._voices:
            outputs = logits if arousal is None else torch.cat([logits, arousal], dim=1)
            outputs = self._voices.relative(outputs, clips, config.baseline_share, rng)
            logits = outputs[:, : logits.shape[1]]
            arousal = None if arousal is None else outputs[:, logits.shape[1] :]
        loss, weight = masked_cross_entropy(
            logits, truth, possible, self._classes.weights, config.label_smoothing
        )
        # Divided by the group's mean weight, so that the mean over processes is that of the full batch.
        loss = loss / self.group.mean(weight).clamp_min(1e-6)
        if arousal is not None:
            levels = self._classes.arousal[clips.to(self.device)]
            loss = loss + config.arousal_weight * arousal_loss(arousal, levels)
        if self._teacher_targets is None:
            return loss
        return loss + config.teacher_weight * self._teacher_error(embedded, clips, windows)

    def _teacher_error(self, embedded: Tensor, clips: Tensor, windows: Windows) -> Tensor:
        """Return the mean squared error against the teacher's frames, in units of their deviations."""
        assert self._teacher_targets is not None  # noqa: S101 (for the type checker)
        frontend, stride = self.record.config.frontend, self.model.stride
        centres = windows.positions[:, ::stride] * frontend.hop_length + frontend.n_fft / 2
        output = self._teacher_targets.at(
            clips.to(self.device), windows.variants, centres / frontend.sample_rate
        )
        expected = (output - self._teacher_mean) / self._teacher_std
        audible = windows.audible[:, None, ::stride].float()
        errors = (embedded - expected).square().mean(1, keepdim=True) * audible
        return errors.sum() / self.group.mean(audible.sum()).clamp_min(1)

    @torch.no_grad()
    def _average(self, step: int) -> None:
        # The decay grows with the steps, so that the random initial weights are soon forgotten.
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
        if self._voices and self._voices.usual is not None:
            tensors[_USUAL] = self._voices.usual
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
    """Return the running statistics of batch normalisation, which differ between processes."""
    return [value for name, value in model.named_buffers() if "running_" in name]
