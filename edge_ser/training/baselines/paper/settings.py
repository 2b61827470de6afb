"""Settings of the paper's recipe; the defaults are the paper's own."""

from __future__ import annotations

from dataclasses import dataclass

from edge_ser._util.records import require

PAPER_EPOCHS = 100


@dataclass(frozen=True)
class PaperConfig:
    """Everything that decides a result of the paper's network, together with the data.

    Raises:
        ConfigError: values that no training can use.
    """

    channels: int = 256
    stride: int = 1
    """Stride of both convolutions; 2 makes a quarter of the dense layer and of the work."""
    epochs: int = PAPER_EPOCHS
    learning_rate: float = 1e-5
    batch_size: int = 16
    copies: bool = True
    """Learn from four rows of each clip; without, from the recordings alone. A fold of the `paper`
    protocol brings its own rows and is taken as it is."""
    seed: int = 0
    bf16: bool = False
    """Compute in bfloat16, weights and sums in float32: about twice as fast."""

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
        """Whether the network is the paper's own, and not a smaller one that stands for it."""
        return (self.channels, self.stride) == (256, 1)
