"""Evaluation as one page of HTML: no script, no request, light and dark."""

from __future__ import annotations

from edge_ser.evaluation.distribution import NO_SPEECH
from edge_ser.evaluation.figures import Abstention, Figures
from edge_ser.evaluation.report import Block, Evaluation
from edge_ser.evaluation.resampling import Figure
from edge_ser.evaluation.selection import NOTES
from edge_ser.reports import format as text
from edge_ser.reports.evaluation_charts import noise_chart, speakers_chart
from edge_ser.reports.evaluation_sections import (
    TERMS,
    class_figures,
    corpus_details,
    plain_sections,
    reliability_figure,
)
from edge_ser.reports.html import (
    Child,
    Node,
    facts_table,
    html_page,
    node,
    table,
    tile,
    with_interval,
)


def page(evaluation: Evaluation) -> str:
    """Return the page as text, with all charts and styles embedded."""
    name = evaluation.model.name
    sections = [*_top(evaluation), *_measured(evaluation)]
    for block in evaluation.blocks:
        sections += _block(evaluation, block)
    sections += [*plain_sections(evaluation), *_terms()]
    return html_page(f"{name}: evaluation", sections)


def _top(evaluation: Evaluation) -> list[Node]:
    made = [
        node("h1", f"{evaluation.model.name}: how well it recognises emotion"),
        node("p", f"Protocol: {evaluation.protocol}.", class_="muted"),
    ]
    for block in evaluation.blocks:
        made += [node("h3", block.title), node("p", block.meaning, class_="muted")]
        if block.caveat:
            made.append(
                node("p", f"Every figure here {block.caveat}: it tells what the model remembers, not "
                     "what a new speaker meets.", class_="warn")
            )  # fmt: skip
        made.append(node("div", *_tiles(evaluation, block), class_="tiles"))
    plain = [
        tile(
            f"{d.of}, {d.kind}",
            text.percent(
                d.any_label.value if d.kind == NO_SPEECH else d.expected_or_abstained.value
            ),
            "get any label" if d.kind == NO_SPEECH else f"{d.expected} or abstained",
            *(
                []
                if d.kind == NO_SPEECH
                else [f"{text.percent(d.something_else.value)} something else"]
            ),
        )
        for d in evaluation.distributions
    ]
    if plain:
        made += [node("h3", "Corpora of one label or none"), node("div", *plain, class_="tiles")]
    return made


def _tiles(evaluation: Evaluation, block: Block) -> list[Node]:
    f, n_classes = block.overall, len(evaluation.model.labels)
    tiles = [
        tile("UAR", text.percent(f.uar.value), _span(f, f.uar),
             f"mean recall of the classes; guessing gives {text.percent(1 / n_classes)}"),
        tile("WA", text.percent(f.wa.value), _span(f, f.wa), "clips that are answered right"),
        tile("ECE", text.decimal(f.ece.value), _span(f, f.ece, decimal=True),
             "how far probabilities are from the truth; 0 is best"),
    ]  # fmt: skip
    if f.answered.threshold and f.answered.right:
        tiles.append(
            tile(
                "right of the answered",
                text.percent(f.answered.right.value),
                _span(f, f.answered.right),
                f"{text.percent(f.answered.share.value)} of the clips are answered, at the card's "
                f"threshold {f.answered.threshold:g}",
            )
        )
    if ranked := f.ranked_speakers:
        best = f"best: {text.percent(ranked[-1].wa)}; of those with 20 clips or more"
        tiles.append(tile("worst speaker", text.percent(ranked[0].wa), ranked[0].speaker, best))
    if block.noisy:
        level = min(block.noisy, key=lambda level: abs(level.snr_db - 10))
        drop = level.figures[-1].uar.value - f.uar.value
        tiles.append(
            tile(
                f"noise, {text.decibels(level.snr_db)}",
                text.points(drop),
                f"points: UAR is {text.percent(level.figures[-1].uar.value)}",
                f"with {level.noise} noise added",
            )
        )
    return tiles


