"""Profile as one page of HTML: no script, no request, light and dark."""

from __future__ import annotations

from statistics import median

from edge_ser.profiling.recommendation import missed
from edge_ser.profiling.report import ModelProfile, Profile
from edge_ser.profiling.stages import CAPTURE, MEANING
from edge_ser.profiling.statistics import Spread
from edge_ser.reports import profile_charts as charts
from edge_ser.reports import profile_format as text
from edge_ser.reports.html import Child, Node, facts_table, html_page, node, table, tile

_HEADS = ("stage", "p50", "p90", "p95", "p99", "p99.9", "max", "mean", "jitter", "in a hop")

_TERMS = {
    "end to end": "from the window's last sample to the written event; the sum of all stages",
    "computed": "end to end without capture: what the machine does once the audio is there",
    **{text.stage(name): description for name, description in MEANING.items()},
    "jitter": "mean difference between one decision and the next",
    "in a hop": "mean time over all pieces of audio between two decisions, also those that completed "
    "no window: what the machine is busy with",
    "–": "too few decisions: p99 needs 100, p99.9 needs 1000",
    "real-time factor": "processing time over audio time; 0.01 leaves 99% of the time to others",
}


def page(profile: Profile) -> str:
    """Return the page as text, with all charts and styles embedded."""
    first = _shown_first(profile)
    title = f"{first.name}: how long a decision takes"
    sections = [
        node("h1", title),
        node("p", f"{first.backend}. Measured {profile.created}, audio {profile.setting.arrival}.",
             class_="muted"),
        *_budget(profile),
        node("div", *_tiles(first), class_="tiles"),
        *_side_by_side(profile),
        *(part for model in profile.models for part in _model(profile, model)),
        *_over_the_run(profile),
        *_how(profile),
    ]  # fmt: skip
    return html_page(f"{first.name}: profile", sections)


def _shown_first(profile: Profile) -> ModelProfile:
    """Return the recommended model, else the first."""
    taken = profile.recommendation.model if profile.recommendation else None
    return next((m for m in profile.models if m.name == taken), profile.models[0])


def _budget(profile: Profile) -> list[Node]:
    budget = profile.budget
    if budget is None:
        return []
    if budget.over:
        description = missed(profile.models, budget)
        return [node("p", description[0].upper() + description[1:] + ".", class_="warn")]
    return [
        node(
            "p",
            f"Budget kept: p{budget.percentile:g} end to end is within {budget.budget_ms:g} ms.",
        )
    ]


def _tiles(model: ModelProfile) -> list[Node]:
    e = model.end_to_end
    tiles = [
        tile("end to end, p50", f"{text.ms(e.p50_ms)} ms", f"{model.n_decisions:,} decisions"),
        tile("p99", f"{text.ms(e.p99_ms)} ms", f"at most {text.ms(e.max_ms)} ms"),
        tile("real-time factor", f"{model.rtf:.4f}", f"{model.windows_per_s:,.0f} windows/s"),
        tile("CPU", f"{text.ms(model.cpu_ms_per_window)} ms", "a window, all threads"),
    ]
    if model.cold:
        total = median(start.total_ms for start in model.cold)
        tiles.append(tile("cold start", f"{total:.0f} ms", "to the first decision"))
        tiles.append(tile("memory", text.mib(model.cold[-1].peak_rss_bytes), "at most, alone"))
    if model.energy:
        tiles.append(
            tile("energy", f"{1e3 * model.energy.joules_per_decision:.1f} mJ", "a decision")
        )
    return tiles


def _side_by_side(profile: Profile) -> list[Node]:
    if len(profile.models) < 2:
        return []
    heads = ["model", "runs on", "p50", "p99", "max", "RTF", "CPU a window", "size", "accuracy"]
    rows: list[list[Child]] = [
        [
            model.name,
            model.backend,
            text.ms(model.computed.p50_ms),
            text.ms(model.computed.p99_ms),
            text.ms(model.computed.max_ms),
            f"{model.rtf:.4f}",
            text.ms(model.cpu_ms_per_window),
            text.mib(model.size_bytes),
            text.short_accuracy(model.accuracy),
        ]
        for model in profile.models
    ]
    r = profile.recommendation
    description = "No recommendation: of no model it is known that it keeps its accuracy."
    if r:
        description = f"Take {r.model}: {r.by} {text.ms(r.value_ms)} ms, {r.reason}."
    return [
        node("h2", "Side by side"),
        node("p", description),
        node("div", node("figure", charts.comparison(profile.models)), class_="columns"),
        table(heads, rows),
        node("p", "Times in ms, computed. The models took turns, so that drift hits all alike.",
             class_="muted"),
    ]  # fmt: skip


def _model(profile: Profile, model: ModelProfile) -> list[Node]:
    rows: list[list[Child]] = [
        [text.stage(name), *_cells(spread), text.ms(model.per_hop_ms.get(name))]
        for name, spread in model.stages.items()
    ]
    hop_ms = sum(model.per_hop_ms.values())
    rows.append(["computed", *_cells(model.computed), text.ms(hop_ms)])
    rows.append(["end to end", *_cells(model.end_to_end), ""])
    return [
        node("h2", model.name),
        node("p", f"{model.backend}, {model.precision}. {text.decisions(model)}.", class_="muted"),
        table(_HEADS, rows),
        *([node("p", few, class_="muted")] if (few := text.too_few(profile, model)) else []),
        node("div", _waterfall(model), _end_to_end(model), class_="columns"),
        node("div", _timeline(model), _slowest(model), class_="columns"),
        node("details", node("summary", "Each stage's distribution"),
             node("div", *_small(model), class_="columns")),
        facts_table(_costs(profile, model)),
    ]  # fmt: skip


