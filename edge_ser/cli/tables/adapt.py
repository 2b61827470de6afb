"""Tables of `edge-ser adapt`: held-out figures before and after, and what the fit changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_ser.cli._shared.tables import plain_table
from edge_ser.reports import format as text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.table import Table

    from edge_ser.adapt.adaptation import Answered
    from edge_ser.adapt.site import SiteModel


def print_adaptation(console: Console, adapted: SiteModel) -> None:
    """Print the figures of an adaptation."""
    from rich.markup import escape

    console.print(escape(_heading(adapted)))
    for reason, n in adapted.site.left_out.items():
        console.print(f"left out: {n} clips, {reason}", markup=False)
    console.print(f"held out: {adapted.fitted.protocol}", style="bold", markup=False)
    console.print()
    console.print(_figures(adapted))
    console.print()
    console.print(_recall(adapted))
    console.print()
    console.print(_changes(adapted))
    for line in _remarks(adapted):
        console.print(line, style="yellow", markup=False)


def _heading(adapted: SiteModel) -> str:
    site = adapted.site
    adaptation = adapted.card.adapted
    names = adaptation.speakers if adaptation else ()
    corpus = adaptation.corpus if adaptation else ""
    who = f"{len(names)} known speaker" + "s" * (len(names) != 1)
    return f"{adapted.card.name}, on {corpus}: {len(site.clips)} clips, {sum(site.seconds):.0f} s, {who}"


def _figures(adapted: SiteModel) -> Table:
    fitted = adapted.fitted
    before, after, gain = fitted.before, fitted.after, fitted.gain
    table = plain_table("", right=("before", "after", "difference", "95%"))
    table.add_row(
        "WA", text.percent(before.wa), text.percent(after.wa), text.points(after.wa - before.wa), ""
    )
    table.add_row(
        "UAR",
        text.percent(before.uar),
        text.percent(after.uar),
        text.points(gain.uar),
        " to ".join(text.points(bound) for bound in gain.uar_interval),
    )
    table.add_row(
        "log loss",
        text.decimal(before.log_loss),
        text.decimal(after.log_loss),
        _signed(gain.log_loss),
        " to ".join(_signed(bound) for bound in gain.log_loss_interval),
    )
    table.add_row(
        "ECE",
        text.decimal(before.ece),
        text.decimal(after.ece),
        _signed(after.ece - before.ece),
        "",
    )
    n = len(adapted.site.clips)
    pair = (fitted.answered_before, fitted.answered_after)
    table.add_row("answered", *(text.percent(a.n_answered / n) for a in pair), "", "")
    table.add_row("correct", *map(_right, pair), "", "")
    return table


def _recall(adapted: SiteModel) -> Table:
    from rich.markup import escape

    fitted = adapted.fitted
    adaptation = adapted.card.adapted
    counts = adaptation.labels if adaptation else {}
    table = plain_table("recall", right=("clips", "before", "after"))
    for label in adapted.card.labels:
        if label in counts:
            recall = (fitted.before.recall[label], fitted.after.recall[label])
            table.add_row(escape(label), str(counts[label]), *map(text.percent, recall))
        else:
            table.add_row(escape(label), "0", text.MISSING, text.MISSING)
    return table


def _changes(adapted: SiteModel) -> Table:
    from rich.markup import escape

    fitted, source = adapted.fitted, adapted.source
    table = plain_table("fitted on all clips", "")
    table.add_row(
        "pull to the old head",
        f"{fitted.strength:g}, range 100 (almost unchanged) to 0.001",
    )
    table.add_row(
        "temperature",
        f"{fitted.temperature:.2f}; in all {source.card.temperature:g} → "
        f"{adapted.card.temperature:g}",
    )
    table.add_row(
        "abstain below", f"{source.card.abstain_below:g} → {adapted.card.abstain_below:g}"
    )
    shares = ", ".join(f"{name} {share:.0%}" for name, share in fitted.prior.items())
    adaptation = adapted.card.adapted
    balanced = adaptation is not None and adaptation.balanced
    prior = "all classes equal (--balanced)" if balanced else f"as labelled: {shares}"
    table.add_row("prior of the site", escape(prior))
    return table


def _remarks(adapted: SiteModel) -> Iterator[str]:
    missing = [name for name, share in adapted.fitted.prior.items() if share == 0]
    if missing:
        yield f"no clip of {', '.join(missing)}: unchanged from the model before"
    if adapted.fitted.by == "clip":
        yield "clips are held out, not speakers: expect lower accuracy for other voices"
    if not adapted.fitted.gain.uar_interval:
        yield "a single speaker or recording: no interval"
    if refusal := adapted.fitted.refusal:
        yield f"not better on held-out clips: {refusal}"


def _right(answered: Answered) -> str:
    if not answered.n_answered:
        return text.MISSING
    return text.percent(answered.n_correct / answered.n_answered)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
