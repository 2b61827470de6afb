"""Configuration of a training, and the record of a run of the compact recipe."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_ser._util.records import require
from edge_ser.card import CorpusUse, FrontendConfig, Normalization
from edge_ser.training.augmentation.augment import AugmentConfig
from edge_ser.training.augmentation.sounds import Sounds
from edge_ser.training.distillation.teacher import WIDTH
from edge_ser.training.model import ModelConfig
from edge_ser.training.run_record import RunFacts
from edge_ser.training.schedule import IMITATION, LABELS, Phase


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a training; with the data they determine its result.

    Raises:
        ConfigError: a value is out of range.
    """

    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup_share: float = 0.1
    """Share of the steps with a rising learning rate; it then falls as a cosine."""
    ema_decay: float = 0.99
    """Decay per step of the exponential moving average of the weights, which is the saved model."""
    label_smoothing: float = 0.1
    patience: int = 20
    """Number of epochs without a better validation UAR after which training stops."""
    window_s: float = 3.0
    hop_s: float = 0.25
    min_window_s: float = 0.5
    teacher_weight: float = 0.0
    """Weight of the error against the teacher's frames, relative to the cross-entropy; 0 for no teacher.
    See `distillation.teacher`."""
    channels: tuple[int, ...] = (96, 96, 128, 128)
    """Channels of the stem and of each block; see `ModelConfig`."""
    strides: tuple[int, ...] = (1, 2, 2, 1)
    """Strides of the stem and of each block; see `ModelConfig`."""
    imitation_epochs: int = 0
    """Epochs of a first phase in which the network only imitates the teacher, without labels. The
    `epochs` with labels follow."""
    imitation_rate: float = 2e-3
    """Peak learning rate of the imitation phase."""
    epoch_clips: int = 0
    """Number of clips drawn per epoch; 0 for the number of training clips."""
    balance: float = 0.0
    """Strength of the balancing of corpora, speakers and classes, in [0, 1]; 0 draws all clips equally
    often. See `sampling`."""
    crowd_share: float = 0.0
    """Share of the examples that are neutral by intent, if there are any, in [0, 1); 0 for their share
    of the clips."""
    shortest_window_s: float = 0.0
    """Shortest window length of a batch, in seconds; 0 for `window_s` in all batches."""
    mixstyle_share: float = 0.0
    """Share of the examples whose feature statistics are mixed with another's; see `MixStyle`."""
    arousal_weight: float = 0.0
    """Weight of the arousal loss; 0 for a network without arousal output."""
    baseline_share: float = 0.0
    """Share of the examples classified relative to neutral speech of the same speaker, in [0, 1). See
    `voices`."""
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
        imitated = self.imitation_epochs
        require(imitated >= 0, "imitation_epochs", imitated, "0 or more")
        require(
            imitated == 0 or self.teacher_weight > 0,
            "imitation_epochs",
            imitated,
            "0 without a teacher; set teacher_weight above 0",
        )
        require(0 < self.imitation_rate < 1, "imitation_rate", self.imitation_rate, "in (0, 1)")
        require(self.epoch_clips >= 0, "epoch_clips", self.epoch_clips, "0 or more")
        require(0 <= self.balance <= 1, "balance", self.balance, "in [0, 1]")
        for name in ("crowd_share", "mixstyle_share", "baseline_share"):
            value = getattr(self, name)
            require(0 <= value < 1, name, value, "in [0, 1)")
        arousal = self.arousal_weight
        require(0 <= arousal < float("inf"), "arousal_weight", arousal, "0 or more")
        shortest = self.shortest_window_s
        require(
            shortest == 0 or self.min_window_s <= shortest <= self.window_s,
            "shortest_window_s",
            shortest,
            f"0, or {self.min_window_s:g} to {self.window_s:g}",
        )
        for name in ("warmup_share", "ema_decay", "label_smoothing"):
            value = getattr(self, name)
            require(0 <= value < 1, name, value, "in [0, 1)")
        weight = self.teacher_weight
        require(0 <= weight < float("inf"), "teacher_weight", weight, "0 or more")
        require(
            weight == 0 or self.augment.mixup_alpha == 0,
            "mixup_alpha",
            self.augment.mixup_alpha,
            "0 with a teacher, because it was not trained on mixed clips",
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
    def phases(self) -> tuple[Phase, ...]:
        """Phases of the training in order: imitation, if any, then labels."""
        labels = Phase(LABELS, self.epochs, self.learning_rate, self.warmup_share)
        if not self.imitation_epochs:
            return (labels,)
        rate = self.imitation_rate
        return Phase(IMITATION, self.imitation_epochs, rate, self.warmup_share), labels

    @property
    def total_epochs(self) -> int:
        """Number of epochs of all phases."""
        return self.imitation_epochs + self.epochs

    @property
    def draws_clips(self) -> bool:
        """Whether an epoch draws clips at random instead of using each once."""
        return self.epoch_clips > 0 or self.baseline_share > 0

    @property
    def window_frames(self) -> int:
        """Number of feature frames of a window."""
        return self.frontend.n_frames(round(self.window_s * self.frontend.sample_rate))

    @property
    def shortest_frames(self) -> int:
        """Number of feature frames of the shortest training window."""
        seconds = self.shortest_window_s or self.window_s
        return self.frontend.n_frames(round(seconds * self.frontend.sample_rate))

    def model(self, n_classes: int) -> ModelConfig:
        """Return the configuration of a network with `n_classes` outputs."""
        return ModelConfig(
            n_features=self.frontend.n_features,
            n_classes=n_classes,
            channels=self.channels,
            strides=self.strides,
            embedding=WIDTH if self.teacher_weight else 0,
            arousal=self.arousal_weight > 0,
        )


@dataclass(frozen=True)
class EncoderUse:
    """Pretrained encoder that a training started from."""

    digest: str
    """SHA-256 of its checkpoint."""
    corpora: tuple[CorpusUse, ...]
    """Speech that it was pretrained on, without labels."""


@dataclass(frozen=True, kw_only=True)
class RunRecord(RunFacts):
    """Record of a run of the compact recipe, sufficient to resume, export and evaluate it."""

    config: TrainConfig
    model: ModelConfig
    normalization: Normalization
    encoder: EncoderUse | None = None
    """Pretrained encoder that the training started from."""
    processes: int = 1
    """Number of processes; each draws its own augmentation and normalises its own batches."""
    sounds: Sounds = field(default_factory=Sounds)
    """Noise and microphone recordings of the scenes."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Phases of the training."""
        return self.config.phases
