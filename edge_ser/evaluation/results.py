"""Record of a cross-validation: one JSON file for one system, one protocol and its corpora."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.files import read_json, write_text
from edge_ser._util.records import build, require
from edge_ser.evaluation.left_out import Decisions, LeftOutFigures
from edge_ser.metrics import (
    bootstrap_weights,
    confusion,
    percentile_interval,
    unweighted_average_recall,
    unweighted_average_recalls,
    weighted_accuracies,
    weighted_accuracy,
)
from edge_ser.splits.leaks import Overlap

KIND = "edge-ser cross-validation"
SCHEMA = 1

Counts = tuple[tuple[int, ...], ...]
"""Confusion matrix as in JSON: rows are the truth, columns the predictions, with a last column for no
answer if a system left clips without one."""

_N_DRAWS = 2000
_MIN_SPEAKERS = 4


@dataclass(frozen=True)
class FoldResult:
    """Result of one fold.

    Raises:
        ConfigError: figures that do not follow from the confusion matrices.
    """

    name: str
    test_speakers: tuple[str, ...]
    n_train: int
    n_validation: int
    n_test: int
    wa: float
    """Correct clips / clips, in [0, 1]."""
    uar: float
    """Mean recall of the classes that the test clips have, in [0, 1]."""
    confusion: Counts
    by_speaker: Mapping[str, Counts]
    """Confusion matrix of each test speaker."""
    n_parameters: int
    train_s: float
    notes: tuple[str, ...]
    declares: str
    """Statement of the protocol on what training and test share."""
    shared: tuple[Overlap, ...]
    """Overlaps found by the leak detector; empty if nothing is shared."""
    revision: str
    """Git revision of the code that computed it."""

    def __post_init__(self) -> None:
        counts = _array(self.confusion, f"confusion of fold {self.name}")
        by_speaker = [_array(c, f"confusion of {s}") for s, c in self.by_speaker.items()]
        fits = (
            self.test_speakers == tuple(sorted(self.by_speaker))
            and all(len(c) == len(counts) for c in by_speaker)
            and np.array_equal(_total(by_speaker), counts)
            and self.n_test == counts.sum() > 0
            and math.isclose(self.wa, weighted_accuracy(counts), abs_tol=1e-9)
            and math.isclose(self.uar, unweighted_average_recall(counts), abs_tol=1e-9)
        )
        require(fits, f"fold {self.name}", "inconsistent", "figures that follow from by_speaker")

    @classmethod
    def of(
        cls,
        name: str,
        speakers: Sequence[str],
        truth: Sequence[int],
        predicted: Sequence[int],
        n_classes: int,
        **rest: object,
    ) -> FoldResult:
        """Count a fold's decisions.

        Args:
            name: the fold's.
            speakers: of each test clip.
            truth: class of each test clip.
            predicted: class that was decided; `n_classes` for no answer.
            n_classes: number of classes.
            rest: the fields that are not counted.
        """
        by_speaker = {}
        for speaker in sorted(set(speakers)):
            mine = [i for i, s in enumerate(speakers) if s == speaker]
            by_speaker[speaker] = confusion(
                [truth[i] for i in mine], [predicted[i] for i in mine], n_classes
            )
        counts = confusion(truth, predicted, n_classes)
        return cls(
            name=name,
            test_speakers=tuple(by_speaker),
            n_test=len(truth),
            wa=weighted_accuracy(counts),
            uar=unweighted_average_recall(counts),
            confusion=_tuples(counts),
            by_speaker={speaker: _tuples(c) for speaker, c in by_speaker.items()},
            **rest,  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class RunResult:
    """Results of a system over the folds of a protocol, and how they were obtained.

    Raises:
        ConfigError: figures that do not follow from the folds.
    """

    kind: str
    schema: int
    system: str
    settings: Mapping[str, object]
    labels: tuple[str, ...]
    corpora: tuple[str, ...]
    """Names of the corpora, without paths."""
    protocol: str
    folding: str
    """`leave-one-speaker-out`, the number of folds, or empty: the protocol's own folds."""
    n_folds: int
    """Folds that the protocol has; `folds` may be fewer."""
    folds: tuple[FoldResult, ...]
    mean_wa: float
    """Mean over folds."""
    mean_uar: float
    confusion: Counts
    """Confusion matrix of all folds together."""
    wa_interval: tuple[float, ...]
    """95% interval of the WA of all folds together, by bootstrap over test speakers; empty for fewer
    than four speakers."""
    uar_interval: tuple[float, ...]
    n_parameters: int
    """Largest number of any fold."""
    seeds: tuple[int, ...]
    """Seed of the folds, then seed of the system if it uses one."""
    data_digest: str
    notes: tuple[str, ...]
    revision: str
    """Git revision, or several if the folds were computed at different ones."""
    versions: Mapping[str, str]
    command: str
    """Command line without paths."""
    date: str
    decisions: Decisions | None = None
    """Fitted on the left-out clips of all folds: for a model that is trained on all corpora."""
    left_out: Mapping[str, LeftOutFigures] = field(default_factory=dict)
    """By fold, for protocols that leave corpora out; each with decisions fitted on the others."""

    def __post_init__(self) -> None:
        require(self.kind == KIND, "kind", self.kind, KIND)
        require(self.schema == SCHEMA, "schema", self.schema, f"{SCHEMA}, of this version")
        require(bool(self.folds), "folds", "empty", "one or more")
        n, names = self.n_folds, [fold.name for fold in self.folds]
        require(len(set(names)) == len(names) <= n, "folds", names, f"up to {n}, different")
        counts = pooled(self.folds)
        fits = (
            len(counts) == len(self.labels)
            and math.isclose(self.mean_wa, _mean(f.wa for f in self.folds), abs_tol=1e-9)
            and math.isclose(self.mean_uar, _mean(f.uar for f in self.folds), abs_tol=1e-9)
            and self.confusion == _tuples(counts)
        )
        require(fits, "means and confusion", "inconsistent", "what follows from the folds")

    @classmethod
    def of(cls, folds: Sequence[FoldResult], **rest: object) -> RunResult:
        """Combine folds; `rest` are the fields that do not follow from them."""
        wa_interval, uar_interval = speaker_intervals(folds)
        return cls(
            kind=KIND,
            schema=SCHEMA,
            folds=tuple(folds),
            mean_wa=_mean(f.wa for f in folds),
            mean_uar=_mean(f.uar for f in folds),
            confusion=_tuples(pooled(folds)),
            wa_interval=wa_interval,
            uar_interval=uar_interval,
            n_parameters=max(f.n_parameters for f in folds),
            revision=", ".join(sorted({f.revision for f in folds})),
            **rest,  # type: ignore[arg-type]
        )

    @property
    def file_name(self) -> str:
        """Name of its file: protocol, folds, corpora and system."""
        parts = (self.protocol, self.folding, "+".join(self.corpora), self.system)
        clean = [re.sub(r"[^a-z0-9+]+", "-", part.lower()).strip("-") for part in parts if part]
        return f"{'-'.join(clean)}.json"

    def save(self, folder: Path) -> Path:
        """Write the record into a folder and return its path.

        Raises:
            ConfigError: the folder cannot be written.
        """
        path = folder / self.file_name
        write_text(path, _json(dataclasses.asdict(self)) + "\n")
        return path

    @classmethod
    def load(cls, path: Path) -> RunResult:
        """Read a record.

        Raises:
            ConfigError: not a record, or one whose figures do not fit each other.
        """
        return build(cls, read_json(path), str(path))


