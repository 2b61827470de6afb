"""Sections of the evaluation page: classes of a block, each corpus, corpora of one label or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_ser.evaluation.distribution import NO_SPEECH, Distribution
from edge_ser.evaluation.figures import Figures
from edge_ser.evaluation.report import Block, Evaluation
from edge_ser.evaluation.resampling import Figure
from edge_ser.reports import format as text
from edge_ser.reports.evaluation_charts import distribution_chart, recall_chart, reliability_chart
from edge_ser.reports.html import Child, Node, node, table, with_interval

TERMS: Mapping[str, str] = {
    "WA": (
        "weighted accuracy: right answers / clips. Where one class has most of the clips, always "
        "naming it looks good here."
    ),
    "UAR": (
        "unweighted average recall: the share of right answers within each class, averaged over the "
        "classes, however many clips each has. Guessing gives 1 / number of classes."
    ),
    "recall": "of all clips of a class, the share that the model names so.",
    "precision": (
        "of all clips that the model names so, the share that is right. A label with a low precision "
        "is called too often: calls for each clip are above 1×."
    ),
    "answered": (
        "clips with a label of at least the probability that the model's card advises; below it a "
        "device gives no label."
    ),
    "confident errors": "answers that are wrong although their probability is high.",
    "AUC": (
        "area under the ROC: how often a clip of high arousal (angry, happy, fearful, surprised) gets "
        "more of these labels' probability than one of low arousal does. 0.5 is chance, 1 a perfect "
        "order."
    ),
    "95% interval": (
        "with other speakers of the same kind, the figure would mostly lie in it. With fewer than "
        "about ten speakers the true uncertainty is larger still, and larger again where clips are "
        "drawn because nobody knows who speaks."
    ),
    "confusion": (
        "a row for each true class, a column for each class that was called; percentages are of the "
        "row."
    ),
    "ECE": (
        "expected calibration error: clips of similar probability are put together, and that "
        "probability is compared with their share of right answers. 0.10 is off by 10 points on "
        "average. 15 bins, Guo et al. 2017. Few clips make it too large; its interval takes that off, "
        "and begins at 0 where a model with true probabilities would do no better."
    ),
    "Brier, NLL": (
        "two further scores of the probabilities, lower is better; to be sure and wrong costs most in "
        "NLL (negative log likelihood, in nats)."
    ),
    "SNR": (
        "signal-to-noise ratio: how far the noise lies below the speech; at 20 dB it is audible, at "
        "0 dB it is as loud as the speech."
    ),
    "no answer": (
        "silent clips, clips too short for the model and, with the voice detector, clips without "
        "speech: a device shows nothing. They count as errors, and have no probability."
    ),
}
"""Term → explanation."""


def class_figures(evaluation: Evaluation, block: Block) -> list[Node]:
    """Return chart, confusion and table of the classes over all clips of a block."""
    f = block.overall
    notes = [f.of] if len(block.figures) > 1 else []
    notes += [block.caveat] if block.caveat else []
    of = f" ({', '.join(notes)})" if notes else ""
    return [
        node("h3", "Classes" + of),
        node("div", _recall_figure(f), _confusion_figure(evaluation, f), class_="columns"),
        _calls_table(f),
    ]


def corpus_details(evaluation: Evaluation, block: Block) -> list[Node]:
    """Return the charts of each corpus, collapsed, if there are several."""
    if len(block.figures) == 1:
        return []
    caveat = f" ({block.caveat})" if block.caveat else ""
    folded = [
        node(
            "details",
            node("summary", f"{f.of} alone" + caveat),
            node("div", _recall_figure(f), _confusion_figure(evaluation, f), reliability_figure(f),
                 class_="columns"),
            _calls_table(f),
        )
        for f in block.corpora
    ]  # fmt: skip
    return [node("h3", "Each corpus"), *folded]


def reliability_figure(f: Figures) -> Node:
    """Return the reliability chart with its caption."""
    caption = (
        "Bars: how often answers of that probability are right. Orange: their mean probability. On the "
        "dashed line both agree; bars below it mean that the model is too sure."
    )
    return node(
        "figure",
        node("h3", "Are the probabilities true?"),
        reliability_chart(f),
        node("figcaption", caption),
    )


def _calls_table(f: Figures) -> Node:
    heads = ["class", "recall", "precision", "clips", "calls", "calls for each clip"]
    rows: list[list[Child]] = [
        [
            calls.label,
            _share(f.recall.get(calls.label)),
            _share(calls.precision),
            str(calls.n_true),
            str(calls.n_called),
            text.ratio(calls),
        ]
        for calls in f.calls
    ]
    return table(heads, rows)


def _recall_figure(f: Figures) -> Node:
    caption = (
        "Recall: of all clips of a class, those named so. Precision: of all clips named so, those that "
        "are; where it is low, the label is called too often. Bars are the 95% intervals."
    )
    return node(
        "figure",
        node("h3", "Recall and precision"),
        recall_chart(f),
        node("figcaption", caption),
    )


def _confusion_figure(evaluation: Evaluation, f: Figures) -> Node:
    labels = list(evaluation.model.labels)
    heads = [*labels, "no answer"] if any(row[-1] for row in f.confusion) else labels
    body = []
    for place, (label, row) in enumerate(zip(labels, f.confusion, strict=True)):
        total = sum(row)
        if total:
            cells = [_cell(n, total, hit=place == k) for k, n in enumerate(row[: len(heads)])]
            body.append(node("tr", node("th", label), *cells))
    corner = node("th", "true ↓ called →")
    top = node("tr", corner, *(node("th", node("span", head)) for head in heads))
    caption = "Clips, and their share of the row: the truth (rows) and what was called (columns)."
    return node(
        "figure",
        node("h3", "Confusion"),
        node("table", node("thead", top), node("tbody", *body), class_="confusion"),
        node("figcaption", caption),
    )


def _cell(n: int, total: int, *, hit: bool) -> Node:
    share = f"--share:{n / total:.3f}"
    if not n:
        return node("td", "·", class_="none", style=share)
    share_text = node("small", f"{100 * n / total:.0f}%")
    return node("td", str(n), share_text, class_="hit" if hit else None, style=share)


def _share(figure: Figure | None) -> Child:
    if figure is None:
        return text.MISSING
    return with_interval(text.percent(figure.value), text.percent_interval(figure))


def plain_sections(evaluation: Evaluation) -> list[Node]:
    """Return the sections on corpora of one label or none; empty without such corpora."""
    speech = [d for d in evaluation.distributions if d.kind != NO_SPEECH]
    noise = [d for d in evaluation.distributions if d.kind == NO_SPEECH]
    return [*(_speech(evaluation, speech) if speech else []), *(_noise(noise) if noise else [])]


def _speech(evaluation: Evaluation, found: Sequence[Distribution]) -> list[Node]:
    caption = (
        "Shares of all clips. Called is a label with at least the card's probability; something else is "
        "a call of another label than the expected one (neutral, where nobody labelled the speech)."
    )
    heads = ["corpus", "clips", "expected or abstained", "something else", "at ≥ 0.8", "no answer",
             "mean probability"]  # fmt: skip
    rows: list[list[Child]] = [
        [
            f"{d.of} ({d.kind})",
            str(d.n_clips),
            _share(d.expected_or_abstained),
            _share(d.something_else),
            text.percent(d.sure_else.value),
            text.no_answer(d.no_answer),
            text.MISSING if d.confidence is None else text.decimal(d.confidence),
        ]
        for d in found
    ]
    made = [
        node("h2", "Corpora of one label or none", class_="block"),
        node("p", "They take no part in the figures above.", class_="muted"),
        node("figure", distribution_chart(found), node("figcaption", caption)),
        table(heads, rows),
    ]
    labels = [x for x in evaluation.model.labels if any(d.likeliest.get(x) for d in found)]
    cells: list[list[Child]] = [
        [
            f"{d.of} ({d.kind})",
            *(
                with_interval(text.share(d.likeliest.get(x, 0), d.n_clips),
                              f"called {text.share(d.called.get(x, 0), d.n_clips)}")
                for x in labels
            ),
            text.share(d.n_abstained, d.n_clips),
        ]
        for d in found
    ]  # fmt: skip
    made += [node("h3", "Likeliest label"), table(["corpus", *labels, "abstained"], cells)]
    live: list[list[Child]] = [
        [
            f"{d.of} ({d.kind})",
            text.share(d.live.n_without_speech, d.n_clips),
            f"{d.live.speech_s / 60:.1f} min",
            text.changes(d.live),
        ]
        for d in found
        if d.live is not None
    ]
    if live:
        heads = ["corpus", "no speech found", "speech", "label changes a minute"]
        made += [node("h3", "With the voice detector"), table(heads, live)]
    return made


def _noise(found: Sequence[Distribution]) -> list[Node]:
    rows: list[list[Child]] = [
        [
            d.of,
            str(d.n_clips),
            _share(d.any_label),
            text.share(d.n_clips - d.live.n_without_speech, d.n_clips) if d.live else text.MISSING,
            text.counts(d.called, d.n_clips),
        ]
        for d in found
    ]
    heads = ["folder", "files", "with any label", "speech found", "called"]
    return [
        node("h2", "Files without speech", class_="block"),
        node("p", "Any label is a false alarm.", class_="muted"),
        table(heads, rows),
    ]
