"""Measured sections of a model card: labelled corpora by block, then distributions."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ser.evaluation.distribution import NO_SPEECH, Distribution
from edge_ser.evaluation.figures import Figures
from edge_ser.evaluation.report import Block, Evaluation
from edge_ser.evaluation.resampling import Figure
from edge_ser.evaluation.selection import TITLES, UNSEEN
from edge_ser.reports import format as text


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def bullets(lines: Sequence[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {line}" for line in lines)


def paragraphs(words: str) -> list[str]:
    """Return the paragraphs of a text, each on one line."""
    return [" ".join(part.split()) for part in words.strip().split("\n\n")]


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")


def block_section(evaluation: Evaluation, block: Block) -> list[str]:
    """Return the paragraphs and tables of one block."""
    made = [block.meaning, _how(evaluation)]
    if block.caveat:
        made.append(f"**Every figure here {block.caveat}.**")
    own = {corpus.name for corpus in evaluation.corpora if corpus.scope == block.scope}
    names = [n for n in evaluation.validation_speakers if n.rpartition("/")[0] in own]
    if names:
        made.append(f"By {', '.join(names)} the epoch was chosen: slightly flattering.")
    parts = [
        f"{p.corpus}: {p.n_clips} clips {p.reason}" for p in evaluation.left_out if p.corpus in own
    ]
    if parts:
        made += ["Left out:", bullets(parts)]
    return [
        *made,
        *_accuracy(block),
        *_classes(evaluation, block),
        *_confident_errors(block),
        *_arousal(block),
        *_live(block),
        *_calibration(block),
        *_noise(block),
    ]


def distribution_section(evaluation: Evaluation) -> list[str]:
    """Return the paragraphs and tables of corpora of one label or none; empty without such corpora."""
    speech = [d for d in evaluation.distributions if d.kind != NO_SPEECH]
    noise = [d for d in evaluation.distributions if d.kind == NO_SPEECH]
    made = []
    if speech:
        heads = ["", "clips", "expected or abstained", "something else", "called", "abstained",
                 "no answer", "mean probability"]  # fmt: skip
        made.append(table(heads, [_distribution(d) for d in speech]))
    if noise:
        rows = [[d.of, str(d.n_clips), share(d.any_label)] for d in noise]
        made += ["Files without speech:", table(["", "files", "with any label"], rows)]
    if not made:
        return []
    caption = (
        f"Mode: {text.mode(evaluation.detector)}. Corpora of one label or none take no part in the "
        f"accuracy. A label is called where its probability is at least "
        f"{evaluation.model.abstain_below:g}; something else is a call of another label than the "
        "expected one (neutral, for speech without labels)."
    )
    return [caption, *made]


def summary(block: Block) -> str:
    """Return one line on a block, for the top of the card."""
    f = block.overall
    names = ", ".join(figures.of for figures in block.corpora)
    known = text.speakers(f.n_speakers, f.n_speaker_unknown)
    line = (
        f"**{TITLES[block.scope]}** ({names}; {f.n_clips} clips, speakers: {known}): UAR "
        f"{share(f.uar)}, WA {share(f.wa)}."
    )
    if f.answered.threshold and f.answered.right:
        answered, right = text.percent(f.answered.share.value), text.percent(f.answered.right.value)
        line += (
            f" At the card's threshold, {f.answered.threshold:g}, {answered} of the clips get a label, "
            f"and {right} of these labels are right."
        )
    return line + ("" if block.scope == UNSEEN else f" {block.meaning}")


def share(figure: Figure | None) -> str:
    """Return a share with its interval, `66.4% (58.1–72.0)`."""
    if figure is None:
        return text.MISSING
    value = text.percent(figure.value)
    return f"{value} ({text.percent_interval(figure)})" if figure.interval else value


def _how(evaluation: Evaluation) -> str:
    model = evaluation.model
    return (
        f"Of {model.file}, SHA-256 `{model.sha256}`; data SHA-256 `{evaluation.data_sha256}`; "
        f"protocol: {evaluation.protocol}; mode: {text.mode(evaluation.detector)}. In brackets 95% "
        f"intervals by bootstrap ({evaluation.n_draws} draws, seed {evaluation.seed}), over what the "
        "table names; percentiles, but for the ECE a basic interval. WA is right answers / "
        "clips, UAR the mean recall of the classes, ECE the expected calibration error (15 bins). Clips "
        "without an answer are errors."
    )


def _accuracy(block: Block) -> list[str]:
    heads = ["", "clips", "speakers", "WA", "UAR", "answered", "of them right", "ECE",
             "worst to best speaker (WA)", "no answer", "intervals over"]  # fmt: skip
    rows = [
        [
            _name(block, f),
            str(f.n_clips),
            text.speakers(f.n_speakers, f.n_speaker_unknown),
            share(f.wa),
            share(f.uar),
            share(f.answered.share),
            share(f.answered.right),
            _decimal(f.ece),
            _extremes(f),
            text.no_answer(f.no_answer),
            f.intervals_over or text.MISSING,
        ]
        for f in block.figures
    ]
    threshold = block.overall.answered.threshold
    caption = (
        f"Answered are clips with a label of at least the card's probability, {threshold:g}. Worst and "
        "best are among speakers of at least 20 clips."
    )
    return [table(heads, rows), caption]


def _classes(evaluation: Evaluation, block: Block) -> list[str]:
    f = block.overall
    rows = [
        [
            calls.label,
            share(f.recall.get(calls.label)),
            share(calls.precision),
            str(calls.n_true),
            str(calls.n_called),
            text.ratio(calls),
        ]
        for calls in f.calls
    ]
    heads = ["", "recall", "precision", "clips", "calls", "calls for each clip"]
    made = [
        f"Recall and precision of each class ({_name(block, f)}); above 1× a label is called too often:",
        table(heads, rows),
    ]
    if len(block.figures) > 1:
        names = [_name(block, one) for one in block.figures]
        recalls = [
            [
                label,
                *(
                    share(one.recall.get(label)) if label in one.recall else ""
                    for one in block.figures
                ),
            ]
            for label in evaluation.model.labels
        ]
        made += ["Recall by corpus:", table(["", *names], recalls)]
    return made


def _confident_errors(block: Block) -> list[str]:
    f = block.overall
    rows = [
        [f"{e.threshold:g}", text.confident_errors(e), text.pairs(e)] for e in f.confident_errors
    ]
    heads = ["probability at least", "wrong of the answers", "most often: truth → called"]
    return [f"Confident errors ({_name(block, f)}):", table(heads, rows)]


def _arousal(block: Block) -> list[str]:
    rows = [
        [
            _name(block, f),
            str(f.arousal.n_high),
            str(f.arousal.n_low),
            _decimal(f.arousal.auc),
            _decimal(f.arousal.output_auc) if f.arousal.output_auc else text.MISSING,
        ]
        for f in block.figures
        if f.arousal is not None
    ]
    if not rows:
        return []
    heads = ["", "high", "low", "by the labels' probabilities", "by the arousal output"]
    caption = "High arousal (angry, happy, fearful, surprised) against low, area under the ROC:"
    return [caption, table(heads, rows)]


def _live(block: Block) -> list[str]:
    rows = [
        [
            _name(block, f),
            text.share(f.live.n_without_speech, f.n_clips),
            f"{f.live.speech_s / 60:.1f} min",
            text.changes(f.live),
            text.share(f.live.n_abstention_changes, f.live.n_changes),
        ]
        for f in block.figures
        if f.live is not None
    ]
    if not rows:
        return []
    heads = ["", "no speech found", "speech", "label changes a minute", "with abstention"]
    return ["With the voice detector:", table(heads, rows)]


def _calibration(block: Block) -> list[str]:
    f = block.overall
    rows = [
        [f"{row.threshold:g}", text.coverage(row, f.n_clips), text.accuracy(row)]
        for row in f.abstention
    ]
    heads = ["probability at least", "clips answered", "of them right"]
    return [f"Taking only sure answers ({_name(block, f)}):", table(heads, rows)]


def _noise(block: Block) -> list[str]:
    if not block.noisy:
        return []
    rows = [["no noise", *(share(f.uar) for f in block.figures)]]
    for level in block.noisy:
        pairs = zip(level.figures, block.figures, strict=True)
        cells = [
            f"{share(f.uar)}, {text.points(f.uar.value - c.uar.value)} points" for f, c in pairs
        ]
        rows.append([text.decibels(level.snr_db), *cells])
    heads = ["SNR", *(_name(block, f) for f in block.figures)]
    return [f"UAR with {block.noisy[0].noise} noise added:", table(heads, rows)]


def _distribution(d: Distribution) -> list[str]:
    return [
        f"{d.of} ({d.kind})",
        str(d.n_clips),
        share(d.expected_or_abstained),
        share(d.something_else),
        text.counts(d.called, d.n_clips),
        text.share(d.n_abstained, d.n_clips),
        text.no_answer(d.no_answer),
        text.MISSING if d.confidence is None else text.decimal(d.confidence),
    ]


def _extremes(f: Figures) -> str:
    ranked = f.ranked_speakers
    if not ranked:
        return text.MISSING
    return f"{text.percent(ranked[0].wa)} to {text.percent(ranked[-1].wa)}"


def _decimal(figure: Figure) -> str:
    value = text.decimal(figure.value)
    return f"{value} ({text.decimal_interval(figure)})" if figure.interval else value


def _name(block: Block, f: Figures) -> str:
    return f"{f.of}, {block.caveat}" if block.caveat else f.of