def _measured(evaluation: Evaluation) -> list[Node]:
    model = evaluation.model
    windows = f"of {model.window_s:g} s every {model.hop_s:g} s"
    about = f"{model.file}, {model.n_parameters:,} parameters, SHA-256 "
    facts: list[tuple[str, list[Child]]] = [
        ("model", [about, node("code", model.sha256 or text.MISSING)]),
        ("windows", [windows]),
        ("mode", [text.mode(evaluation.detector)]),
        ("labels", [", ".join(model.labels)]),
    ]
    for corpus in evaluation.corpora:
        known = text.speakers(len(corpus.speakers), corpus.n_speaker_unknown)
        description = f"{corpus.n_clips} clips, speakers: {known}; {NOTES[corpus.scope]}"
        if corpus.missing_labels:
            description += (
                f"; it has no {', '.join(corpus.missing_labels)}, but the model may answer so"
            )
        facts.append((corpus.name, [description]))
    if evaluation.left_out:
        parts = [f"{p.corpus}: {p.n_clips} clips {p.reason}" for p in evaluation.left_out]
        facts.append(("left out", [node("div", part) for part in parts]))
    if evaluation.validation_speakers:
        names = ", ".join(evaluation.validation_speakers)
        facts.append(("validation", [f"{names} chose the training's epoch: slightly flattering"]))
    facts += [
        ("intervals", [f"95%, bootstrap, {evaluation.n_draws} draws, seed {evaluation.seed}"]),
        ("data", ["SHA-256 ", node("code", evaluation.data_sha256)]),
        ("versions", [", ".join(f"{name} {v}" for name, v in evaluation.versions.items())]),
    ]
    return [node("h2", "What was measured"), facts_table(facts)]


def _block(evaluation: Evaluation, block: Block) -> list[Node]:
    return [
        node("h2", block.title, class_="block"),
        node("p", block.meaning, class_="muted"),
        *_figures(evaluation, block),
        *class_figures(evaluation, block),
        *_probabilities(evaluation, block),
        *_speakers(evaluation, block),
        *_noise(evaluation, block),
        *corpus_details(evaluation, block),
    ]


def _figures(evaluation: Evaluation, block: Block) -> list[Node]:
    heads = ["corpus", "clips", "speakers", "WA", "UAR", "answered", "of them right", "ECE", "Brier",
             "NLL", "no answer"]  # fmt: skip
    rows: list[list[Child]] = [
        [
            _named(block, f),
            str(f.n_clips),
            text.speakers(f.n_speakers, f.n_speaker_unknown),
            _share(f.wa),
            _share(f.uar),
            _share(f.answered.share),
            _share(f.answered.right),
            with_interval(text.decimal(f.ece.value), text.decimal_interval(f.ece)),
            text.decimal(f.brier.value),
            text.decimal(f.nll.value),
            text.no_answer(f.no_answer),
        ]
        for f in block.figures
    ]
    made = [node("h3", "Figures" + _caveat(block)), table(heads, rows)]
    for f in block.figures:
        description = text.intervals(f.intervals_over, evaluation.n_draws, f.n_speakers)
        made.append(node("p", f"{f.of}: {description}.", class_="muted"))
    return [*made, *_arousal(block), *_live(block)]


def _arousal(block: Block) -> list[Node]:
    rows: list[list[Child]] = [
        [
            _named(block, f),
            str(f.arousal.n_high),
            str(f.arousal.n_low),
            _decimal(f.arousal.auc),
            _decimal(f.arousal.output_auc),
        ]
        for f in block.figures
        if f.arousal is not None
    ]
    if not rows:
        return []
    heads = ["corpus", "high", "low", "by the labels' probabilities", "by the arousal output"]
    return [node("h3", "High arousal against low: area under the ROC"), table(heads, rows)]


def _live(block: Block) -> list[Node]:
    rows: list[list[Child]] = [
        [
            _named(block, f),
            text.share(f.live.n_without_speech, f.n_clips),
            str(f.live.n_utterances),
            f"{f.live.speech_s / 60:.1f} min",
            text.changes(f.live),
            text.share(f.live.n_abstention_changes, f.live.n_changes),
        ]
        for f in block.figures
        if f.live is not None
    ]
    if not rows:
        return []
    heads = ["corpus", "no speech found", "utterances", "speech", "label changes a minute",
             "with abstention"]  # fmt: skip
    return [node("h3", "With the voice detector"), table(heads, rows)]


