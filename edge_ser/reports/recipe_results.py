"""Cross-corpus results of a model's recipe, for its card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_ser.errors import ConfigError
from edge_ser.evaluation.results import FoldResult, RunResult, speaker_intervals
from edge_ser.reports import format as text
from edge_ser.reports.model_card_blocks import table
from edge_ser.splits.other import CROSS_CORPUS


def load_recipe(path: Path) -> RunResult:
    """Read the record of a cross-validation across corpora.

    Raises:
        ConfigError: not a record, or one of another protocol.
    """
    result = RunResult.load(path)
    if result.protocol != CROSS_CORPUS:
        raise ConfigError(
            f"{path}: expected a record of protocol {CROSS_CORPUS}, got {result.protocol}; make one "
            "with `edge-ser cross-validate --protocol cross-corpus --results DIR`"
        )
    return result


def left_out(fold: FoldResult) -> str:
    """Return the corpus that a fold tests on."""
    return fold.name.rpartition(" to ")[2]


def recipe_section(result: RunResult) -> list[str]:
    """Return the paragraphs and the table of a record."""
    rows = [
        [
            left_out(fold),
            str(fold.n_train),
            str(fold.n_test),
            str(len(fold.test_speakers)),
            _share(fold.wa, wa),
            _share(fold.uar, uar),
        ]
        for fold in result.folds
        for wa, uar in [speaker_intervals([fold])]
    ]
    rows.append(["mean", "", "", "", text.percent(result.mean_wa), text.percent(result.mean_uar)])
    seeds = ", ".join(map(str, result.seeds)) or "none"
    complete = (
        ""
        if len(result.folds) == result.n_folds
        else (f" {len(result.folds)} of {result.n_folds} folds.")
    )
    how = (
        f"Other networks than this file, trained in the same way (system {result.system}) on all "
        f"corpora but one and tested on that one; labels {', '.join(result.labels)}; seeds {seeds}; "
        f"revision {result.revision}.{complete} In brackets 95% intervals, by bootstrap over speakers; "
        "none for fewer than four speakers."
    )
    heads = ["left out", "clips in training", "clips", "speakers", "WA", "UAR"]
    return [how, table(heads, rows), *_decided(result)]


def _decided(result: RunResult) -> list[str]:
    """Return the tables of decisions fitted on the other left-out corpora; empty without any."""
    folds = [(left_out(fold), result.left_out.get(fold.name)) for fold in result.folds]
    found = [(name, figures) for name, figures in folds if figures is not None]
    if not found:
        return []
    rows = [
        [
            name,
            f"{figures.decisions.abstain_below:g}",
            text.percent(figures.answered),
            text.percent(figures.right),
            text.decimal(figures.ece),
            text.decimal(figures.arousal_auc),
            text.MISSING if figures.output_auc is None else text.decimal(figures.output_auc),
        ]
        for name, figures in found
    ]
    heads = ["left out", "threshold", "answered", "of them right", "ECE",
             "arousal AUC by labels", "by the arousal output"]  # fmt: skip
    made = [
        "Temperature and threshold of each row are fitted on the other left-out corpora:",
        table(heads, rows),
    ]
    gates = [
        [name, corpus, str(gate.n_clips), text.percent(gate.passed), text.percent(gate.false)]
        for name, figures in found
        for corpus, gate in sorted(figures.gates.items())
    ]
    if gates:
        heads = ["left out", "neutral speech", "clips", "neutral or abstained", "something else"]
        made += ["The same networks on neutral speech of strangers:", table(heads, gates)]
    return made


def _share(value: float, interval: Sequence[float]) -> str:
    bounds = "–".join(f"{100 * bound:.1f}" for bound in interval)
    return f"{text.percent(value)} ({bounds})" if bounds else text.percent(value)
