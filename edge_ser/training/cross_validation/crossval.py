"""Cross-validation of a system over the folds of a protocol, with a cached result per fold."""

from __future__ import annotations

import datetime
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser import __version__
from edge_ser._util.files import read_json, replacing, write_text
from edge_ser._util.hashing import json_digest
from edge_ser._util.records import build
from edge_ser.corpora import (
    Clip,
    load_corpora,
)
from edge_ser.errors import ConfigError, TrainingError
from edge_ser.evaluation.left_out import fit_decisions, left_out_figures
from edge_ser.evaluation.provenance import revision, versions
from edge_ser.evaluation.results import FoldResult, RunResult
from edge_ser.scores import Scores
from edge_ser.splits.digest import data_digest, fold_digest
from edge_ser.splits.fold import Fold
from edge_ser.splits.leaks import LeakReport, refuse_leaks
from edge_ser.splits.other import CROSS_CORPUS
from edge_ser.splits.registry import SplitConfig, choose_fold, make_folds
from edge_ser.training.cross_validation.systems import System, SystemResult
from edge_ser.training.labels import choose_labels

_TEST = "test"
_GATE = "gate "


def save_scores(path: Path, scores: Scores, gates: Mapping[str, Scores]) -> None:
    """Write the logits of test clips and gates atomically."""
    arrays: dict[str, NDArray[np.generic]] = {}
    named = {_TEST: scores, **{_GATE + name: gate for name, gate in gates.items()}}
    for name, part in named.items():
        arrays[f"{name}/logits"] = np.concatenate(part.logits)
        arrays[f"{name}/sizes"] = np.array([len(one) for one in part.logits])
        arrays[f"{name}/truth"] = part.truth
        if part.arousal is not None:
            arrays[f"{name}/arousal"] = part.arousal
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load_scores(path: Path) -> tuple[Scores, dict[str, Scores]]:
    """Return the scores of test clips and gates from a file written by `save_scores`.

    Raises:
        TrainingError: the file is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            named = {
                name: _scores(name, arrays)
                for name in {key.rpartition("/")[0] for key in arrays.files}
            }
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"{path} is damaged ({error}); run the command again without --resume"
        ) from None
    test = named.pop(_TEST)
    return test, {name.removeprefix(_GATE): gate for name, gate in sorted(named.items())}


def _scores(name: str, arrays: Mapping[str, NDArray[np.float64]]) -> Scores:
    ends = np.cumsum(arrays[f"{name}/sizes"]).astype(int)[:-1]
    key = f"{name}/arousal"
    return Scores(
        tuple(np.split(arrays[f"{name}/logits"], ends)),
        arrays[f"{name}/truth"].astype(np.int64),
        arousal=arrays.get(key),
    )


PACKAGES = ("numpy", "soxr", "soundfile", "opensmile", "scikit-learn", "librosa", "torch")
"""Packages whose versions are recorded."""

Progress = Callable[[str, str, float], None]
"""Called with the fold's name, a description of the work and the share done, in [0, 1]."""


@dataclass(frozen=True)
class Comparison:
    """Folds that systems are compared on, made and checked for leaks by `compare`."""

    options: SplitConfig
    seed: int
    folds: tuple[Fold, ...]
    """Folds to compute."""
    n_folds: int
    """Number of folds of the protocol."""
    labels: tuple[str, ...]
    leaks: tuple[LeakReport, ...]
    """Overlaps between the parts of each fold."""

    @property
    def clips(self) -> tuple[Clip, ...]:
        """Every row of the folds once, in the order of the first fold that has it."""
        return tuple(dict.fromkeys(clip for fold in self.folds for clip in fold.clips))

    @property
    def digest(self) -> str:
        """Digest of the recordings."""
        return data_digest(self.clips)


def compare(
    corpora: Sequence[str],
    options: SplitConfig,
    requested: Sequence[str] = (),
    seed: int = 0,
    labels: str | None = None,
) -> Comparison:
    """Split corpora by a protocol and check the folds for leaks.

    Args:
        corpora: `NAME=DIR` each.
        options: the protocol and its choices.
        requested: folds to compute, as for `choose_fold`; all if empty.
        seed: seed of the random choice of speakers.
        labels: comma-separated emotions, or `all`; None for those that every corpus has.

    Raises:
        ConfigError, CorpusError: corpora or choices that do not fit.
        LeakError: the parts share more than the protocol declares.
    """
    clips = load_corpora(corpora)
    chosen = choose_labels(clips, labels)
    every = make_folds([clip for clip in clips if clip.emotion in chosen], options, seed)
    folds = tuple(dict.fromkeys(choose_fold(every, name) for name in requested)) or every
    for fold in folds:
        if not fold.train or not fold.test:
            raise ConfigError(
                f"fold {fold.name}: expected training and test clips, got {len(fold.train)} training "
                f"and {len(fold.test)} test clips; give more recordings, or another protocol"
            )
    leaks = tuple(refuse_leaks(fold) for fold in folds)
    return Comparison(options, seed, folds, len(every), chosen, leaks)


