"""The record of a pretrained encoder: its settings, and the content of all speech that it learned on."""

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
    """Record of `edge-ser pretrain` in `run.json`."""

    recipe: str = ENCODER
    config: TrainConfig
    model: ModelConfig
    normalization: Normalization
    corpora: tuple[str, ...]
    """The `NAME=DIR` specifications, directories absolute."""
    used: tuple[CorpusUse, ...]
    """Speech that it learned on, by corpus."""
    contents: tuple[str, ...]
    """SHA-256 of each audio file that it learned on, sorted."""
    created: str
    sounds: Sounds = field(default_factory=Sounds)
    """Noise and microphones that the scenes were made from."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The one phase: imitation."""
        return self.config.phases[:1]

    def save(self, run: Path) -> None:
        """Write the record into the run directory."""
        write_text(run / RUN_FILE, json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, run: Path) -> EncoderRecord:
        """Read the record of a run directory.

        Raises:
            TrainingError: no run there, one of another recipe, or one that this version cannot read.
        """
        if (found := recipe_of(run)) != ENCODER:
            raise TrainingError(
                f"expected a run of edge-ser pretrain, got one of the recipe {found} in {run}; "
                "make one: edge-ser pretrain --corpus RAVDESS=DIR --out runs/encoder"
            )
        try:
            return build(cls, read_run(run), str(run / RUN_FILE))
        except ConfigError as error:
            raise TrainingError(
                f"{run / RUN_FILE} does not fit ({error}); pretrain again"
            ) from None

    def refuse_known(self, clips: Iterable[Clip]) -> None:
        """Raise a LeakError for a clip whose audio the encoder learned on.

        Args:
            clips: those that are to be scored.
        """
        known = set(self.contents)
        for clip in clips:
            if content_digest(clip.path) in known:
                raise LeakError(
                    f"{clip.corpus}/{clip.path.name} is to be scored, and its audio is in the speech "
                    "that the encoder was pretrained on; pretrain without that corpus, or name other "
                    "test and validation speakers"
                )


def encoder_use(run: Path) -> EncoderUse:
    """Return what a training that starts from this encoder writes down about it.

    Raises:
        TrainingError: not a run of `edge-ser pretrain`, or one that has not ended.
    """
    record = EncoderRecord.load(run)
    try:
        digest = file_digest(run / BEST)
    except OSError:
        raise TrainingError(
            f"{run} has no {BEST}; finish it: edge-ser pretrain --resume --out {run}"
        ) from None
    return EncoderUse(digest, record.used)