def _probabilities(evaluation: Evaluation, block: Block) -> list[Node]:
    f = block.overall
    rows: list[list[Child]] = [
        [_threshold(evaluation, row), text.coverage(row, f.n_clips), text.accuracy(row)]
        for row in f.abstention
    ]
    sure = node(
        "figure",
        node("h3", "Taking only sure answers"),
        table(["probability at least", "clips answered", "of them right"], rows),
        node("figcaption", "A device may keep silent where the model is not sure: the higher the "
             "least probability, the fewer answers, and the more of them should be right."),
    )  # fmt: skip
    errors: list[list[Child]] = [
        [f"{e.threshold:g}", text.confident_errors(e), text.pairs(e)] for e in f.confident_errors
    ]
    heads = ["probability at least", "wrong of the answers", "most often: truth → called"]
    return [
        node("h3", "Probabilities" + _of(block, f)),
        node("div", reliability_figure(f), sure, class_="columns"),
        node("h3", "Confident errors" + _of(block, f)),
        table(heads, errors),
    ]


def _speakers(evaluation: Evaluation, block: Block) -> list[Node]:
    rows: list[list[Child]] = [
        [speaker.speaker, str(speaker.n_clips), text.percent(speaker.wa)]
        for f in block.corpora
        for speaker in f.speakers
    ]
    if not rows:
        return []
    trained = " Hollow: in the training." if evaluation.trained_speakers else ""
    chart = speakers_chart(block, frozenset(evaluation.trained_speakers))
    return [
        node("h3", "Speakers" + _caveat(block)),
        node("figure", chart,
             node("figcaption", "A dot is a speaker, the line the corpus as a whole. The spread is what "
                  "your next user may meet; speakers with few clips lie apart by chance." + trained)),
        node("details", node("summary", "Each speaker"),
             table(["speaker", "clips", "WA"], rows)),
    ]  # fmt: skip


def _noise(evaluation: Evaluation, block: Block) -> list[Node]:
    if not block.noisy:
        return []
    name = block.noisy[0].noise
    heads = ["SNR", *(f.of for f in block.figures)]
    rows: list[list[Child]] = [["no noise", *(text.percent(f.uar.value) for f in block.figures)]]
    for level in block.noisy:
        pairs = zip(level.figures, block.figures, strict=True)
        cells = [
            with_interval(
                text.percent(f.uar.value), f"{text.points(f.uar.value - c.uar.value)} points"
            )
            for f, c in pairs
        ]
        rows.append([text.decibels(level.snr_db), *cells])
    caption = (
        f"UAR with {name} noise added, at so many dB below the speech (0 dB: as loud as it). The ratio "
        "is over the parts of a clip in which somebody speaks."
    )
    drawn = noise_chart(block, len(evaluation.model.labels))
    chart = node("figure", drawn, node("figcaption", caption))
    return [
        node("h3", f"With {name} noise" + _caveat(block)),
        node("div", chart, node("figure", table(heads, rows)), class_="columns"),
    ]


def _terms() -> list[Node]:
    terms: list[tuple[str, list[Child]]] = [
        (word, [description]) for word, description in TERMS.items()
    ]
    return [node("h2", "In plain words"), facts_table(terms)]


def _span(f: Figures, figure: Figure, *, decimal: bool = False) -> str:
    if not figure.interval:
        return "one speaker: no interval"
    interval = text.decimal_interval(figure) if decimal else text.percent_interval(figure)
    narrow = "" if f.n_speakers else " (over clips, too narrow)"
    return f"95%: {interval}{narrow}"


def _share(figure: Figure | None) -> Child:
    if figure is None:
        return text.MISSING
    return with_interval(text.percent(figure.value), text.percent_interval(figure))


def _decimal(figure: Figure | None) -> Child:
    if figure is None:
        return text.MISSING
    return with_interval(text.decimal(figure.value), text.decimal_interval(figure))


def _named(block: Block, f: Figures) -> Node:
    caveat = [node("small", block.caveat, class_="caveat")] if block.caveat else []
    return node("span", f.of, *caveat)


def _of(block: Block, f: Figures) -> str:
    notes = [f.of] if len(block.figures) > 1 else []
    notes += [block.caveat] if block.caveat else []
    return f" ({', '.join(notes)})" if notes else ""


def _threshold(evaluation: Evaluation, row: Abstention) -> str:
    advised = 0 < row.threshold == evaluation.model.abstain_below
    return f"{row.threshold:g}" + (" (the card's advice)" if advised else "")


def _caveat(block: Block) -> str:
    return f" ({block.caveat})" if block.caveat else ""
