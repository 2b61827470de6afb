"""Tables of `evaluate`: the measurement, then the figures of each block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_ser.cli._shared.tables import plain_table
from edge_ser.evaluation.distribution import NO_SPEECH
from edge_ser.evaluation.selection import NOTES
from edge_ser.reports import format as text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from edge_ser.evaluation.distribution import Distribution
    from edge_ser.evaluation.figures import Figures
    from edge_ser.evaluation.report import Block, Evaluation, MeasuredCorpus
    from edge_ser.evaluation.resampling import Figure

_N_NAMED = 8


def print_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Print all tables of an evaluation."""
    _print_how(console, evaluation)
    for block in evaluation.blocks:
        _print_block(console, evaluation, block)
    _print_distributions(console, evaluation)


def _print_how(console: Console, evaluation: Evaluation) -> None:
    model = evaluation.model
    console.print(f"{model.name} ({model.file}, SHA-256 {model.sha256[:12]}…)", markup=False)
    console.print(f"protocol: {evaluation.protocol}", style="bold", markup=False)
    console.print(f"mode: {text.mode(evaluation.detector)}", markup=False)
    for corpus in evaluation.corpora:
        console.print(_corpus(corpus), markup=False)
        if corpus.missing_labels:
            console.print(
                f"  has no {', '.join(corpus.missing_labels)}; the model may still predict it",
                markup=False,
            )
    for part in evaluation.left_out:
        console.print(f"left out: {part.corpus}, {part.n_clips} clips {part.reason}", markup=False)
    if names := evaluation.validation_speakers:
        console.print(
            f"{_named(names)} selected the training's epoch (validation): slightly optimistic",
            markup=False,
        )


def _corpus(corpus: MeasuredCorpus) -> str:
    speakers = text.speakers(len(corpus.speakers), corpus.n_speaker_unknown)
    return f"{corpus.name}: {corpus.n_clips} clips, speakers: {speakers} ({NOTES[corpus.scope]})"


def _print_block(console: Console, evaluation: Evaluation, block: Block) -> None:
    console.print()
    console.rule(f"[bold]{block.title}[/]", align="left")
    console.print(block.meaning, style="yellow" if block.caveat else "", markup=False)
    console.print()
    total = block.overall.of + ("*" if block.caveat else "")
    sections = (
        ("Accuracy", _accuracy(block)),
        (_answered_title(evaluation), _answered(block)),
        ("With the voice detector", _live(block)),
        (f"Recall and precision of each class, {total}", _classes(block)),
        ("Recall / precision by corpus", _classes_by_corpus(evaluation, block)),
        (f"Confident errors, {total}", _confident_errors(evaluation, block)),
        ("High arousal against low: area under the ROC", _arousal(block)),
        ("WA of single speakers", _speakers(block)),
        (f"Confusion, {total}: clips", _confusion(evaluation, block)),
        ("Are the probabilities true?", _calibration(block)),
        (f"Taking only sure answers, {total}", _abstention(evaluation, block)),
        ("With noise", _noise(block)),
    )
    for title, table in sections:
        if table is not None:
            console.print(title, style="bold", markup=False)
            console.print(table)
            if block.caveat:
                console.print(f"* {block.caveat}", style="yellow")
            console.print()
    _print_notes(console, evaluation, block)


def _print_notes(console: Console, evaluation: Evaluation, block: Block) -> None:
    for f in block.figures:
        note = text.intervals(f.intervals_over, evaluation.n_draws, f.n_speakers)
        console.print(f"{f.of}: {note}.", style="dim", markup=False)
    counts = text.no_answer(block.overall.no_answer)
    console.print(f"Clips without an answer are errors: {counts}.", style="dim", markup=False)


def _accuracy(block: Block) -> Table:
    table = plain_table("", right=("clips", "speakers", "WA", "95%", "UAR", "95%", "no answer"))
    for f in block.figures:
        table.add_row(
            _name(block, f),
            str(f.n_clips),
            text.speakers(f.n_speakers, f.n_speaker_unknown),
            *_with_interval(f.wa),
            *_with_interval(f.uar),
            str(sum(f.no_answer.values())),
        )
    return table


def _answered_title(evaluation: Evaluation) -> str:
    threshold = evaluation.model.abstain_below
    if not threshold:
        return "Clips answered (the card advises no threshold)"
    return f"Clips answered at the card's threshold, {threshold:g}"


def _answered(block: Block) -> Table:
    table = plain_table("", right=("answered", "95%", "of them right", "95%"))
    for f in block.figures:
        table.add_row(
            _name(block, f), *_with_interval(f.answered.share), *_with_interval(f.answered.right)
        )
    return table


