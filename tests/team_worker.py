"""Run by torchrun: what a process of a group receives and computes, as JSON in a file of its own.

Also holds a trainer without anything that is drawn, so that several processes must do what one does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from edge_ser.errors import TrainingError
from edge_ser.training.augmentation.augment import Windows
from edge_ser.training.classes import Classes
from edge_ser.training.config import RunRecord
from edge_ser.training.distillation.teacher import WIDTH, TeacherFeatures
from edge_ser.training.distributed import SINGLE_PROCESS, ProcessGroup, find_process_group
from edge_ser.training.features import FeatureBank
from edge_ser.training.scoring import ClipWindows
from edge_ser.training.trainer import Trainer

N_CLIPS, N_FRAMES = 24, 30
CPU = torch.device("cpu")


def plain_trainer(run: Path, group: ProcessGroup = SINGLE_PROCESS) -> Trainer:
    """Return a trainer with a teacher of random frames, some classes rare, some clips mostly silent.

    Batch normalisation and dropout are off, and the steps are those of plain gradient descent.
    """
    record = RunRecord.load(run)
    rng = torch.Generator().manual_seed(0)
    n_mels = record.config.frontend.n_mels
    frames = torch.randn(N_CLIPS * N_FRAMES, n_mels, generator=rng)
    starts = torch.arange(N_CLIPS)[:, None] * N_FRAMES
    bank = FeatureBank(frames, starts, torch.full_like(starts, N_FRAMES))
    output = torch.randn(N_CLIPS * N_FRAMES, WIDTH, generator=rng).half()
    teacher_targets = TeacherFeatures(output, starts, torch.full_like(starts, N_FRAMES))
    classes = Classes.of([0] * 13 + [1] * 6 + [2] * 4 + [3], [(True,) * 4] * N_CLIPS)
    nothing = {"validation": ClipWindows((), ())}
    trainer = Trainer(record, bank, classes, nothing, run, CPU, teacher_targets, group)
    trainer.model.eval()
    trainer.model.train = lambda: trainer.model  # type: ignore[method-assign]
    trainer.optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0.1)

    def placed(
        bank: FeatureBank, clips: torch.Tensor, _rng: torch.Generator, _n: int | None = None
    ) -> Windows:
        positions = torch.arange(N_FRAMES).float().expand(len(clips), -1)
        frames = bank.frames.view(N_CLIPS, N_FRAMES, -1)[clips]
        audible = positions < 1 + 7 * clips[:, None] % N_FRAMES
        return Windows(frames, torch.zeros_like(clips), positions, audible)

    trainer.augmenter.placed = placed  # type: ignore[method-assign]
    return trainer


def _try_out(group: ProcessGroup) -> dict[str, object]:
    pair = [torch.tensor([1.0, 2.0]) * group.rank, torch.tensor([[4.0 * group.rank]])]
    group.average(pair)
    model = torch.nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.bias.fill_(1.0)
    group.require_same(model)
    with torch.no_grad():
        model.bias += group.rank * 1e-7
    output = ""
    try:
        group.require_same(model)
    except TrainingError as error:
        output = str(error)
    return {
        "shard": group.shard(torch.arange(5)).tolist(),
        "mean": float(group.mean(torch.tensor(1.0 + group.rank))),
        "average": [tensor.tolist() for tensor in pair],
        "broadcast": group.broadcast({"from": group.rank}),
        "different": output,
    }


def _draws(run: Path, group: ProcessGroup) -> dict[str, object]:
    """Train an epoch, and return its clips and the first number drawn for each step."""
    trainer, clips, numbers = plain_trainer(run, group), [], []
    placed = trainer.augmenter.placed

    def remember(
        bank: FeatureBank, own: torch.Tensor, rng: torch.Generator, n_frames: int | None = None
    ) -> Windows:
        clips.append(own.tolist())
        numbers.append((float(torch.rand(1, generator=rng)), float(torch.rand(1))))
        return placed(bank, own, rng, n_frames)

    trainer.augmenter.placed = remember  # type: ignore[method-assign]
    losses = [epoch.train_loss for epoch in trainer.epochs()]
    return {"clips": clips, "numbers": numbers, "losses": losses}


def main() -> None:
    """Do everything, in the run directory that is given."""
    torch.set_num_threads(1)
    run, group = Path(sys.argv[1]), find_process_group()
    with group.connected(CPU):
        found = {**_try_out(group), **_draws(run, group)}
    (run / f"rank-{group.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
