"""A profile as one page of HTML: no script, no request, light and dark."""

from __future__ import annotations

from statistics import median

from edge_ser.profiling.recommendation import missed
from edge_ser.profiling.report import ModelProfile, Profile
from edge_ser.profiling.stages import CAPTURE, MEANING
from edge_ser.profiling.statistics import Spread
from edge_ser.reports import profile_charts as pictures
from edge_ser.reports import profile_format as words
from edge_ser.reports.html import Child, Node, facts_table, node, table, tile, whole_page

_HEADS = ("stage", "p50", "p90", "p95", "p99", "p99.9", "max", "mean", "jitter", "in a hop")

_WORDS = {
    "end to end": "from the window's last sample to the written event; the sum of all stages",
    "computed": "end to end without capture: what the machine does once the audio is there",
    **{words.stage(name): said for name, said in MEANING.items()},
    "jitter": "mean difference between one decision and the next",
    "in a hop": "mean time over all pieces of audio between two decisions, also those that completed "
    "no window: what the machine is busy with",
    "–": "too few decisions to tell: p99 wants 100 of them, p99.9 wants 1000",
    "real-time factor": "processing time over audio time; 0.01 leaves 99% of the time to others",
}


def page(profile: Profile) -> str:
    """Return the page as text; all pictures and styles are in it."""
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
    return whole_page(f"{first.name}: profile", sections)


def _shown_first(profile: Profile) -> ModelProfile:
    """Return the model that is recommended, else the first."""
    taken = profile.recommendation.model if profile.recommendation else None
    return next((m for m in profile.models if m.name == taken), profile.models[0])


def _budget(profile: Profile) -> list[Node]:
    budget = profile.budget
    if budget is None:
        return []
    if budget.over:
        said = missed(profile.models, budget)
        return [node("p", said[0].upper() + said[1:] + ".", class_="warn")]
    return [
        node(
            "p",
            f"Budget kept: p{budget.percentile:g} end to end is within {budget.budget_ms:g} ms.",
        )
    ]


def _tiles(model: ModelProfile) -> list[Node]:
    e = model.end_to_end
    tiles = [
        tile("end to end, p50", f"{words.ms(e.p50_ms)} ms", f"{model.n_decisions:,} decisions"),
        tile("p99", f"{words.ms(e.p99_ms)} ms", f"at most {words.ms(e.max_ms)} ms"),
        tile("real-time factor", f"{model.rtf:.4f}", f"{model.windows_per_s:,.0f} windows/s"),
        tile("CPU", f"{words.ms(model.cpu_ms_per_window)} ms", "a window, all threads"),
    ]
    if model.cold:
        total = median(start.total_ms for start in model.cold)
        tiles.append(tile("cold start", f"{total:.0f} ms", "to the first decision"))
        tiles.append(tile("memory", words.mib(model.cold[-1].peak_rss_bytes), "at most, alone"))
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
            words.ms(model.computed.p50_ms),
            words.ms(model.computed.p99_ms),
            words.ms(model.computed.max_ms),
            f"{model.rtf:.4f}",
            words.ms(model.cpu_ms_per_window),
            words.mib(model.size_bytes),
            words.short_accuracy(model.accuracy),
        ]
        for model in profile.models
    ]
    r = profile.recommendation
    said = "No recommendation: of no model it is known that it keeps its accuracy."
    if r:
        said = f"Take {r.model}: {r.by} {words.ms(r.value_ms)} ms, {r.reason}."
    return [
        node("h2", "Side by side"),
        node("p", said),
        node("div", node("figure", pictures.comparison(profile.models)), class_="columns"),
        table(heads, rows),
        node("p", "Times in ms, computed. The models took turns, so that drift hits all alike.",
             class_="muted"),
    ]  # fmt: skip


def _model(profile: Profile, model: ModelProfile) -> list[Node]:
    rows: list[list[Child]] = [
        [words.stage(name), *_cells(spread), words.ms(model.per_hop_ms.get(name))]
        for name, spread in model.stages.items()
    ]
    hop_ms = sum(model.per_hop_ms.values())
    rows.append(["computed", *_cells(model.computed), words.ms(hop_ms)])
    rows.append(["end to end", *_cells(model.end_to_end), ""])
    return [
        node("h2", model.name),
        node("p", f"{model.backend}, {model.precision}. {words.decisions(model)}.", class_="muted"),
        table(_HEADS, rows),
        *([node("p", few, class_="muted")] if (few := words.too_few(profile, model)) else []),
        node("div", _waterfall(model), _whole(model), class_="columns"),
        node("div", _timeline(model), _slowest(model), class_="columns"),
        node("details", node("summary", "Each stage's distribution"),
             node("div", *_small(model), class_="columns")),
        facts_table(_costs(profile, model)),
    ]  # fmt: skip