def _live(block: Block) -> Table | None:
    rows = [(f, f.live) for f in block.figures if f.live is not None]
    if not rows:
        return None
    table = plain_table(
        "",
        right=(
            "no speech found",
            "utterances",
            "speech",
            "label changes a minute",
            "with abstention",
        ),
    )
    for f, live in rows:
        table.add_row(
            _name(block, f),
            text.share(live.n_without_speech, f.n_clips),
            str(live.n_utterances),
            f"{live.speech_s / 60:.1f} min",
            text.changes(live),
            text.share(live.n_abstention_changes, live.n_changes),
        )
    return table


def _classes(block: Block) -> Table:
    from rich.markup import escape

    f = block.overall
    table = plain_table(
        "", right=("recall", "95%", "precision", "95%", "true", "called", "called for each")
    )
    for calls in f.calls:
        table.add_row(
            escape(calls.label),
            *_with_interval(f.recall.get(calls.label)),
            *_with_interval(calls.precision),
            str(calls.n_true),
            str(calls.n_called),
            text.ratio(calls),
        )
    return table


def _classes_by_corpus(evaluation: Evaluation, block: Block) -> Table | None:
    from rich.markup import escape

    if len(block.figures) == 1:
        return None
    table = plain_table("", right=tuple(_name(block, f) for f in block.figures))
    for index, label in enumerate(evaluation.model.labels):
        cells = []
        for f in block.figures:
            recall, precision = f.recall.get(label), f.calls[index].precision
            cells.append(f"{_value(recall)} / {_value(precision)}")
        table.add_row(escape(label), *cells)
    return table


def _confident_errors(evaluation: Evaluation, block: Block) -> Table:
    from rich.markup import escape

    table = plain_table(
        "probability at least",
        right=("wrong of answers",),
        then=("most often: truth → called",),
    )
    for errors in block.overall.confident_errors:
        mark = " (card)" if errors.threshold == evaluation.model.abstain_below else ""
        table.add_row(
            f"{errors.threshold:g}{mark}", text.confident_errors(errors), escape(text.pairs(errors))
        )
    return table


def _arousal(block: Block) -> Table | None:
    rows = [(f, f.arousal) for f in block.figures if f.arousal is not None]
    if not rows:
        return None
    has_output = any(arousal.output_auc for _, arousal in rows)
    table = plain_table(
        "",
        right=(
            "high",
            "low",
            "by labels",
            "95%",
            *(["arousal output", "95%"] if has_output else []),
        ),
    )
    for f, arousal in rows:
        cells = [str(arousal.n_high), str(arousal.n_low), *_decimals(arousal.auc)]
        table.add_row(
            _name(block, f), *cells, *(_decimals(arousal.output_auc) if has_output else [])
        )
    return table


def _speakers(block: Block) -> Table | None:
    from rich.markup import escape

    rows = [(f, f.ranked_speakers) for f in block.corpora if f.ranked_speakers]
    if not rows:
        return None
    table = plain_table("of at least 20 clips", right=("lowest", "", "highest", ""))
    for f, ranked in rows:
        ends = (ranked[0], ranked[-1])
        cells = [cell for s in ends for cell in (s.speaker, text.percent(s.wa))]
        table.add_row(_name(block, f), *map(escape, cells))
    return table


def _confusion(evaluation: Evaluation, block: Block) -> Table:
    from rich.markup import escape

    f = block.overall
    labels = [escape(label) for label in evaluation.model.labels]
    silent = any(row[-1] for row in f.confusion)
    heads = [*labels, *(["no answer"] if silent else [])]
    table = plain_table("true ↓  called →", right=heads)
    for index, row in enumerate(f.confusion):
        if not any(row):
            continue
        cells = [str(n) if n else "·" for n in row[: len(heads)]]
        cells[index] = f"[bold]{cells[index]}[/]"
        table.add_row(labels[index], *cells)
    return table


def _calibration(block: Block) -> Table:
    table = plain_table("", right=("ECE", "95%", "Brier", "NLL"))
    for f in block.figures:
        table.add_row(
            _name(block, f),
            *_decimals(f.ece),
            text.decimal(f.brier.value),
            text.decimal(f.nll.value),
        )
    return table


def _abstention(evaluation: Evaluation, block: Block) -> Table:
    f = block.overall
    table = plain_table("probability at least", right=("answers", "of them right"))
    for row in f.abstention:
        mark = " (card)" if 0 < row.threshold == evaluation.model.abstain_below else ""
        table.add_row(f"{row.threshold:g}{mark}", text.coverage(row, f.n_clips), text.accuracy(row))
    return table


