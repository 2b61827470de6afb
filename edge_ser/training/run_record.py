"""Records of training runs (`run.json`): the recipe, and the fields common to all recipes."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from edge_ser._util.files import read_json, write_text
from edge_ser._util.records import build
from edge_ser.card import CorpusUse
from edge_ser.corpora import Terms
from edge_ser.errors import ConfigError, TrainingError
from edge_ser.splits import LeakReport, SplitConfig

RUN_FILE = "run.json"

COMPACT = "compact"
PAPER = "paper"
DISTILLED = "distilled"
ENCODER = "encoder"
"""Recipe of a run of `edge-ser pretrain`, which has no labels and cannot be exported."""
RECIPES = (COMPACT, DISTILLED, PAPER)
"""Values of `edge-ser train --recipe`, the default first. A distilled run is recorded as compact."""

RECIPE_ALIASES = {"taught": DISTILLED}
"""Former names of recipes, still accepted."""

Record = TypeVar("Record", bound="RunFacts")


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Fields of a run record that all recipes share."""

    recipe: str = COMPACT
    """`compact` or `paper`; missing in the oldest runs, which are compact."""
    labels: tuple[str, ...]
    corpora: tuple[str, ...]
    """Corpus specifications `NAME=DIR` with absolute directories."""
    used: tuple[CorpusUse, ...]
    """Clips and speakers of each corpus used for training."""
    terms: Terms = field(default_factory=Terms)
    """Licences stated by the user."""
    split: SplitConfig
    """Options of the split, to reproduce it."""
    fold: str
    """Name of the fold."""
    leaks: LeakReport
    """Overlaps between the parts of the fold, all declared by the protocol."""
    train_speakers: tuple[str, ...]
    validation_speakers: tuple[str, ...]
    """Empty for a training with a fixed number of epochs."""
    test_speakers: tuple[str, ...]
    data_digest: str
    """Digest of names, labels and content; see `splits.data_digest`."""
    fold_digest: str
    """Digest of the rows of each part; see `splits.fold_digest`."""
    created: str

    def save(self, run: Path) -> None:
        """Write the record into the run directory."""
        text = json.dumps(dataclasses.asdict(self), indent=1)
        write_text(run / RUN_FILE, text + "\n")

    @classmethod
    def load(cls: type[Record], run: Path) -> Record:  # noqa: PYI019 (Self came with Python 3.11)
        """Read the record of a run directory.

        Raises:
            TrainingError: no run there, a run of another recipe, or an unreadable record.
        """
        path, data = run / RUN_FILE, read_run(run)
        if (actual := _recipe(data)) != cls.recipe:
            raise TrainingError(
                f"{run}: expected a run of the recipe {cls.recipe}, got one of the recipe {actual}"
            )
        try:
            return build(cls, data, str(path))
        except ConfigError as error:
            raise TrainingError(
                f"{path} does not fit ({error}); train again with this version of edge-ser"
            ) from None


def recipe_of(run: Path) -> str:
    """Return the recipe of a run.

    Raises:
        TrainingError: no run there, or a damaged record.
    """
    return _recipe(read_run(run))


def refuse_unusable(run: Path, resume: bool) -> None:
    """Check that a run can be written to a directory, before features are computed.

    Raises:
        TrainingError: the directory holds another run.
        ConfigError: the directory cannot be written.
    """
    if not resume and (run / RUN_FILE).exists():
        raise TrainingError(
            f"{run} already holds a training run; continue it with --resume, or choose another --out"
        )
    is_new = not run.exists()
    try:
        run.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=run).close()
    except OSError as error:
        raise ConfigError(
            f"the run directory {run} cannot be written ({error.strerror}); choose another --out"
        ) from None
    finally:
        if is_new and run.is_dir():
            run.rmdir()


def read_run(run: Path) -> Any:
    """Return the JSON of a run's record.

    Raises:
        TrainingError: no run there, or a damaged record.
    """
    path = run / RUN_FILE
    if not path.is_file():
        raise TrainingError(
            f"{run} is not a training run: it has no {RUN_FILE}; give the directory that "
            "`edge-ser train --out` wrote"
        )
    try:
        return read_json(path)
    except ConfigError as error:
        raise TrainingError(f"{path} is damaged ({error}); train again") from None


def _recipe(data: Any) -> str:
    name = str(data.get("recipe", COMPACT)) if isinstance(data, dict) else COMPACT
    return COMPACT if RECIPE_ALIASES.get(name, name) == DISTILLED else name
