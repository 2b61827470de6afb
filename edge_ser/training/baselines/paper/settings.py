"""Configuration of the paper's recipe, with the paper's defaults, and the deviations from it."""

from __future__ import annotations

from dataclasses import dataclass

from edge_ser._util.records import require
from edge_ser.splits.fold import Fold
from edge_ser.splits.other import PAPER

PAPER_EPOCHS = 100


@dataclass(frozen=True)
class PaperConfig:
    """All settings of the paper's network; with the data they determine its result.

    Raises:
        ConfigError: a value is out of range.
    """

    channels: int = 256
    stride: int = 1
    """Stride of both convolutions; 2 reduces the dense layer and the computation to a quarter."""
    epochs: int = PAPER_EPOCHS
    learning_rate: float = 1e-5
    batch_size: int = 16
    copies: bool = True
    """Train on four augmented copies of each clip instead of one. Folds of the `paper` protocol
    contain the copies already and are not changed."""
    seed: int = 0
    bf16: bool = False
    """Compute in bfloat16 with float32 weights and sums: about twice as fast."""

    def __post_init__(self) -> None:
        """Check the values."""
        require(self.channels >= 1, "channels", self.channels, "1 or more")
        require(1 <= self.stride <= 8, "stride", self.stride, "from 1 to 8")
        require(self.epochs >= 1, "epochs", self.epochs, "1 or more")
        require(0 < self.learning_rate < 1, "learning_rate", self.learning_rate, "between 0 and 1")
        require(self.batch_size >= 2, "batch_size", self.batch_size, "2 or more")
        require(0 <= self.seed < 2**32, "seed", self.seed, "from 0 to 4294967295")

    @property
    def is_papers_network(self) -> bool:
        """Whether the network has the size of the paper's, not a smaller one."""
        return (self.channels, self.stride) == (256, 1)


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