def _noise(block: Block) -> Table | None:
    from rich.markup import escape

    if not block.noisy:
        return None
    names = [_name(block, f) for f in block.figures]
    heads = [head for name in names for head in (f"{name} UAR", "points")]
    table = plain_table(f"{escape(block.noisy[0].noise)} noise", right=heads)
    table.add_row("none", *[c for f in block.figures for c in (text.percent(f.uar.value), "")])
    for level in block.noisy:
        cells = []
        for f, clean in zip(level.figures, block.figures, strict=True):
            drop = f.uar.value - clean.uar.value
            cells += [text.percent(f.uar.value), text.points(drop)]
        table.add_row(text.decibels(level.snr_db), *cells)
    return table


def _print_distributions(console: Console, evaluation: Evaluation) -> None:
    speech = [d for d in evaluation.distributions if d.kind != NO_SPEECH]
    noise = [d for d in evaluation.distributions if d.kind == NO_SPEECH]
    if speech:
        console.print()
        console.rule("[bold]Corpora of one label or none[/]", align="left")
        console.print("They take no part in the figures above. Shares are of all their clips.\n")
        _print_speech(console, evaluation, speech)
    if noise:
        console.print()
        console.rule("[bold]Files without speech[/]", align="left")
        console.print("Any label is a false alarm.\n")
        console.print(_without_speech(noise))


def _print_speech(
    console: Console, evaluation: Evaluation, distributions: list[Distribution]
) -> None:
    table = plain_table(
        "", right=("clips", "expected or abstained", "95%", "something else", "95%", "at ≥ 0.8")
    )
    for d in distributions:
        table.add_row(
            _corpus_name(d),
            str(d.n_clips),
            *_with_interval(d.expected_or_abstained),
            *_with_interval(d.something_else),
            text.percent(d.sure_else.value),
        )
    console.print(table)
    console.print()
    labels = [x for x in evaluation.model.labels if any(d.likeliest.get(x) for d in distributions)]
    for title, key in (("Likeliest label", "likeliest"), ("Called", "called")):
        called = key == "called"
        heads = [*map(_escaped, labels), *(["abstained"] if called else []), "no answer"]
        table = plain_table(title, right=[*heads, *([] if called else ["mean probability"])])
        for d in distributions:
            counts = d.called if called else d.likeliest
            cells = [text.share(counts.get(label, 0), d.n_clips) for label in labels]
            cells += [text.share(d.n_abstained, d.n_clips)] if called else []
            cells += [text.share(sum(d.no_answer.values()), d.n_clips)]
            if not called:
                cells.append(text.MISSING if d.confidence is None else text.decimal(d.confidence))
            table.add_row(_corpus_name(d), *cells)
        console.print(table)
        console.print()
    if any(d.live for d in distributions):
        console.print(_live_of(distributions))
        console.print()
    for d in distributions:
        note = f"{d.of}: {text.no_answer(d.no_answer)} without an answer; "
        note += f"{text.intervals(d.intervals_over, evaluation.n_draws, d.n_speakers)}."
        console.print(note, style="dim", markup=False)


def _live_of(distributions: list[Distribution]) -> Table:
    table = plain_table(
        "With the voice detector", right=("no speech found", "speech", "label changes a minute")
    )
    for d in distributions:
        if d.live is not None:
            table.add_row(
                _corpus_name(d),
                text.share(d.live.n_without_speech, d.n_clips),
                f"{d.live.speech_s / 60:.1f} min",
                text.changes(d.live),
            )
    return table


def _without_speech(distributions: list[Distribution]) -> Table:
    table = plain_table(
        "", right=("files", "with any label", "95%", "speech found"), then=("called",)
    )
    for d in distributions:
        live = d.live
        table.add_row(
            _escaped(d.of),
            str(d.n_clips),
            *_with_interval(d.any_label),
            text.share(d.n_clips - live.n_without_speech, d.n_clips) if live else text.MISSING,
            _escaped(text.counts(d.called, d.n_clips)),
        )
    return table


def _with_interval(figure: Figure | None) -> tuple[str, str]:
    if figure is None:
        return text.MISSING, text.MISSING
    return text.percent(figure.value), text.percent_interval(figure)


def _decimals(figure: Figure | None) -> tuple[str, str]:
    if figure is None:
        return text.MISSING, text.MISSING
    return text.decimal(figure.value), text.decimal_interval(figure)


def _value(figure: Figure | None) -> str:
    return text.MISSING if figure is None else text.percent(figure.value)


def _name(block: Block, f: Figures) -> str:
    return _escaped(f.of) + ("[yellow]*[/]" if block.caveat else "")


def _corpus_name(d: Distribution) -> str:
    return _escaped(f"{d.of} ({d.kind})")


def _escaped(name: str) -> str:
    from rich.markup import escape

    return escape(name)


def _named(names: tuple[str, ...]) -> str:
    more = len(names) - _N_NAMED
    return ", ".join(names[:_N_NAMED]) + (f" and {more} more" if more > 0 else "")