def cross_validate(
    system: System,
    comparison: Comparison,
    command: str,
    folder: Path,
    resume: bool = False,
    progress: Progress = lambda *_: None,
) -> RunResult:
    """Train and test a system on every fold.

    Args:
        system: the system to train.
        comparison: the folds.
        command: the command line, for the record; without paths.
        folder: a directory for the result of each fold, written when the fold is done.
        resume: reuse results in `folder` of the same code version, settings and clips.
        progress: called repeatedly.

    Raises:
        EdgeSerError: raised by the system, or the directory cannot be written.
    """
    # Read now: the code is loaded, and a commit made during the computation does not change it.
    code = revision()
    results = []
    scored: dict[str, tuple[Scores, Mapping[str, Scores]]] = {}
    for fold, leaks in zip(comparison.folds, comparison.leaks, strict=True):
        path = folder / f"{_key(system, fold, comparison.labels)}.json"
        if resume and path.is_file():
            result = build(FoldResult, read_json(path), str(path))
            progress(fold.name, "kept from before", 1.0)
        else:
            outcome = system.fit_predict(fold, comparison.labels, partial(progress, fold.name))
            result = _count(system, outcome, fold, leaks, comparison.labels, code)
            if outcome.scores is not None:
                save_scores(path.with_suffix(".npz"), outcome.scores, outcome.gates)
            write_text(path, json.dumps(asdict(result), indent=1) + "\n")
        results.append(result)
        if path.with_suffix(".npz").is_file():
            scored[fold.name] = load_scores(path.with_suffix(".npz"))
    seed = system.settings.get("seed")
    return RunResult.of(
        results,
        system=system.name,
        settings=_plain(system.settings),
        labels=comparison.labels,
        corpora=tuple(sorted({clip.corpus for clip in comparison.clips})),
        protocol=comparison.options.protocol,
        folding=comparison.options.folds,
        n_folds=comparison.n_folds,
        seeds=tuple(s for s in (comparison.seed, seed) if isinstance(s, int)),
        data_digest=comparison.digest,
        notes=tuple(dict.fromkeys(note for result in results for note in result.notes)),
        versions=versions(PACKAGES),
        command=command,
        date=datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat(),
        **_decisions(comparison, scored),
    )


def _decisions(
    comparison: Comparison, scored: Mapping[str, tuple[Scores, Mapping[str, Scores]]]
) -> dict[str, Any]:
    """Return decisions and figures fitted on left-out corpora; empty if there are fewer than two."""
    if comparison.options.protocol != CROSS_CORPUS or len(scored) < 2:
        return {}
    labels = comparison.labels
    figures = {}
    speakers = {f.name: [clip.speaker for clip in f.test] for f in comparison.folds}
    for name, (scores, gates) in scored.items():
        others = [held_out for other, (held_out, _) in scored.items() if other != name]
        figures[name] = left_out_figures(
            scores, fit_decisions(others, labels), labels, gates, speakers[name]
        )
    return {
        "decisions": fit_decisions([scores for scores, _ in scored.values()], labels),
        "left_out": figures,
    }


def _count(
    system: System,
    outcome: SystemResult,
    fold: Fold,
    leaks: LeakReport,
    labels: tuple[str, ...],
    code: str,
) -> FoldResult:
    _check(system, outcome, (len(fold.test), len(labels)))
    return FoldResult.of(
        fold.name,
        [clip.speaker for clip in fold.test],
        [labels.index(clip.emotion) for clip in fold.test],
        outcome.predicted.tolist(),
        len(labels),
        n_train=len(fold.train),
        n_validation=len(fold.validation),
        n_parameters=outcome.n_parameters,
        train_s=round(outcome.train_s, 2),
        notes=outcome.notes,
        declares=leaks.declares,
        shared=leaks.found,
        revision=code,
    )


def _check(system: System, outcome: SystemResult, shape: tuple[int, int]) -> None:
    """Check that the rows are probabilities: an argmax over NaN would count as a prediction."""
    probs = outcome.probs
    predicted = probs.any(axis=1)
    if probs.shape != shape or not np.allclose(probs.sum(axis=1), predicted, atol=1e-3):
        raise TrainingError(
            f"{system.name}: expected probabilities {list(shape)}, got {list(probs.shape)} with rows "
            f"that sum to {probs.sum(axis=1)[:3]}; its training has failed, use other settings"
        )


def _key(system: System, fold: Fold, labels: tuple[str, ...]) -> str:
    facts = (__version__, system.name, _plain(system.settings), labels, fold_digest(fold))
    return json_digest(facts)


def _plain(settings: Mapping[str, object]) -> dict[str, object]:
    """Return settings after a round trip through JSON, which turns tuples into lists."""
    plain: dict[str, object] = json.loads(json.dumps(settings))
    return plain
