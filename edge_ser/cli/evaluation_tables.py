"""What `evaluate` prints: how it was measured, then the figures, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_ser.measure import text
from edge_ser.measure.evaluation import TRAINED_CAVEAT

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from edge_ser.measure.evaluation import Evaluation
    from edge_ser.measure.figures import Figures

_N_NAMED = 8
_INTERVAL_WIDTH = 11


def print_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Print all tables of an evaluation."""
    _print_how(console, evaluation)
    console.print()
    f = evaluation.overall
    total = f.of + ("*" if evaluation.caveat(f.of) else "")
    for title, table in (
        ("Accuracy", _accuracy(evaluation)),
        ("WA of single speakers", _speakers(evaluation)),
        ("Recall of each class", _recall(evaluation)),
        (f"Confusion, {total}: clips", _confusion(evaluation)),
        ("Are the probabilities true?", _calibration(evaluation)),
        (f"Taking only sure answers, {total}", _abstention(evaluation)),
        ("With noise", _noise(evaluation)),
    ):
        if table is not None:
            console.print(title, style="bold", markup=False)
            console.print(table)
            if evaluation.trained_speakers:
                console.print(f"* {TRAINED_CAVEAT}\n", style="yellow")
    console.print(
        f"Intervals: 95%, bootstrap over speakers, {evaluation.n_draws} draws. "
        f"Clips without an answer are errors: {_no_answer(evaluation)}.",
        style="dim",
    )
    for one in [f.of for f in evaluation.figures if len(f.speakers) == 1]:
        console.print(f"{one}: one speaker, so no interval.", style="dim", markup=False)


def _print_how(console: Console, evaluation: Evaluation) -> None:
    model = evaluation.model
    console.print(f"{model.name} ({model.file}, SHA-256 {model.sha256[:12]}…)", markup=False)
    console.print(f"protocol: {evaluation.protocol}", style="bold", markup=False)
    for corpus in evaluation.corpora:
        console.print(
            f"{corpus.name}: {corpus.n_clips} clips, {len(corpus.speakers)} speakers", markup=False
        )
        if corpus.missing_labels:
            console.print(
                f"  has no {', '.join(corpus.missing_labels)}; the model may still answer so",
                markup=False,
            )
    for part in evaluation.left_out:
        console.print(f"left out: {part.corpus}, {part.n_clips} clips {part.reason}", markup=False)
    if names := evaluation.validation_speakers:
        console.print(
            f"{_named(names)} chose the training's epoch (validation): slightly flattering",
            markup=False,
        )
    if evaluation.n_speaker_unknown:
        console.print(
            f"{evaluation.n_speaker_unknown} clips of unknown speakers: whether the model was "
            "trained on them cannot be told",
            style="yellow",
        )


def _no_answer(evaluation: Evaluation) -> str:
    counts = evaluation.overall.no_answer
    return ", ".join(f"{n} {reason}" for reason, n in counts.items()) or "there are none"


def _accuracy(evaluation: Evaluation) -> Table:
    table = _table("", "clips", "speakers", "WA", "95%", "UAR", "95%")
    for f in evaluation.figures:
        table.add_row(
            _name(evaluation, f),
            str(f.n_clips),
            str(len(f.speakers)),
            text.percent(f.wa.value),
            text.percent_interval(f.wa),
            text.percent(f.uar.value),
            text.percent_interval(f.uar),
        )
    return table


def _speakers(evaluation: Evaluation) -> Table:
    from rich.markup import escape

    table = _table("", "lowest", "", "highest", "")
    for f in evaluation.figures[: len(evaluation.corpora)]:
        cells = [
            c for s in (f.speakers[0], f.speakers[-1]) for c in (s.speaker, text.percent(s.wa))
        ]
        table.add_row(_name(evaluation, f), *map(escape, cells))
    return table


def _recall(evaluation: Evaluation) -> Table:
    """Return the recalls on each corpus and, last, those over all with their intervals."""
    from rich.markup import escape

    names = [_name(evaluation, f) for f in evaluation.figures]
    table = _table("", *names, "95%")
    for label in evaluation.model.labels:
        found = [f.recall.get(label) for f in evaluation.figures]
        cells = [text.percent(figure.value) if figure else text.MISSING for figure in found]
        interval = text.percent_interval(found[-1]) if found[-1] else text.MISSING
        table.add_row(escape(label), *cells, interval)
    return table


def _confusion(evaluation: Evaluation) -> Table:
    from rich.markup import escape

    f = evaluation.overall
    labels = [escape(label) for label in evaluation.model.labels]
    silent = any(row[-1] for row in f.confusion)
    heads = [*labels, *(["no answer"] if silent else [])]
    table = _table("said ↓  heard →", *heads)
    for place, row in enumerate(f.confusion):
        cells = [str(n) if n else "·" for n in row[: len(heads)]]
        cells[place] = f"[bold]{cells[place]}[/]"
        table.add_row(labels[place], *cells)
    return table


def _calibration(evaluation: Evaluation) -> Table:
    table = _table("", "ECE", "95%", "Brier", "NLL")
    for f in evaluation.figures:
        table.add_row(
            _name(evaluation, f),
            text.decimal(f.ece.value),
            text.decimal_interval(f.ece),
            text.decimal(f.brier.value),
            text.decimal(f.nll.value),
        )
    return table


def _abstention(evaluation: Evaluation) -> Table:
    f = evaluation.overall
    table = _table("probability at least", "answers", "of them right")
    for row in f.abstention:
        mark = " (card)" if 0 < row.threshold == evaluation.model.abstain_below else ""
        table.add_row(f"{row.threshold:g}{mark}", text.coverage(row, f.n_clips), text.accuracy(row))
    return table


def _noise(evaluation: Evaluation) -> Table | None:
    from rich.markup import escape

    if not evaluation.noisy:
        return None
    noise = evaluation.noisy[0].noise
    names = [_name(evaluation, f) for f in evaluation.figures]
    heads = [head for name in names for head in (f"{name} UAR", "points")]
    table = _table(f"{escape(noise)} noise", *heads)
    table.add_row("none", *[c for f in evaluation.figures for c in (text.percent(f.uar.value), "")])
    for level in evaluation.noisy:
        cells = []
        for f, clean in zip(level.figures, evaluation.figures, strict=True):
            drop = f.uar.value - clean.uar.value
            cells += [text.percent(f.uar.value), text.points(drop)]
        table.add_row(text.decibels(level.snr_db), *cells)
    return table


def _table(first: str, *heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for head in heads:
        interval = head == "95%"
        table.add_column(
            head,
            justify="right",
            style="dim" if interval else "",
            min_width=_INTERVAL_WIDTH if interval else None,
        )
    return table


def _name(evaluation: Evaluation, f: Figures) -> str:
    from rich.markup import escape

    return escape(f.of) + ("[yellow]*[/]" if evaluation.caveat(f.of) else "")


def _named(names: tuple[str, ...]) -> str:
    more = len(names) - _N_NAMED
    return ", ".join(names[:_N_NAMED]) + (f" and {more} more" if more > 0 else "")
