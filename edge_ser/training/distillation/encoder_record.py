"""Record of a pretrained encoder: settings, and digests of the speech that it was trained on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edge_ser._util.files import write_text
from edge_ser._util.hashing import content_digest, file_digest
from edge_ser._util.records import build
from edge_ser.card import CorpusUse, Normalization
from edge_ser.corpora import Clip
from edge_ser.errors import ConfigError, LeakError, TrainingError
from edge_ser.training.augmentation.sounds import Sounds
from edge_ser.training.checkpoint import BEST
from edge_ser.training.config import EncoderUse, TrainConfig
from edge_ser.training.model import ModelConfig
from edge_ser.training.run_record import ENCODER, RUN_FILE, read_run, recipe_of
from edge_ser.training.schedule import Phase


@dataclass(frozen=True, kw_only=True)
class EncoderRecord:
    """Record of a run of `edge-ser pretrain`, written to `run.json`."""

    recipe: str = ENCODER
    config: TrainConfig
    model: ModelConfig
    normalization: Normalization
    corpora: tuple[str, ...]
    """Corpus specifications `NAME=DIR` with absolute directories."""
    used: tuple[CorpusUse, ...]
    """Clips and speakers of each corpus used for training."""
    contents: tuple[str, ...]
    """SHA-256 of each audio file used for training, sorted."""
    created: str
    sounds: Sounds = field(default_factory=Sounds)
    """Noise and microphone recordings of the scenes."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Phases of the training: imitation only."""
        return self.config.phases[:1]

    def save(self, run: Path) -> None:
        """Write the record into the run directory."""
        write_text(run / RUN_FILE, json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, run: Path) -> EncoderRecord:
        """Read the record of a run directory.

        Raises:
            TrainingError: no run there, a run of another recipe, or an unreadable record.
        """
        if (actual := recipe_of(run)) != ENCODER:
            raise TrainingError(
                f"expected a run of edge-ser pretrain, got one of the recipe {actual} in {run}; "
                "make one: edge-ser pretrain --corpus RAVDESS=DIR --out runs/encoder"
            )
        try:
            return build(cls, read_run(run), str(run / RUN_FILE))
        except ConfigError as error:
            raise TrainingError(
                f"{run / RUN_FILE} does not fit ({error}); pretrain again"
            ) from None

    def refuse_known(self, clips: Iterable[Clip]) -> None:
        """Raise a LeakError if the encoder was trained on the audio of a clip.

        Args:
            clips: the clips to score.
        """
        known = set(self.contents)
        for clip in clips:
            if content_digest(clip.path) in known:
                raise LeakError(
                    f"{clip.corpus}/{clip.path.name} is a clip to score, and the encoder was pretrained "
                    "on the same audio; pretrain without that corpus, or name other "
                    "test and validation speakers"
                )


def encoder_use(run: Path) -> EncoderUse:
    """Return the digest and corpora of an encoder, for the record of a training that starts from it.

    Raises:
        TrainingError: not a run of `edge-ser pretrain`, or an unfinished one.
    """
    record = EncoderRecord.load(run)
    try:
        digest = file_digest(run / BEST)
    except OSError:
        raise TrainingError(
            f"{run} has no {BEST}; finish it: edge-ser pretrain --resume --out {run}"
        ) from None
    return EncoderUse(digest, record.used)
