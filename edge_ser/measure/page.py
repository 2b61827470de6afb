"""An evaluation as one page of HTML: no script, no request, light and dark."""

from __future__ import annotations

from edge_ser.measure import text
from edge_ser.measure.charts import noise_chart, recall_chart, reliability_chart, speakers_chart
from edge_ser.measure.evaluation import Evaluation
from edge_ser.measure.figures import Abstention, Figures
from edge_ser.measure.glossary import TERMS
from edge_ser.measure.markup import Child, Node, node
from edge_ser.measure.page_parts import facts_table, table, tile, whole_page


def page(evaluation: Evaluation) -> str:
    """Return the page as text; all pictures and styles are in it."""
    name = evaluation.model.name
    sections = [
        *_top(evaluation),
        *_measured(evaluation),
        *_corpora(evaluation),
        *_classes(evaluation),
        *_probabilities(evaluation),
        *_speakers(evaluation),
        *_noise(evaluation),
        *_single(evaluation),
        *_words(),
    ]
    return whole_page(f"{name}: evaluation", sections)


def _top(evaluation: Evaluation) -> list[Node]:
    f = evaluation.overall
    worst, n_classes = f.speakers[0], len(evaluation.model.labels)
    tiles = [
        tile("UAR", text.percent(f.uar.value), _span(text.percent_interval(f.uar)),
              f"mean recall of the classes; guessing gives {text.percent(1 / n_classes)}"),
        tile("WA", text.percent(f.wa.value), _span(text.percent_interval(f.wa)),
              "clips that are answered right"),
        tile("ECE", text.decimal(f.ece.value), _span(text.decimal_interval(f.ece)),
              "how far probabilities are from the truth; 0 is best"),
        tile("worst speaker", text.percent(worst.wa), worst.speaker,
              f"best: {text.percent(f.speakers[-1].wa)}"),
    ]  # fmt: skip
    if evaluation.noisy:
        level = min(evaluation.noisy, key=lambda level: abs(level.snr_db - 10))
        drop = level.figures[-1].uar.value - f.uar.value
        tiles.append(
            tile(
                f"noise, {text.decibels(level.snr_db)}",
                text.points(drop),
                f"points: UAR is {text.percent(level.figures[-1].uar.value)}",
                f"with {level.noise} noise added",
            )
        )
    made = [
        node("h1", f"{evaluation.model.name}: how well it recognises emotion"),
        node("p", f"Protocol: {evaluation.protocol}.", class_="muted"),
    ]
    if caveat := evaluation.caveat(f.of):
        made.append(
            node("p", f"Every figure here {caveat}: it tells what the model remembers, not what a "
                 "new speaker meets.", class_="warn")
        )  # fmt: skip
    return [*made, node("div", *tiles, class_="tiles")]


def _measured(evaluation: Evaluation) -> list[Node]:
    model = evaluation.model
    windows = f"windows of {model.window_s:g} s every {model.hop_s:g} s"
    draws = f"{evaluation.n_draws} draws, seed {evaluation.seed}"
    about = f"{model.file}, {model.n_parameters:,} parameters, SHA-256 "
    facts: list[tuple[str, list[Child]]] = [
        ("model", [about, node("code", model.sha256 or text.MISSING)]),
        ("hears", [f"{windows}; a clip is the mean of its windows, as in edge-ser run"]),
        ("answers with", [", ".join(model.labels)]),
    ]
    for corpus in evaluation.corpora:
        said = f"{corpus.n_clips} clips of {len(corpus.speakers)} speakers"
        if corpus.missing_labels:
            said += f"; it has no {', '.join(corpus.missing_labels)}, but the model may answer so"
        facts.append((corpus.name, [said]))
    if evaluation.left_out:
        parts = [f"{p.corpus}: {p.n_clips} clips {p.reason}" for p in evaluation.left_out]
        facts.append(("left out", [node("div", part) for part in parts]))
    if evaluation.validation_speakers:
        names = ", ".join(evaluation.validation_speakers)
        facts.append(("validation", [f"{names} chose the training's epoch: slightly flattering"]))
    if evaluation.n_speaker_unknown:
        said = f"{evaluation.n_speaker_unknown} clips: whether the model knows them cannot be told"
        facts.append(("unknown speakers", [said]))
    facts += [
        ("intervals", [f"95%, by bootstrap over speakers, {draws}"]),
        ("data", ["SHA-256 ", node("code", evaluation.data_sha256)]),
        ("versions", [", ".join(f"{name} {v}" for name, v in evaluation.versions.items())]),
    ]
    return [node("h2", "What was measured"), facts_table(facts)]


def _corpora(evaluation: Evaluation) -> list[Node]:
    heads = ["corpus", "clips", "speakers", "WA", "UAR", "ECE", "Brier", "NLL", "no answer"]
    rows: list[list[Child]] = [
        [
            _named(evaluation, f),
            str(f.n_clips),
            str(len(f.speakers)),
            _with_interval(text.percent(f.wa.value), text.percent_interval(f.wa)),
            _with_interval(text.percent(f.uar.value), text.percent_interval(f.uar)),
            _with_interval(text.decimal(f.ece.value), text.decimal_interval(f.ece)),
            text.decimal(f.brier.value),
            text.decimal(f.nll.value),
            ", ".join(f"{n} {reason}" for reason, n in f.no_answer.items()) or "0",
        ]
        for f in evaluation.figures
    ]
    return [node("h2", "Figures"), table(heads, rows)]


