"""Corpora of one label or none on the page."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ser.evaluation.distribution import NO_SPEECH, Distribution
from edge_ser.evaluation.report import Evaluation
from edge_ser.evaluation.resampling import Figure
from edge_ser.reports import format as text
from edge_ser.reports.evaluation_charts import distribution_chart
from edge_ser.reports.html import Child, Node, node, table, with_interval


def plain_sections(evaluation: Evaluation) -> list[Node]:
    """Return the sections on plain speech and on files without speech; empty without any."""
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


def _share(figure: Figure) -> Node:
    return with_interval(text.percent(figure.value), text.percent_interval(figure))
