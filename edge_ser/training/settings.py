"""What a training run is told, and what it writes down about itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_ser.card import FrontendConfig, Normalization
from edge_ser.records import require
from edge_ser.training.augment import AugmentConfig
from edge_ser.training.model import ModelConfig
from edge_ser.training.run_record import RunFacts
from edge_ser.training.sounds import Sounds


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training's result, together with the data.

    Raises:
        ConfigError: values that no training can use.
    """

    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup_share: float = 0.1
    """Share of the steps in which the learning rate rises, before it falls as a cosine."""
    ema_decay: float = 0.99
    """The model kept is an exponential moving average of the weights, by this factor a step."""
    label_smoothing: float = 0.1
    patience: int = 20
    """Epochs without a better validation UAR after which training stops."""
    window_s: float = 3.0
    hop_s: float = 0.25
    min_window_s: float = 0.5
    teacher_weight: float = 0.0
    """How much the error against the teacher's frames counts beside the cross-entropy; 0 for no
    teacher. See `teacher.py`."""
    channels: tuple[int, ...] = (96, 96, 128, 128)
    """Of the stem and of each block; see `ModelConfig`."""
    strides: tuple[int, ...] = (1, 2, 2, 1)
    """Likewise."""
    seed: int = 0
    frontend: FrontendConfig = field(default_factory=FrontendConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "patience"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        size = self.batch_size
        require(size >= 2, "batch_size", size, "2 or more, for batch normalisation")
        rate, decay = self.learning_rate, self.weight_decay
        require(0 < rate < 1, "learning_rate", rate, "between 0 and 1")
        require(0 <= decay < 1, "weight_decay", decay, "in [0, 1)")
        for name in ("warmup_share", "ema_decay", "label_smoothing"):
            value = getattr(self, name)
            require(0 <= value < 1, name, value, "in [0, 1)")
        weight = self.teacher_weight
        require(0 <= weight < float("inf"), "teacher_weight", weight, "0 or more")
        require(
            weight == 0 or self.augment.mixup_alpha == 0,
            "mixup_alpha",
            self.augment.mixup_alpha,
            "0 with a teacher, who never heard two clips at once",
        )
        require(
            len(self.channels) == len(self.strides) >= 1 and min(self.channels + self.strides) >= 1,
            "channels, strides",
            (self.channels, self.strides),
            "as many of one as of the other, all 1 or more",
        )
        require(0 <= self.seed < 2**32, "seed", self.seed, "from 0 to 4294967295")
        frame_s = self.frontend.n_fft / self.frontend.sample_rate
        hop_s = self.frontend.hop_length / self.frontend.sample_rate
        require(frame_s <= self.window_s <= 60, "window_s", self.window_s, f"{frame_s:g} to 60")
        require(hop_s <= self.hop_s <= 60, "hop_s", self.hop_s, f"{hop_s:g} to 60")
        require(
            frame_s <= self.min_window_s <= self.window_s,
            "min_window_s",
            self.min_window_s,
            f"{frame_s:g} to window_s ({self.window_s:g})",
        )

    @property
    def window_frames(self) -> int:
        """Feature frames of one window."""
        return self.frontend.n_frames(round(self.window_s * self.frontend.sample_rate))


@dataclass(frozen=True, kw_only=True)
class RunRecord(RunFacts):
    """The record of a run of the compact recipe: enough to resume, to export and to judge."""

    config: TrainConfig
    model: ModelConfig
    normalization: Normalization
    processes: int = 1
    """That trained together: each drew its own augmentation, and normalised its own batches."""
    sounds: Sounds = field(default_factory=Sounds)
    """Noise and microphones that the scenes were made from."""