def load_runs(folder: Path) -> tuple[RunResult, ...]:
    """Return all cross-validations in a folder, by file name; other JSON files are skipped.

    Raises:
        ConfigError: a file that is not JSON, or a record that is damaged.
    """
    runs = []
    for path in sorted(folder.glob("*.json")):
        data = read_json(path)
        if isinstance(data, dict) and data.get("kind") == KIND:
            runs.append(build(RunResult, data, str(path)))
    return tuple(runs)


def pooled(folds: Sequence[FoldResult]) -> NDArray[np.int64]:
    """Return the sum of the folds' confusion matrices."""
    return _total([np.array(fold.confusion) for fold in folds])


def speaker_intervals(folds: Sequence[FoldResult]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return 95% intervals of pooled WA and UAR: percentiles of a bootstrap over test speakers.

    Both are empty for fewer than four speakers: two speakers give only three different draws.
    """
    by_speaker: dict[str, list[NDArray[np.int64]]] = {}
    for fold in folds:
        for speaker, counts in fold.by_speaker.items():
            by_speaker.setdefault(speaker, []).append(np.array(counts))
    if len(by_speaker) < _MIN_SPEAKERS:
        return (), ()
    stack = np.stack(_widened([_total(by_speaker[speaker]) for speaker in sorted(by_speaker)]))
    weights = bootstrap_weights(len(stack), _N_DRAWS, seed=0)
    draws = np.einsum("ds,sij->dij", weights, stack)
    return (
        percentile_interval(weighted_accuracies(draws)),
        percentile_interval(unweighted_average_recalls(draws)),
    )


def _json(data: object) -> str:
    """Return JSON with lists of numbers and strings on one line, so that matrices are readable."""
    flat_list = re.compile(r"\[\n\s*([^][{}]*?)\n\s*\]")
    text = json.dumps(data, indent=1)
    return flat_list.sub(lambda found: "[" + re.sub(r"\n\s*", " ", found[1]) + "]", text)


def _array(counts: Counts, name: str) -> NDArray[np.int64]:
    n = len(counts)
    fits = n > 0 and {len(row) for row in counts} in ({n}, {n + 1})
    expected = "a square of counts, or one column more"
    require(fits and min(map(min, counts)) >= 0, name, counts, expected)
    return np.array(counts, dtype=np.int64)


def _total(counts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    total: NDArray[np.int64] = np.sum(_widened(counts), axis=0)
    return total


def _widened(counts: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Return the matrices, all with a column for no answer if any has one."""
    widest = max(c.shape[1] for c in counts)
    return [np.pad(c, ((0, 0), (0, widest - c.shape[1]))) for c in counts]


def _tuples(counts: NDArray[np.int64]) -> Counts:
    return tuple(tuple(int(n) for n in row) for row in counts)


def _mean(values: object) -> float:
    return float(np.mean(list(values)))  # type: ignore[call-overload]