def _cells(spread: Spread) -> list[str]:
    values = (spread.p50_ms, spread.p90_ms, spread.p95_ms, spread.p99_ms, spread.p999_ms)
    return [words.ms(x) for x in (*values, spread.max_ms, spread.mean_ms, spread.jitter_ms)]


def _waterfall(model: ModelProfile) -> Node:
    caption = "Where the time of a decision goes: means, which add up to the mean end to end."
    return node(
        "figure", node("h3", "Stages"), pictures.waterfall(model), node("figcaption", caption)
    )


def _whole(model: ModelProfile) -> Node:
    caption = "Heights are square roots, so that single slow decisions can be seen."
    picture = pictures.histogram(model.end_to_end, "a decision")
    return node("figure", node("h3", "End to end"), picture, node("figcaption", caption))


def _timeline(model: ModelProfile) -> Node:
    caption = (
        "A dot is a decision; the line is the median. Orange: the slowest. Gaps are other turns."
    )
    picture = pictures.timeline(model, model.slowest)
    return node("figure", node("h3", "Over the run"), picture, node("figcaption", caption))


def _slowest(model: ModelProfile) -> Node:
    rows: list[list[Child]] = []
    for outlier in model.slowest:
        parts = sorted(
            ((n, v) for n, v in outlier.stages_ms.items() if n != CAPTURE),
            key=lambda part: -part[1],
        )
        largest = ", ".join(f"{words.stage(name)} {words.ms(value)}" for name, value in parts[:2])
        rows.append([f"{outlier.at_s:.2f} s", words.ms(outlier.end_to_end_ms), largest])
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
            node("h3", words.stage(name)),
            pictures.histogram(spread, words.stage(name), small=True),
        )
        for name, spread in model.stages.items()
    ]


def _costs(profile: Profile, model: ModelProfile) -> list[tuple[str, list[Child]]]:
    facts: list[tuple[str, list[Child]]] = [
        ("file", [f"{model.file}, {words.mib(model.size_bytes)}, SHA-256 ", node("code", model.sha256)]),
        ("windows", [f"{model.window_s:g} s every {model.hop_s:g} s; {model.n_silent} silent left out"]),
        ("energy", [words.energy(profile, model)]),
        ("CPU", [words.cpu(model)]),
        ("timing it", [words.overhead(model)]),
    ]  # fmt: skip
    if len(profile.models) > 1 or model.accuracy.basis == "record":
        facts.append(("accuracy", [words.accuracy(model.accuracy)]))
    if model.device_memory:
        facts.append(("GPU memory", [words.device_memory(model.device_memory)]))
    if model.cold:
        facts.append(("cold starts", [node("div", words.cold(start)) for start in model.cold]))
    return facts


def _over_the_run(profile: Profile) -> list[Node]:
    memory, power = profile.memory, profile.power
    said = f"With all models loaded; {words.grown(memory.growth)}."
    figures = [
        node("figure", node("h3", "Memory"), pictures.curve(memory.curve, "MiB", "Memory", zero=False),
             node("figcaption", said))
    ]  # fmt: skip
    if power.curve:
        idle = "" if power.idle_w is None else f" At rest: {power.idle_w:.2f} W."
        caption = f"{power.covers}.{idle} {' '.join(power.doubts)}"
        picture = pictures.curve(power.curve, "W", "Power", zero=True)
        figures.append(node("figure", node("h3", "Power"), picture, node("figcaption", caption)))
    else:
        why = [node("p", reason) for reason in power.missing or ("no reason is known",)]
        figures.append(node("figure", node("h3", "Power"), node("p", "Not measured:"), *why))
    return [node("h2", "Memory and power"), node("div", *figures, class_="columns")]


def _how(profile: Profile) -> list[Node]:
    facts: list[tuple[str, list[Child]]] = [
        ("listened to", [words.listened(profile)]),
        ("classified", [words.classified(profile)]),
        ("audio came", [words.measured(profile)]),
        ("warm-up", [words.warmed(profile)]),
    ]
    device: list[tuple[str, list[Child]]] = [
        (name, [said]) for name, said in words.machine(profile).items()
    ]
    terms: list[tuple[str, list[Child]]] = [(word, [said]) for word, said in _WORDS.items()]
    return [
        node("h2", "The device, and how it was measured"),
        facts_table([*device, *facts]),
        node("h2", "In plain words"),
        facts_table(terms),
    ]
