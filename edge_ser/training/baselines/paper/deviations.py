"""Deviations of a training from the paper's recipe, as notes for its figures."""

from __future__ import annotations

from edge_ser.splits.fold import Fold
from edge_ser.splits.other import PAPER
from edge_ser.training.baselines.paper.settings import PAPER_EPOCHS, PaperConfig


def deviations(config: PaperConfig, fold: Fold) -> tuple[str, ...]:
    """Return a note for each deviation from the paper's recipe."""
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