def _cells(spread: Spread) -> list[str]:
    values = (spread.p50_ms, spread.p90_ms, spread.p95_ms, spread.p99_ms, spread.p999_ms)
    return [text.ms(x) for x in (*values, spread.max_ms, spread.mean_ms, spread.jitter_ms)]


def _waterfall(model: ModelProfile) -> Node:
    caption = "Where the time of a decision goes: means, which add up to the mean end to end."
    return node(
        "figure", node("h3", "Stages"), charts.waterfall(model), node("figcaption", caption)
    )


def _end_to_end(model: ModelProfile) -> Node:
    caption = "Heights are square roots, so that single slow decisions can be seen."
    chart = charts.histogram(model.end_to_end, "a decision")
    return node("figure", node("h3", "End to end"), chart, node("figcaption", caption))


def _timeline(model: ModelProfile) -> Node:
    caption = (
        "A dot is a decision; the line is the median. Orange: the slowest. Gaps are other turns."
    )
    chart = charts.timeline(model, model.slowest)
    return node("figure", node("h3", "Over the run"), chart, node("figcaption", caption))


def _slowest(model: ModelProfile) -> Node:
    rows: list[list[Child]] = []
    for outlier in model.slowest:
        parts = sorted(
            ((n, v) for n, v in outlier.stages_ms.items() if n != CAPTURE),
            key=lambda part: -part[1],
        )
        largest = ", ".join(f"{text.stage(name)} {text.ms(value)}" for name, value in parts[:2])
        rows.append([f"{outlier.at_s:.2f} s", text.ms(outlier.end_to_end_ms), largest])
    return node(
        "figure",
        node("h3", "The slowest decisions"),
        table(["at", "end to end, ms", "most of it"], rows),
        node("figcaption", "One stage that stands out points at itself; several at the machine: other "
             "programs, clocks, heat."),
    )  # fmt: skip


def _small(model: ModelProfile) -> list[Node]:
    return [
        node(
            "figure",
            node("h3", text.stage(name)),
            charts.histogram(spread, text.stage(name), small=True),
        )
        for name, spread in model.stages.items()
    ]


def _costs(profile: Profile, model: ModelProfile) -> list[tuple[str, list[Child]]]:
    facts: list[tuple[str, list[Child]]] = [
        ("file", [f"{model.file}, {text.mib(model.size_bytes)}, SHA-256 ", node("code", model.sha256)]),
        ("windows", [f"{model.window_s:g} s every {model.hop_s:g} s; {model.n_silent} silent left out"]),
        ("energy", [text.energy(profile, model)]),
        ("CPU", [text.cpu(model)]),
        ("timing it", [text.overhead(model)]),
    ]  # fmt: skip
    if len(profile.models) > 1 or model.accuracy.basis == "record":
        facts.append(("accuracy", [text.accuracy(model.accuracy)]))
    if model.device_memory:
        facts.append(("GPU memory", [text.device_memory(model.device_memory)]))
    if model.cold:
        facts.append(("cold starts", [node("div", text.cold(start)) for start in model.cold]))
    return facts


def _over_the_run(profile: Profile) -> list[Node]:
    memory, power = profile.memory, profile.power
    description = f"With all models loaded; {text.grown(memory.growth)}."
    figures = [
        node("figure", node("h3", "Memory"), charts.curve(memory.curve, "MiB", "Memory", zero=False),
             node("figcaption", description))
    ]  # fmt: skip
    if power.curve:
        idle = "" if power.idle_w is None else f" At rest: {power.idle_w:.2f} W."
        caption = f"{power.covers}.{idle} {' '.join(power.doubts)}"
        chart = charts.curve(power.curve, "W", "Power", zero=True)
        figures.append(node("figure", node("h3", "Power"), chart, node("figcaption", caption)))
    else:
        why = [node("p", reason) for reason in power.missing or ("no reason is known",)]
        figures.append(node("figure", node("h3", "Power"), node("p", "Not measured:"), *why))
    return [node("h2", "Memory and power"), node("div", *figures, class_="columns")]


def _how(profile: Profile) -> list[Node]:
    facts: list[tuple[str, list[Child]]] = [
        ("listened to", [text.listened(profile)]),
        ("classified", [text.classified(profile)]),
        ("audio came", [text.measured(profile)]),
        ("warm-up", [text.warmed(profile)]),
    ]
    device: list[tuple[str, list[Child]]] = [
        (name, [description]) for name, description in text.machine(profile).items()
    ]
    terms: list[tuple[str, list[Child]]] = [
        (word, [description]) for word, description in _TERMS.items()
    ]
    return [
        node("h2", "The device, and how it was measured"),
        facts_table([*device, *facts]),
        node("h2", "In plain words"),
        facts_table(terms),
    ]
