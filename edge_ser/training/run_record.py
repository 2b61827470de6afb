"""A run directory's `run.json`: the recipe, and the facts that every recipe records."""

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
"""A run of `edge-ser pretrain`: no labels, nothing to export."""
RECIPES = (COMPACT, DISTILLED, PAPER)
"""Values of `edge-ser train --recipe`, the default first. The record of a distilled run says compact."""

RECIPE_ALIASES = {"taught": DISTILLED}
"""Former names of recipes, which are accepted still."""

Record = TypeVar("Record", bound="RunFacts")


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Settings and facts about the clips that the record of every recipe holds."""

    recipe: str = COMPACT
    """`compact` or `paper`; a run from before there were several does not name it."""
    labels: tuple[str, ...]
    corpora: tuple[str, ...]
    """The `NAME=DIR` specifications, directories absolute."""
    used: tuple[CorpusUse, ...]
    """Clips and speakers of each corpus that training used."""
    terms: Terms = field(default_factory=Terms)
    """Licences that the user stated."""
    split: SplitConfig
    """Options of the split, so that it can be made again."""
    fold: str
    """Name of the fold."""
    leaks: LeakReport
    """Overlaps between the parts, all declared by the protocol."""
    train_speakers: tuple[str, ...]
    validation_speakers: tuple[str, ...]
    """Empty for a training of a fixed number of epochs."""
    test_speakers: tuple[str, ...]
    data_digest: str
    """Of names, labels and content; see `protocols.data_digest`."""
    fold_digest: str
    """Of which row stands where; see `protocols.fold_digest`."""
    created: str

    def save(self, run: Path) -> None:
        """Write the record into the run directory."""
        text = json.dumps(dataclasses.asdict(self), indent=1)
        write_text(run / RUN_FILE, text + "\n")

    @classmethod
    def load(cls: type[Record], run: Path) -> Record:  # noqa: PYI019 (Self came with Python 3.11)
        """Read the record of a run directory.

        Raises:
            TrainingError: no run there, one of another recipe, or one that this version cannot read.
        """
        path, data = run / RUN_FILE, read_run(run)
        if (found := _recipe(data)) != cls.recipe:
            raise TrainingError(f"{run} was trained by the recipe {found}, not by {cls.recipe}")
        try:
            return build(cls, data, str(path))
        except ConfigError as error:
            raise TrainingError(
                f"{path} does not fit ({error}); train again with this version of edge-ser"
            ) from None


def recipe_of(run: Path) -> str:
    """Return the recipe by which a run was trained.

    Raises:
        TrainingError: no run there, or one whose record is damaged.
    """
    return _recipe(read_run(run))


def refuse_unusable(run: Path, resume: bool) -> None:
    """Find out whether a run can be written there before the features are computed, not after.

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
        TrainingError: no run there, or one whose record is damaged.
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
