"""A profile in the terminal: readable at 80 columns and without colours."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.padding import Padding

from edge_ser.cli._shared.tables import facts_table, plain_table
from edge_ser.reports import profile_format as words

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.profiling.report import ModelProfile, Profile
    from edge_ser.profiling.statistics import Spread

_HEADS = ("p50", "p90", "p95", "p99", "p99.9", "max", "mean", "jitter")


def print_profile(console: Console, profile: Profile) -> None:
    """Print all that matters; the JSON has the rest."""
    _print_facts(console, _setting(profile))
    for model in profile.models:
        console.print()
        _print_model(console, profile, model)
    console.print()
    _print_shared(console, profile)
    if len(profile.models) > 1:
        console.print()
        _print_side_by_side(console, profile)


def _setting(profile: Profile) -> dict[str, str]:
    return {
        **words.machine(profile),
        "listened to": words.listened(profile),
        "classified": words.classified(profile),
        "audio came": words.measured(profile),
        "warm-up": words.warmed(profile),
    }


def _print_model(console: Console, profile: Profile, model: ModelProfile) -> None:
    console.print(f"[bold]{escape(model.name)}[/bold]: {escape(model.backend)}, {model.precision}")
    console.print(words.decisions(model), style="dim")
    table = plain_table("stage", right=_HEADS)
    for name, spread in model.stages.items():
        table.add_row(words.stage(name), *_cells(spread))
    table.add_section()
    table.add_row("computed", *_cells(model.computed), style="bold")
    table.add_row("end to end", *_cells(model.end_to_end), style="bold")
    console.print(table)
    if few := words.too_few(profile, model):
        console.print(few, style="dim")
    _print_facts(console, _costs(profile, model))


def _cells(spread: Spread) -> list[str]:
    return [
        words.ms(value)
        for value in (
            spread.p50_ms,
            spread.p90_ms,
            spread.p95_ms,
            spread.p99_ms,
            spread.p999_ms,
            spread.max_ms,
            spread.mean_ms,
            spread.jitter_ms,
        )
    ]


def _costs(profile: Profile, model: ModelProfile) -> dict[str, str]:
    facts = {
        "speed": f"{model.windows_per_s:,.1f} windows/s, real-time factor {model.rtf:.4f}",
        "a hop": words.hop(model),
        "CPU": words.cpu(model),
    }
    if model.n_silent:
        facts["silent"] = f"{model.n_silent} windows were too soft for the network; not counted"
    if model.cold:
        total = median(start.total_ms for start in model.cold)
        parts = ", ".join(
            f"{name} {median(getattr(start, field) for start in model.cold):.0f}"
            for name, field in (
                ("interpreter", "interpreter_ms"),
                ("imports", "imports_ms"),
                ("load", "load_ms"),
                ("first window", "first_ms"),
            )
        )
        worst = max(start.total_ms for start in model.cold)
        facts["cold start"] = f"{total:.0f} ms, at worst {worst:.0f} of {len(model.cold)} ({parts})"
        alone = model.cold[-1]
        facts["memory alone"] = (
            f"{words.mib(alone.rss_bytes)}, at most {words.mib(alone.peak_rss_bytes)}, in a process of "
            "its own"
        )
    if model.device_memory:
        facts["GPU memory"] = words.device_memory(model.device_memory)
    facts["timing it"] = words.overhead(model)
    if len(profile.models) > 1 or model.accuracy.basis == "record":
        facts["accuracy"] = words.accuracy(model.accuracy)
    if model.energy:
        facts["energy"] = words.energy(profile, model)
    return facts


def _print_shared(console: Console, profile: Profile) -> None:
    facts = {
        "memory": f"at most {words.mib(profile.memory.peak_bytes)} with the profile itself, "
        + words.grown(profile.memory.growth)
    }
    if not any(model.energy for model in profile.models):
        facts["energy"] = words.energy(profile, profile.models[0])
    if profile.power.doubts:
        facts["power"] = "; ".join(profile.power.doubts)
    if profile.recommendation:
        r = profile.recommendation
        facts["take"] = f"{r.model} ({r.by} {words.ms(r.value_ms)} ms), {r.reason}"
    if profile.budget and not profile.budget.over:
        b = profile.budget
        facts["budget"] = f"kept: p{b.percentile:g} end to end within {b.budget_ms:g} ms"
    _print_facts(console, facts)


def _print_side_by_side(console: Console, profile: Profile) -> None:
    table = plain_table("model", right=("p50", "p99", "max", "RTF", "CPU/window", "accuracy"))
    for model in profile.models:
        table.add_row(
            escape(model.name),
            words.ms(model.computed.p50_ms),
            words.ms(model.computed.p99_ms),
            words.ms(model.computed.max_ms),
            f"{model.rtf:.4f}",
            f"{model.cpu_ms_per_window:.2f}",
            words.short_accuracy(model.accuracy),
        )
    console.print("Side by side, computed, in ms", style="dim")
    console.print(table)


def _print_facts(console: Console, facts: dict[str, str]) -> None:
    table = facts_table()
    for name, said in facts.items():
        table.add_row(name, escape(said))
    console.print(Padding(table, 0))