def _classes(evaluation: Evaluation) -> list[Node]:
    f = evaluation.overall
    return [
        node("h2", "Classes" + _of(evaluation, f)),
        node("div", _recall_figure(f), _confusion_figure(evaluation, f), class_="columns"),
    ]


def _probabilities(evaluation: Evaluation) -> list[Node]:
    f = evaluation.overall
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
    return [
        node("h2", "Probabilities" + _of(evaluation, f)),
        node("div", _reliability_figure(f), sure, class_="columns"),
    ]


def _speakers(evaluation: Evaluation) -> list[Node]:
    rows: list[list[Child]] = [
        [speaker.speaker, str(speaker.n_clips), text.percent(speaker.wa)]
        for f in evaluation.figures[: len(evaluation.corpora)]
        for speaker in f.speakers
    ]
    trained = " Hollow: heard in training." if evaluation.trained_speakers else ""
    return [
        node("h2", "Speakers" + _caveat(evaluation, evaluation.overall)),
        node("figure", speakers_chart(evaluation),
             node("figcaption", "A dot is a speaker, the line the corpus as a whole. The spread is what "
                  "your next user may meet." + trained)),
        node("details", node("summary", "Each speaker"),
             table(["speaker", "clips", "WA"], rows)),
    ]  # fmt: skip


def _noise(evaluation: Evaluation) -> list[Node]:
    if not evaluation.noisy:
        return []
    name = evaluation.noisy[0].noise
    heads = ["SNR", *(f.of for f in evaluation.figures)]
    rows: list[list[Child]] = [
        ["no noise", *(text.percent(f.uar.value) for f in evaluation.figures)]
    ]
    for level in evaluation.noisy:
        pairs = zip(level.figures, evaluation.figures, strict=True)
        cells = [
            _with_interval(
                text.percent(f.uar.value), f"{text.points(f.uar.value - c.uar.value)} points"
            )
            for f, c in pairs
        ]
        rows.append([text.decibels(level.snr_db), *cells])
    caption = (
        f"UAR with {name} noise added, at so many dB below the speech (0 dB: as loud as it). The ratio "
        "is over the parts of a clip in which somebody speaks."
    )
    chart = node("figure", noise_chart(evaluation), node("figcaption", caption))
    return [
        node("h2", f"With {name} noise" + _caveat(evaluation, evaluation.overall)),
        node("div", chart, node("figure", table(heads, rows)), class_="columns"),
    ]


def _single(evaluation: Evaluation) -> list[Node]:
    """Return the pictures of each corpus, where there are several."""
    if len(evaluation.figures) == 1:
        return []
    folded = [
        node(
            "details",
            node("summary", f"{f.of} alone" + _caveat(evaluation, f)),
            node("div", _recall_figure(f), _confusion_figure(evaluation, f), _reliability_figure(f),
                 class_="columns"),
        )
        for f in evaluation.figures[:-1]
    ]  # fmt: skip
    return [node("h2", "Each corpus"), *folded]


def _words() -> list[Node]:
    terms: list[tuple[str, list[Child]]] = [(word, [said]) for word, said in TERMS.items()]
    return [node("h2", "In plain words"), facts_table(terms)]


def _recall_figure(f: Figures) -> Node:
    caption = "Recall: of all clips of a class, those named so. The bar is the 95% interval."
    return node("figure", node("h3", "Recall"), recall_chart(f), node("figcaption", caption))


def _confusion_figure(evaluation: Evaluation, f: Figures) -> Node:
    labels = list(evaluation.model.labels)
    heads = [*labels, "no answer"] if any(row[-1] for row in f.confusion) else labels
    body = []
    for place, (label, row) in enumerate(zip(labels, f.confusion, strict=True)):
        total = sum(row)
        if total:
            cells = [_cell(n, total, hit=place == k) for k, n in enumerate(row[: len(heads)])]
            body.append(node("tr", node("th", label), *cells))
    corner = node("th", "said ↓ heard →")
    top = node("tr", corner, *(node("th", node("span", head)) for head in heads))
    caption = (
        "Clips, and their share of the row: what was said (rows) and what was heard (columns)."
    )
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
    share_said = node("small", f"{100 * n / total:.0f}%")
    return node("td", str(n), share_said, class_="hit" if hit else None, style=share)


def _reliability_figure(f: Figures) -> Node:
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


def _span(interval: str) -> str:
    return "one speaker: no interval" if interval == text.MISSING else f"95%: {interval}"


def _with_interval(value: str, interval: str) -> Node:
    return node("span", value, node("small", interval))


def _named(evaluation: Evaluation, f: Figures) -> Node:
    caveat = evaluation.caveat(f.of)
    return node("span", f.of, *([node("small", caveat, class_="caveat")] if caveat else []))


def _of(evaluation: Evaluation, f: Figures) -> str:
    caveat = evaluation.caveat(f.of)
    words = [f.of] if len(evaluation.figures) > 1 else []
    words += [caveat] if caveat else []
    return f" ({', '.join(words)})" if words else ""


def _threshold(evaluation: Evaluation, row: Abstention) -> str:
    advised = 0 < row.threshold == evaluation.model.abstain_below
    return f"{row.threshold:g}" + (" (the card's advice)" if advised else "")


def _caveat(evaluation: Evaluation, f: Figures) -> str:
    caveat = evaluation.caveat(f.of)
    return f" ({caveat})" if caveat else ""
