"""Run by torchrun: what a process of a team gets and does, as JSON in a file of its own.

Also holds a trainer without anything that is drawn, so that several processes must do what one does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from edge_ser.errors import TrainingError
from edge_ser.training.augment import Windows
from edge_ser.training.classes import Classes
from edge_ser.training.distributed import ALONE, Team, find_team
from edge_ser.training.features import FeatureBank
from edge_ser.training.scoring import HeardClips
from edge_ser.training.settings import RunRecord
from edge_ser.training.teacher import WIDTH, TeacherBank
from edge_ser.training.trainer import Trainer

N_CLIPS, N_FRAMES = 24, 30
CPU = torch.device("cpu")


def plain_trainer(run: Path, team: Team = ALONE) -> Trainer:
    """Return a taught trainer of random frames, some classes rare, some clips mostly silent.

    Batch normalisation and dropout are off, and the steps are those of plain gradient descent.
    """
    record = RunRecord.load(run)
    rng = torch.Generator().manual_seed(0)
    n_mels = record.config.frontend.n_mels
    frames = torch.randn(N_CLIPS * N_FRAMES, n_mels, generator=rng)
    starts = torch.arange(N_CLIPS)[:, None] * N_FRAMES
    bank = FeatureBank(frames, starts, torch.full_like(starts, N_FRAMES))
    said = torch.randn(N_CLIPS * N_FRAMES, WIDTH, generator=rng).half()
    lessons = TeacherBank(said, starts, torch.full_like(starts, N_FRAMES))
    classes = Classes.of([0] * 13 + [1] * 6 + [2] * 4 + [3], [(True,) * 4] * N_CLIPS)
    nothing = {"validation": HeardClips((), ())}
    trainer = Trainer(record, bank, classes, nothing, run, CPU, lessons, team)
    trainer.model.eval()
    trainer.model.train = lambda: trainer.model  # type: ignore[method-assign]
    trainer.optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0.1)

    def placed(
        bank: FeatureBank, clips: torch.Tensor, _rng: torch.Generator, _n: int | None = None
    ) -> Windows:
        positions = torch.arange(N_FRAMES).float().expand(len(clips), -1)
        frames = bank.frames.view(N_CLIPS, N_FRAMES, -1)[clips]
        heard = positions < 1 + 7 * clips[:, None] % N_FRAMES
        return Windows(frames, torch.zeros_like(clips), positions, heard)

    trainer.augmenter.placed = placed  # type: ignore[method-assign]
    return trainer


def _try_out(team: Team) -> dict[str, object]:
    pair = [torch.tensor([1.0, 2.0]) * team.rank, torch.tensor([[4.0 * team.rank]])]
    team.average(pair)
    model = torch.nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.bias.fill_(1.0)
    team.require_same(model)
    with torch.no_grad():
        model.bias += team.rank * 1e-7
    said = ""
    try:
        team.require_same(model)
    except TrainingError as error:
        said = str(error)
    return {
        "part": team.part(torch.arange(5)).tolist(),
        "mean": float(team.mean(torch.tensor(1.0 + team.rank))),
        "average": [tensor.tolist() for tensor in pair],
        "share": team.share({"from": team.rank}),
        "different": said,
    }


def _draws(run: Path, team: Team) -> dict[str, object]:
    """Train an epoch, and return its clips and the first number drawn for each step."""
    trainer, clips, numbers = plain_trainer(run, team), [], []
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
    run, team = Path(sys.argv[1]), find_team()
    with team.joined(CPU):
        found = {**_try_out(team), **_draws(run, team)}
    (run / f"rank-{team.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
